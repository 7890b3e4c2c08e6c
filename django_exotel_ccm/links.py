"""Signed callback URLs: a call's reference, signed once per event, and back."""

from __future__ import annotations

import datetime
from uuid import UUID

from django.core.signing import BadSignature, TimestampSigner

EVENTS = ("terminal", "answered")
MAX_AGE = datetime.timedelta(days=7)


def sign(reference: UUID, event: str) -> str:
    """Return the token that opens ``event`` ("terminal" or "answered") of the call with ``reference``."""
    return _signer(event).sign(reference.hex)


def read(token: str) -> tuple[UUID, str] | None:
    """Return (reference, event) of a token signed by :func:`sign`; None when it is forged, damaged or over 7 days old.

    Keys in ``SECRET_KEY_FALLBACKS`` are honoured, so that calls survive a rotation of ``SECRET_KEY``.
    """
    for event in EVENTS:
        try:
            return UUID(_signer(event).unsign(token, max_age=MAX_AGE)), event
        except (BadSignature, ValueError):
            continue
    return None


def _signer(event: str) -> TimestampSigner:
    return TimestampSigner(salt=f"django_exotel_ccm.callback.{event}", sep=".")
