"""Tags for the templates of hosts."""
