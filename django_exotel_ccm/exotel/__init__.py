"""The client of Exotel's API and the parsers of its messages. Needs neither the ORM nor settings.

What Exotel does, with the source of each fact, is in docs/exotel.md; docstrings name its sections.
"""
