"""The client of Exotel's API and the parsers of its messages. Needs neither the ORM nor settings.

What Exotel does, with the source of each fact: docs/exotel.md 1 to 12.
"""
