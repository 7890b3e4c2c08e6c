"""The helpdesk's project: settings and URLs."""
