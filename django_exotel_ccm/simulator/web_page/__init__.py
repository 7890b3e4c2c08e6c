"""The web page with the two phones."""
