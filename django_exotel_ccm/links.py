"""Signed callback URLs: a call's reference, signed once per event, or an account's alias; and back."""

from __future__ import annotations

import datetime
from uuid import UUID

from django.core.signing import BadSignature, Signer, TimestampSigner

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


def sign_account(alias: str) -> str:
    """Return the token of the account's own URL, which is entered once in Exotel's dashboard and never expires."""
    # As JSON in base64: an alias may have a slash in it.
    return _account_signer().sign_object(alias)


def read_account(token: str) -> str | None:
    """Return the alias signed by :func:`sign_account`, whether there is such an account or not; None when forged."""
    try:
        alias: str = _account_signer().unsign_object(token)
    except (BadSignature, ValueError):
        return None
    return alias


def _account_signer() -> Signer:
    return Signer(salt="django_exotel_ccm.account_callback", sep=".")


def _signer(event: str) -> TimestampSigner:
    return TimestampSigner(salt=f"django_exotel_ccm.callback.{event}", sep=".")
