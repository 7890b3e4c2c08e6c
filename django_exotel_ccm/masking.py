"""Phone numbers within a text: masked for those who may not see them, and found for an erasure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import phonenumbers

from django_exotel_ccm.choices import Permission

# Embeddings, overrides and isolates. The marks U+200E and U+200F, which names have, turn nothing round.
_DIRECTION_SIGNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])

# Spaces, hyphens of all kinds and invisible characters may stand inside a number. In URLs and forms they are encoded,
# and a plus is a space. Their count is limited, so the time stays linear. The shortest number is +49 1640.
_BLANK = r"[\s().\-\u00ad\u2010-\u2015\u200b-\u200f\u2060\ufeff]"
_ENCODED = r"(?:\+|%(?:25)?2[089bdeBDE])"
_BETWEEN = rf"{_BLANK}*(?:{_ENCODED}{_BLANK}*){{0,4}}"
_DIGITS = re.compile(rf"\+{_BETWEEN}\d(?:{_BETWEEN}\d){{4,}}|\d(?:{_BETWEEN}\d){{6,}}")
_NUMBER_ALONE = re.compile(rf"(?:[\d+%bdeBDE]|{_BLANK})*")
_MARGIN = 100  # characters that are read beyond a cut; numbers are rarely written longer
_ESCAPE = re.compile(r"%(?:25)?2[089bdeBDE]")
_GROUP = re.compile(r"\+?\d+")
_COUNTRY_CODE = 4  # characters, with the plus
_SAME = (phonenumbers.MatchType.EXACT_MATCH, phonenumbers.MatchType.NSN_MATCH)


def contains_number(text: str, number: str) -> bool:
    """Return True if a line of ``text`` has ``number`` (E.164) in it, with or without its country code.

    Other digits may stand beside it, as in "2026-02-11 9000001001".
    """
    wanted = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(wanted)
    for line in text.splitlines():
        for found in _DIGITS.finditer(line):
            run = _ESCAPE.sub(" ", found[0])
            one = _spelled(run)
            # The cheap comparisons first: a text can be full of other numbers.
            if one.endswith(number[-6:]) and phonenumbers.is_number_match(wanted, one) in _SAME:
                return True
            if national in one and _is_among(_GROUP.findall(run), national, wanted.country_code):
                return True
    return False


def _is_among(groups: list[str], national: str, code: int | None) -> bool:
    """Return True if the digits of some groups that stand side by side are the number, with or without a prefix."""
    parts = [phonenumbers.normalize_digits_only(group) for group in groups]
    digits = "".join(parts)
    at = digits.find(national)
    ends = list(itertools.accumulate(map(len, parts)))
    # What follows a country code is no number without it.
    after_code = (group[0] == "+" and len(group) <= _COUNTRY_CODE for group in groups)
    starts = {0, *(end for end, is_code in zip(ends, after_code, strict=True) if not is_code)}
    stops = set(ends)
    while at >= 0:
        if at + len(national) in stops:
            for prefix in ("", "0", f"{code}", f"{code}0", f"0{code}", f"00{code}", f"00{code}0"):
                if at - len(prefix) in starts and digits.endswith(prefix, 0, at):
                    return True
        at = digits.find(national, at + 1)
    return False


def _spelled(found: str) -> str:
    return ("+" if found.startswith("+") else "") + phonenumbers.normalize_digits_only(found)


def mask(text: str) -> str:
    """Return ``text`` with all digits but the last two of every phone number in it replaced by dots."""
    return _DIGITS.sub(lambda found: _masked(found[0]), text)


def _masked(number: str) -> str:
    return re.sub(r"\d", "•", number[:-2]) + number[-2:]


def visible_to(text: str, user: Any) -> str:
    """Return ``text`` as ``user`` may see it: whole with ``exotel_ccm.view_customer_number``, else masked.

    Signs that would turn round the direction of what stands behind the text are left out.
    """
    text = text.translate(_DIRECTION_SIGNS)
    masked = mask(text)
    # Most names have no number in them, and a permission costs two queries.
    if masked == text:
        return text
    return text if user is not None and Permission.VIEW_NUMBER.granted_to(user) else masked


def shortened(text: str, length: int, show: Callable[[str], str]) -> str:
    """Return the first ``length`` characters of ``show(text)``, and "…" if there are more.

    ``show`` masks, as :func:`visible_to` does. It gets the beginning of the text alone, because masking a long text
    takes time; but enough of it, because the first digits of a number are not recognised as one.
    """
    beginning = text[: length + _MARGIN]
    if _NUMBER_ALONE.fullmatch(beginning, length):  # a number may begin before the cut and end anywhere
        beginning = text
    shown = show(beginning)
    # It can be shorter than what it was made of. The last number of a part may not be whole.
    end = min(length, len(shown) - _MARGIN) if len(beginning) < len(text) else length
    return f"{shown[:end].rstrip()}…" if end < len(shown) else shown
