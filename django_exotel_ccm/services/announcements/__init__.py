"""Announcements: the signals that the host is sent about a call, and their delivery to each receiver."""
