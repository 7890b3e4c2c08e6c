"""A small helpdesk: customers, their tickets, and what was said about them."""
