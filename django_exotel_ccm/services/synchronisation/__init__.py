"""Agents, devices and ExoPhones as Exotel has them, into our tables."""
