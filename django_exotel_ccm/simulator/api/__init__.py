"""What the application requests of Exotel: Make a Call, Call Details, recordings."""
