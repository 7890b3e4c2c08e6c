"""What stands before everything that is written about a call: a bounded text, and a customer who was not erased."""

from __future__ import annotations

from django.utils.translation import gettext as _

from django_exotel_ccm.exceptions import InvalidNote
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.models import CallRecord

MAX_TEXT = 10_000
"""Characters of a note."""


def checked_text(text: str) -> str:
    """Return the text as a database keeps it; raises :class:`InvalidNote` if it is too long."""
    text = storable(text).replace("\r\n", "\n")
    if len(text) > MAX_TEXT:
        too_long = _("The note has %(count)d characters, and at most %(max)d can be saved. Make it shorter.")
        raise InvalidNote(too_long % {"count": len(text), "max": MAX_TEXT})
    return text


def check_not_erased(call: CallRecord) -> None:
    """Raise :class:`InvalidNote` if the customer of ``call``, as it is now in the database, was erased."""
    if call.erased_at is not None:
        raise InvalidNote(_("The customer of this call was erased on request, so nothing more is written about it."))
