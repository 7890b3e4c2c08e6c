"""What the database has about announcements."""

from __future__ import annotations

from typing import Any

from django_exotel_ccm.models import Announcement
from tests.helpdesk.models import Ticket

RECORDING = "https://s3.example.com/acme1/call.mp3"


def announcement(signal: str) -> Announcement:
    """Return the only announcement of a signal."""
    return Announcement.objects.get(signal=signal)


def deliveries(signal: str) -> dict[str, dict[str, Any]]:
    """Return the deliveries of a signal's only announcement, by receiver."""
    return {delivery["receiver"]: delivery for delivery in announcement(signal).receivers}


def notes() -> str:
    """Return the notes of the only ticket."""
    return Ticket.objects.get().notes.strip()
