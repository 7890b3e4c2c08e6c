"""What Exotel reports to the application, and what goes wrong on the way."""
