"""Where Exotel's callbacks arrive."""
