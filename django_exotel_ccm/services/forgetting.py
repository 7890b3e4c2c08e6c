"""What stays of an event when its customer was erased: everything but who it was, and what was said."""

from __future__ import annotations

import re

from django.utils import timezone

from django_exotel_ccm.exotel.values import as_object
from django_exotel_ccm.models import CallEvent
from django_exotel_ccm.phone_numbers import mask, redact_number

FORGOTTEN = ("facts", "advice", "raw", "purged_at")
"""The columns that :func:`forget` changes."""

_TELLING = frozenset({"customer_number", "recordings", "custom_field"})


def tells(event: CallEvent) -> bool:
    """Say whether an event still has a body, or tells of a customer or a recording."""
    return bool(event.raw) or not _TELLING.isdisjoint(as_object(event.facts))


def forget(event: CallEvent, number: re.Pattern[str] | None = None) -> None:
    """Take the customer's number, the recordings and the raw body out of ``event``; saves nothing.

    ``number`` finds the number where it stands elsewhere; None when nobody knows it any more, because the event came
    after its call was erased.
    """
    said = {name: value for name, value in as_object(event.facts).items() if name not in _TELLING}
    if number is None:
        event.facts, event.advice = said, mask(event.advice)
    else:
        words = {name for name, value in said.items() if isinstance(value, str)} - {"call_sid"}
        event.facts = said | {name: redact_number(said[name], number) for name in words}
        event.advice = redact_number(event.advice, number)
    if event.raw:
        event.raw, event.purged_at = b"", timezone.now()
