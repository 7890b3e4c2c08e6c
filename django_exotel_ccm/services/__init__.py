"""What the package does: place calls, record what Exotel reports of them, move them to another ticket."""

from __future__ import annotations

from django_exotel_ccm.services.events import record_event
from django_exotel_ccm.services.moving import move_calls
from django_exotel_ccm.services.placing import agents_for, place_call

__all__ = ["agents_for", "move_calls", "place_call", "record_event"]
