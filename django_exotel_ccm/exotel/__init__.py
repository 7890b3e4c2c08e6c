"""Speaks Exotel: values in, values out. Needs neither the ORM nor settings."""
