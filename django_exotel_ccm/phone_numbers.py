"""Phone numbers: read as people write them, and stored as E.164."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol, runtime_checkable

import phonenumbers
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from django_exotel_ccm import conf
from django_exotel_ccm.exceptions import InvalidNumber

LABELS = frozenset(
    "alt alternate cell cellphone contact direct h home landline m mob mobile number o office p "  # noqa: SIM905
    "personal ph phone primary r res residence secondary t tel telephone wa whatsapp work".split()
)
"""Words that do not change whom a number rings. Any other word beside a number has to be read by a person."""

_BEHIND_LABELS = {"no", "num", "number"}  # "mobile no." says nothing, "no" alone may forbid the call
_BETWEEN_NUMBERS = {"and", "or"}
_PHONE_SIGNS = "\u260e\u260f\u2706\U0001f4de\U0001f4f1\U0001f4f2"
_LONGEST_TEXT = 200
_LONGEST_NOTE = 60
_MOST_DIGITS = 20  # E.164 has 15, and people write prefixes in front
_AREA_CODE = 5  # digits, a leading 0 included

_EXTENSION = r"(?:;\s*ext=|(?:extension|extn|ext|x)[\s.:]*)[0-9]{1,7}(?![0-9])"
_FILLERS = " .:()[]'\"\u2018\u2019\u201c\u201d-"
# The text has been through _plain. Three hyphens or two dots in a row hide digits.
_TOKEN = re.compile(
    rf"""
    (?P<number> (?: \++ [ (\[]* )? [0-9] (?: (?: [ ()\[\]] | -(?!--) | \.(?!\.) ){{0,8}} [0-9] )* )
    | (?P<extension> {_EXTENSION} )
    | (?P<word> [^\W\d_]+ )
    | (?P<between> [/,;|&\n] )
    | (?P<filler> [{re.escape(_FILLERS)}] | =(?=") )
    | (?P<other> . )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_DIALLED = re.compile(r"[0-9 ().-]*[0-9]")  # without a country code
_SLASHED = re.compile(r"\+?[0-9][0-9 .()-]*(?:/[0-9 .()-]*[0-9])+")
_FRACTION = re.compile(r"(\+?[0-9]{6,15})\.0{1,2}")  # of a number that went through a spreadsheet or a float


@runtime_checkable
class HasE164(Protocol):
    """A phone number that knows its E.164 form, as the values of django-phonenumber-field do."""

    @property
    def as_e164(self) -> str:
        """The number as E.164."""


PhoneNumber = str | phonenumbers.PhoneNumber | HasE164
"""What a caller may give as a phone number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenNumber:
    """A phone number found in a text: E.164, the known label beside it, and what else stands beside it."""

    number: str
    label: str = ""
    note: str = ""
    """Other words or an extension. They may mean "do not call", so a person has to read them before the call."""


def is_phone_number(value: object) -> bool:
    """Return True if ``value`` is of a type that holds one phone number: text or a phone number object."""
    return isinstance(value, str | Promise | phonenumbers.PhoneNumber | HasE164)


def parse_number(value: object) -> str:
    """Return the E.164 form of the one phone number in ``value``, read in the region of ``NUMBER_REGION``.

    Takes what :func:`find_numbers` takes. Raises :class:`InvalidNumber`, which says what is wrong, for everything but
    one valid number, alone or beside one of the ``LABELS``.
    """
    found = find_numbers(value)
    if not found:
        raise InvalidNumber(_("There is no phone number."))
    if len(found) > 1:
        raise _invalid(_("There are several numbers."))
    if re.fullmatch(_EXTENSION, found[0].note, re.IGNORECASE):
        raise _invalid(_("An extension cannot be dialled."))
    if found[0].note:
        raise _invalid(_("Other words stand beside the number."))
    return found[0].number


def parse_local_number(text: str, region: str) -> str:
    """Return the E.164 form of a number that is written as one dials it in ``region``, an ISO code such as "IN".

    If that is no region, or the number is not valid there, :func:`parse_number` reads it, and may raise.
    """
    region = region.upper()
    is_local = region in phonenumbers.SUPPORTED_REGIONS and _DIALLED.fullmatch(text)
    return (_e164_of(re.sub(r"\D", "", text), region) if is_local else "") or parse_number(text)


def find_numbers(value: object) -> list[WrittenNumber]:
    """Return the phone numbers in ``value``, each once; an empty list if it is empty.

    Takes text, a whole number, or a phone number object of phonenumbers or django-phonenumber-field. Raises
    :class:`InvalidNumber` for a text that holds no valid number, and for one with letters or signs among the digits:
    they may stand for digits that nobody knows. The time is bounded, however long the text is.
    """
    text = _text_of(value).strip()
    if len(text) > _LONGEST_TEXT:
        raise _too_long()
    if _E164.fullmatch(text) and _e164(text) == text:  # most are stored so
        return [WrittenNumber(number=text)]
    text = _plain(text)
    return _read(text) if text else []


def _invalid(reason: str = "") -> InvalidNumber:
    texts = (
        _("That is not one valid phone number."),
        reason,
        _("Write it with its country code, for example +91 98765 43210."),
    )
    return InvalidNumber(" ".join(filter(None, texts)))


def _too_long() -> InvalidNumber:
    return InvalidNumber(_("That is too long for a phone number."))


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, phonenumbers.PhoneNumber):
        return _text_of_parsed(value)
    if isinstance(value, HasE164):
        return str(value.as_e164 or "")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, int | float | Decimal):
        return _text_of_amount(value)
    return "" if value is None else str(value)


def _text_of_parsed(number: phonenumbers.PhoneNumber) -> str:
    if number.country_code is None:  # a form field keeps unreadable input in this way
        return number.raw_input or ""
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{e164} x{number.extension}" if number.extension else e164


def _text_of_amount(value: float | Decimal) -> str:
    # A Decimal with an exponent was rounded: a spreadsheet shows 9876543210 as 9.87654E+09.
    inexact = isinstance(value, Decimal) and not re.fullmatch(r"[0-9]+(\.0+)?", str(value))
    if isinstance(value, bool) or inexact or not 0 <= value < 10**_MOST_DIGITS or value != int(value):
        raise _invalid()
    return str(int(value)) if value else ""


def _plain(text: str) -> str:
    """Return ``text`` in ASCII digits, hyphens, spaces and line ends, without characters that nobody sees."""
    if "\u202e" in text:  # shows the digits in reverse order
        raise _invalid()
    plain = "".join(map(_plain_character, text)).strip()
    whole = _FRACTION.fullmatch(plain)
    return whole[1] if whole else _SLASHED.sub(_join_at_slashes, plain)


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in ("Cf", "Me") or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category == "Pd" or character == "\u2212":
        return "-"
    if category == "Zs" or character == "\t" or character in _PHONE_SIGNS:
        return " "
    if category in ("Zl", "Zp") or character in "\r\n\v\f\x85":
        return "\n"
    # A superscript digit is a footnote, and no digit of the number.
    return character if category == "No" else unicodedata.normalize("NFKC", character)


def _join_at_slashes(found: re.Match[str]) -> str:
    """Return a number written as 022/22789123 without its slashes, and several numbers as they are."""
    parts = found[0].split("/")
    lengths = [len(re.sub(r"\D", "", part)) for part in parts]
    after_area_code = len(parts) == 2 and lengths[0] <= lengths[1]
    as_one = max(lengths) <= _AREA_CODE or (lengths[0] <= _AREA_CODE and after_area_code)
    joined = " ".join(parts)
    return joined if as_one and not _e164(parts[0]) and _e164(joined) else found[0]


def _e164(written: str) -> str:
    """Return the E.164 form of a number of digits, separators and a plus; "" if it is not valid."""
    digits = re.sub(r"\D", "", written)
    # With a region, phonenumbers drops a plus that no country code follows.
    return _e164_of(f"+{digits}", None) if written[0] == "+" else _e164_of(digits, conf.get_settings().number_region)


@functools.lru_cache(maxsize=256)  # each call reads the numbers of its agent and its ExoPhone
def _e164_of(text: str, region: str | None) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    valid = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if valid else ""


@dataclass(slots=True)
class _Part:
    """What stands between two commas, slashes or line ends."""

    numbers: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)

    @property
    def note(self) -> str:
        return " ".join("".join(self.rest).split()).strip(f"{_FILLERS}=")


def _read(text: str) -> list[WrittenNumber]:
    parts = _parts_of(text)
    # What stands in a part without a number, or with several, may concern each number of the text.
    shared = [part.note for part in parts if len(part.numbers) != 1 and part.note]
    found: dict[str, WrittenNumber] = {}
    for part in parts:
        alone = len(part.numbers) == 1
        label = " ".join(part.labels) if alone else ""
        notes = [part.note, *shared] if alone and part.note else shared
        for number in part.numbers:
            one = WrittenNumber(number=number, label=label, note=", ".join(notes)[:_LONGEST_NOTE])
            first = found.setdefault(number, one)
            found[number] = replace(first, note=first.note or one.note)
    if not found:
        raise _unread(text)
    return list(found.values())


def _unread(text: str) -> InvalidNumber:
    digits = len(re.findall(r"[0-9]", text))
    if digits and re.search(r"[^\W\d_]", text):
        return _invalid(_("Letters are not dialled."))
    return _too_long() if digits > _MOST_DIGITS else _invalid()


def _parts_of(text: str) -> list[_Part]:
    tokens = list(_TOKEN.finditer(text))
    numbers_at = [index for index, token in enumerate(tokens) if token.lastgroup == "number"]
    parts, last_word = [_Part()], ""
    for index, token in enumerate(tokens):
        kind, written = token.lastgroup, token[0]
        word = written.casefold() if kind == "word" else ""
        known = word in LABELS or (word in _BEHIND_LABELS and last_word in LABELS)
        if kind in ("word", "other") and _touches_digit(token) and not (known and len(word) > 1):
            raise _invalid(_("Letters and signs among the digits are not dialled."))
        if kind == "between" or (word in _BETWEEN_NUMBERS and numbers_at and numbers_at[0] < index < numbers_at[-1]):
            parts.append(_Part())
        elif kind == "number" and (numbers := _numbers_in(written)):
            parts[-1].numbers += numbers
        else:
            (parts[-1].labels if known else parts[-1].rest).append(written)
        last_word = last_word if kind == "filler" else word
    return parts


def _numbers_in(written: str) -> list[str]:
    """Return the number; or two numbers if only spaces or hyphens part them, and only one way to part them is valid."""
    if number := _e164(written):
        return [number]
    halves = [(written[: gap.start()], written[gap.end() :]) for gap in re.finditer(r"[^0-9+]+", written)]
    pairs = [(_e164(one), _e164(other)) for one, other in halves if one]
    valid = [pair for pair in pairs if all(pair)]
    return list(valid[0]) if len(valid) == 1 else []


def _touches_digit(token: re.Match[str]) -> bool:
    neighbours = token.string[max(token.start() - 1, 0) : token.start()] + token.string[token.end() : token.end() + 1]
    return re.search("[0-9]", neighbours) is not None
