"""The demo behind ``make demo``: a helpdesk, a simulated Exotel, and one call placed through the admin."""
