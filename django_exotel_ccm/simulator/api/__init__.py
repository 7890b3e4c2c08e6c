"""What the application asks of Exotel: Make a Call, Call Details, recordings."""
