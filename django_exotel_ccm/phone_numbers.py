"""Phone numbers: read as people write them, kept as E.164, shown to those who may see them."""

from __future__ import annotations

import re
from typing import Any

import phonenumbers
from django.utils.translation import gettext as _

from django_exotel_ccm import conf
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.exceptions import InvalidNumber

# Blanks, hyphens of all kinds and characters without width may stand inside a number, in addresses and forms also
# encoded, where a plus is a blank. Bounded, and so is the time for a text full of them. Shortest: +49 1640.
_BLANK = r"[\s().\-\u00ad\u2010-\u2015\u200b-\u200f\u2060\ufeff]"
_ENCODED = r"(?:\+|%(?:25)?2[089bdeBDE])"
_BETWEEN = rf"{_BLANK}*(?:{_ENCODED}{_BLANK}*){{0,4}}"
_DIGITS = re.compile(rf"\+{_BETWEEN}\d(?:{_BETWEEN}\d){{4,}}|\d(?:{_BETWEEN}\d){{6,}}")
_LONGEST = 64
_SAME = (phonenumbers.MatchType.EXACT_MATCH, phonenumbers.MatchType.NSN_MATCH)


def parse_number(value: object) -> str:
    """Return the E.164 form of one phone number, read in the region of the setting ``NUMBER_REGION``.

    Takes text, or a value with ``as_e164`` (django-phonenumber-field). Raises :class:`InvalidNumber` for anything that
    is not one valid number.
    """
    text = str(getattr(value, "as_e164", None) or value or "").strip()
    if not text:
        raise InvalidNumber(_("There is no phone number."))
    if len(text) > _LONGEST:
        raise InvalidNumber(_("That is too long for a phone number."))
    try:
        number = phonenumbers.parse(text, conf.get_settings().number_region)
    except phonenumbers.NumberParseException:
        raise InvalidNumber(_not_a_number()) from None
    if number.extension or not phonenumbers.is_valid_number(number):
        raise InvalidNumber(_not_a_number())
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _not_a_number() -> str:
    return _("That is not one valid phone number. Write it with its country code, for example +91 98765 43210.")


def contains_number(text: str, number: str) -> bool:
    """Return True if a line of ``text`` has ``number`` (E.164) in it, with or without its country code."""
    wanted = phonenumbers.parse(number)
    found = (_spelled(found[0]) for line in text.splitlines() for found in _DIGITS.finditer(line))
    # The cheap comparison first: a text can be full of other numbers.
    return any(one.endswith(number[-6:]) and phonenumbers.is_number_match(wanted, one) in _SAME for one in found)


def _spelled(found: str) -> str:
    return ("+" if found.startswith("+") else "") + phonenumbers.normalize_digits_only(found)


def mask(text: str) -> str:
    """Return ``text`` with all digits but the last two of every phone number in it replaced by dots."""
    return _DIGITS.sub(lambda found: _masked(found[0]), text)


def _masked(number: str) -> str:
    return re.sub(r"\d", "•", number[:-2]) + number[-2:]


def visible_to(text: str, user: Any) -> str:
    """Return ``text`` as ``user`` may see it: whole with ``exotel_ccm.view_customer_number``, else masked."""
    return text if user is not None and user.has_perm(Permission.VIEW_NUMBER) else mask(text)
