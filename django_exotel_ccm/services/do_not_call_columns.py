"""The columns of a do-not-call file: what each holds by its heading, and the numbers in those that are not read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from django.utils.translation import gettext as _

from django_exotel_ccm.masking import mask
from django_exotel_ccm.phone_numbers import LABELS, find_numbers, parse_number

HEADINGS = {
    "number": {
        *(
            "number",
            "phone",
            "phonenumber",
            "phoneno",
            "mobile",
            "mobilenumber",
            "mobileno",
            "telephone",
            "tel",
            "cell",
        ),
        *("contact", "contactnumber", "contactno", "msisdn", "customernumber"),
    },
    "reason": {"reason", "note", "notes", "remark", "remarks", "comment"},
    "expires": {"expires", "expiry", "expiresat", "expirydate", "until", "validuntil"},
}
NUMBER_ENDINGS = ("phone", "phonenumber", "phoneno", "mobile", "mobilenumber", "mobileno", "whatsapp", "landline")
"""How headings of further numbers end, such as "alternate phone". Not "number" alone: accounts have numbers too."""
NUMBER_WORDS = frozenset({"phone", "ph", "mobile", "mob", "telephone", "tel", "cell", "whatsapp", "landline"})
"""Of these, one stands in a heading such as "phone (home)", beside nothing but the ``LABELS`` of numbers."""
_BESIDE_WORDS = LABELS | {"no", "num"}
LONGEST_HEADING = 40
"""How much of a heading is quoted."""
_FEWEST_DIGITS = 7  # of a number that is missed; where shorter ones are valid, so are postcodes and amounts
_DATE = re.compile(
    r"(?<![\d./-])(?:[0-9]{1,2}([./-])[0-9]{1,2}\1(?:(?:19|20)?[0-9]{2})"
    r"|(?:19|20)[0-9]{2}([./-])[0-9]{1,2}\2[0-9]{1,2})(?![\d./-])"
)

_CLEAR = re.compile(r"\+\d|(?<![\w/-])\d[\d ]{8,}\d")
"""What is a number even beside other words. With fewer digits, or parted by hyphens, an invoice's number looks so."""


def columns_of(cells: Sequence[str]) -> dict[str, list[int]]:
    """Return the places of the columns that a heading names; none if the line is no heading with a number."""
    found: dict[str, list[int]] = {}
    for place, cell in enumerate(cells):
        name = re.sub(r"[^a-z]", "", cell.lower())
        for column, known in HEADINGS.items():
            if name in known or (column == "number" and _is_of_numbers(name, cell)):
                found.setdefault(column, []).append(place)
    return found if "number" in found else {}


def _is_of_numbers(name: str, heading: str) -> bool:
    words = set(re.findall(r"[^\W\d_]+", heading.casefold()))
    return name.endswith(NUMBER_ENDINGS) or bool(words & NUMBER_WORDS and words <= _BESIDE_WORDS)


def numbers_not_read(
    cells: Sequence[str], headings: Sequence[str], columns: Mapping[str, Sequence[int]], read: Collection[str]
) -> list[str]:
    """Return a sentence for each column of a line in which there is a number that is not among those ``read``."""
    if not columns:
        return [_without_heading()] if any(map(_is_number, cells[1:])) else []
    known = {place for places in columns.values() for place in places}
    missed = [place for place, cell in enumerate(cells) if place not in known and _numbers_in(cell) - set(read)]
    return [_under(headings[place] if place < len(headings) else "") for place in missed]


def _is_number(text: str) -> bool:
    try:
        parse_number(text)
    except ValueError:
        return False
    return True


def _numbers_in(text: str) -> set[str]:
    """Return the numbers in a text that may hold anything, such as a date or an amount."""
    rest = _DATE.sub(" ", text)
    if len(re.findall(r"\d", rest)) < _FEWEST_DIGITS:
        return set()
    try:
        found = find_numbers(rest)
    except ValueError:
        return set()
    is_clear = _CLEAR.search(rest) or not any(one.note for one in found)
    return {one.number for one in found} if is_clear else set()


def _without_heading() -> str:
    return _("There is a second number in this line, which was not read. Give each column a heading, such as “mobile”.")


def _under(heading: str) -> str:
    if not heading:
        return _without_heading()
    return _(
        "A number stands in the column “%(heading)s” and was not read, because the heading is not known. If it is a "
        "phone number, change the heading to “mobile”, and import the file again."
    ) % {"heading": mask(heading[:LONGEST_HEADING])}
