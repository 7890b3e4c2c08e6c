"""What the package does: place calls, and record what is heard of them."""

from __future__ import annotations

from django_exotel_ccm.services.placing import agents_for, place_call
from django_exotel_ccm.services.tracking import record_event

__all__ = ["agents_for", "place_call", "record_event"]
