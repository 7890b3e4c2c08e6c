"""Phone numbers are read as people write them, and stored as E.164."""

from __future__ import annotations

import re
import time
import unicodedata
from decimal import Decimal
from typing import Any

import phonenumbers
import pytest
from django.utils.translation import gettext_lazy
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumber

from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.phone_numbers import find_numbers, parse_local_number, parse_number


@st.composite
def valid_numbers(draw: st.DrawFn) -> str:
    """A valid number of any country, as E.164."""
    code = draw(st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)))
    example = phonenumbers.example_number_for_non_geo_entity(code)
    if example is None:
        region = draw(st.sampled_from(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]))
        kind = draw(st.sampled_from(list(phonenumbers.PhoneNumberType.values())))
        example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    if example is None or not phonenumbers.is_valid_number(example):
        reject()
    return str(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))


@settings(deadline=None)
@given(valid_numbers())
def test_parse_number_is_idempotent(number: str) -> None:
    parsed = parse_number(number)

    assert parse_number(parsed) == parsed


PIECES = [
    "98765",
    "43210",
    "+91",
    "0",
    "022",
    "22789123",
    "9876543210",
    "0091",
    "X",
    "o",
    "*",
    "•",
    "mob",
    "no",
    "ext",
    "x45",
    "DUMMY",
    "९८",
    "1",
]
SEPARATED = st.lists(st.sampled_from([*PIECES, " ", "-", "/", "(", ")", ", ", "."]), max_size=9).map("".join)


@settings(max_examples=500, deadline=None)
@given(SEPARATED | st.text(max_size=40))
def test_parse_number_dials_only_what_is_written(text: str) -> None:
    try:
        parsed = parse_number(text)
    except InvalidNumber:
        return

    number = phonenumbers.national_significant_number(phonenumbers.parse(parsed))
    written = "".join(str(unicodedata.decimal(character)) for character in text if character.isdecimal())
    assert written.endswith(number) or text.endswith((".0", ".00"))
    assert parse_number(parsed) == parsed


MOBILE = "+919000001001"
LANDLINE = "+912223456789"
BOTH = ["+919000001001", "+919000001002"]


SPELLINGS: list[tuple[Any, str]] = [
    ("+919000001001", MOBILE),
    ("9000001001", MOBILE),
    ("09000001001", MOBILE),
    ("919000001001", MOBILE),
    ("00 91 90000 01001", MOBILE),
    ("++91 90000 01001", MOBILE),
    ("+91 (0)90000-01001", MOBILE),
    ("(+91) 90000 01001", MOBILE),
    ("[90000] 01001", MOBILE),
    ("90000.01001.", MOBILE),
    ("90 00 00 10 01", MOBILE),
    ("90000--01001", MOBILE),
    ("90000\u201301001", MOBILE),
    ("90000\u00a001001", MOBILE),
    ("90000/01001", MOBILE),
    ("022 2345 6789", LANDLINE),
    ("022/23456789", LANDLINE),
    ("(022) 2345-6789", LANDLINE),
    ("1800 123 456", "+911800123456"),
    ("1600 123 456", "+911600123456"),
    ("1601 123 456", "+911601123456"),
    ("९०००००१००१", MOBILE),
    ("৯০০০০০১০০১", MOBILE),
    ("\uff0b\uff19\uff11 9000001001", MOBILE),
    ("9\ufe0f\u20e3000001001", MOBILE),
    ("\u200e+919000001001\u202c", MOBILE),
    ("\ufeff90000\u200b01001\u2060", MOBILE),
    ("tel:+91-90000-01001", MOBILE),
    ("whatsapp:+919000001001", MOBILE),
    ("'9000001001", MOBILE),
    ('="9000001001"', MOBILE),
    ("9000001001.0", MOBILE),
    ("90000 01001 / 09000001001", MOBILE),
    ("\U0001f4de9000001001", MOBILE),
    ("\u21219000001001", MOBILE),
    ("Mob: 90000 01001", MOBILE),
    ("mobile no. 90000 01001", MOBILE),
    ("Ph9000001001", MOBILE),
    ("90000 01001 (M)", MOBILE),
    ("90000 01001, WhatsApp", MOBILE),
    ("022-23456789 - Office", LANDLINE),
    (919000001001, MOBILE),
    (9000001001.0, MOBILE),
    (Decimal("9000001001.00"), MOBILE),
    (b"9000001001", MOBILE),
    (gettext_lazy("90000 01001"), MOBILE),
    (phonenumbers.parse("9000001001", "IN"), MOBILE),
]


def test_parse_number_accepts_spellings() -> None:
    assert [(written, parse_number(written)) for written, _number in SPELLINGS] == SPELLINGS


LETTERS = "Letters are not dialled"
SIGNS = "Letters and signs among the digits are not dialled"
SEVERAL = "There are several numbers"
EXTENSION = "An extension cannot be dialled"
WORDS = "Other words stand beside the number"


REFUSED: list[tuple[Any, str]] = [
    ("98XXXXXX10", SIGNS),
    ("98765XXXXX", SIGNS),
    ("98765\uff38\uff38\uff38\uff38\uff38", SIGNS),
    ("98765\u0445\u0445\u0445\u0445\u0445", SIGNS),
    ("98765-DUMMY", LETTERS),
    ("90000 0100 O", LETTERS),
    ("9000001001o", SIGNS),
    ("90000O1001", SIGNS),
    ("98****3210", SIGNS),
    ("98\u2022\u2022\u2022\u20223210", SIGNS),
    ("98____3210", SIGNS),
    ("98----3210", ""),
    ("98....3210", ""),
    ("9.00000E+09", SIGNS),
    ("9000001001#", SIGNS),
    ("9000001001\u00b9", SIGNS),
    ("\u202e1001000009", ""),
    ("do not call 90000 01001", WORDS),
    ("90000 01001 do not call", WORDS),
    ("90000 01001 (wife)", WORDS),
    ("no 90000 01001", WORDS),
    ("\U0001f6ab 90000 01001", WORDS),
    ("90000 01001 / 24", WORDS),
    ("90000 01001\nask for Ravi", WORDS),
    ("tel:90000 01001;phone-context=+91", WORDS),
    ("https://wa.me/919000001001", WORDS),
    ("022-23456789 x45", EXTENSION),
    ("022-23456789ext.45", EXTENSION),
    ("+912223456789;ext=45", EXTENSION),
    (phonenumbers.parse("022-23456789 x45", "IN"), EXTENSION),
    ("9000001001 / 9000001002", SEVERAL),
    ("9000001001 (office), 9000001002 (home)", SEVERAL),
    ("9000001001 9000001002", SEVERAL),
    ("ask Ravi", ""),
    ("N/A", ""),
    ("-", ""),
    ("0000000000", ""),
    ("12", ""),
    ("112", ""),
    ("+91900000100", ""),
    ("+9190000010011", ""),
    ("+9000001001", ""),
    ("+09000001001", ""),
    ("+2102345678", ""),
    ("+1 555 000 0000", ""),
    ("90000,01001", ""),
    ("sip:ravi@example.com", ""),
    ("\0", ""),
    ("\ud800", ""),
    ("\U0001f600", ""),
    (-9000001001, ""),
    (9000001001.5, ""),
    (float("nan"), ""),
    (1e300, ""),
    (10**20, ""),
    (Decimal("9.00000E+9"), ""),
    (Decimal("sNaN"), ""),
    (True, ""),
    (b"\xff", ""),
    (phonenumbers.parse("12345", "IN"), ""),
]


@pytest.mark.parametrize("reason", ["", LETTERS, SIGNS, SEVERAL, EXTENSION, WORDS])
def test_parse_number_refuses_with_reason(reason: str) -> None:
    texts = ["That is not one valid phone number.", f"{reason}." if reason else "", "Write it with its country code,"]
    for written in [written for written, its in REFUSED if its == reason]:
        with pytest.raises(InvalidNumber) as raised:
            parse_number(written)
        refusal = str(raised.value)
        assert refusal.startswith(" ".join(filter(None, texts))), repr(written)
        assert not re.search(r"[0-9]{3}", refusal.replace("98765 43210", "")), repr(written)
        assert raised.value.__cause__ is None


def test_find_numbers_in_empty_values() -> None:
    nothings: list[Any] = ["", "  ", "\u200b\u00a0\n", None, 0, b"", PhoneNumber()]
    for nothing in nothings:
        assert find_numbers(nothing) == []
        with pytest.raises(InvalidNumber, match="There is no phone number"):
            parse_number(nothing)


def test_find_numbers_in_one_text() -> None:
    for separator in (" / ", "/", ", ", ";", "\n", "\r\n", "|", " & ", " or ", " - ", " ", " and ", "+91"):
        assert [found.number for found in find_numbers(f"9000001001{separator}9000001002")] == BOTH
        assert find_numbers(f"90000 01001{separator}90000 01002") == find_numbers("9000001001,9000001002")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Mob 9000001001, Office 022-23456789", [(MOBILE, "Mob", ""), (LANDLINE, "Office", "")]),
        ("9000001001 (wife) / 022-23456789 (home)", [(MOBILE, "", "wife"), (LANDLINE, "home", "")]),
        (
            "9000001001, 022-23456789, not on Sundays",
            [(MOBILE, "", "not on Sundays"), (LANDLINE, "", "not on Sundays")],
        ),
        ("022-23456789 x45", [(LANDLINE, "", "x45")]),
        ("9000001001 x 9000001002", [(MOBILE, "", "x"), (BOTH[1], "", "x")]),
        ("022-23456789/90", [(LANDLINE, "", "90")]),
        ("Ravi or 9000001001", [(MOBILE, "", "Ravi or")]),
        ("9000001001 (old), 9000001001", [(MOBILE, "", "old")]),
        ("9000001001, 9000001001 (old)", [(MOBILE, "", "old")]),
        (f"9000001001 {'a' * 100}", [(MOBILE, "", "a" * 60)]),
    ],
)
def test_find_numbers_with_labels_and_notes(written: str, found: list[tuple[str, str, str]]) -> None:
    assert [(one.number, one.label, one.note) for one in find_numbers(written)] == found


def test_parse_number_in_number_region(settings: Any) -> None:
    settings.EXOTEL_CCM = {"NUMBER_REGION": "SG"}

    assert parse_number("8123 4567") == "+6581234567"


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("08000000700", "IN", "+918000000700"),
        ("(080) 0000-0700", "in", "+918000000700"),
        ("918000000700", "IN", "+918000000700"),
        ("+442079460000", "IN", "+442079460000"),
        ("8123 4567", "", "+6581234567"),
        ("8123 4567", "India", "+6581234567"),
        ("8123 4567", "IN", "+6581234567"),  # not valid there
    ],
)
def test_local_number(text: str, region: str, number: str, settings: Any) -> None:
    settings.EXOTEL_CCM = {"NUMBER_REGION": "SG"}

    assert parse_local_number(text, region) == number


@pytest.mark.parametrize("text", ["", "12", "Sales line", "1-800-FLOWERS", "0800000070x"])
def test_local_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidNumber):
        parse_local_number(text, "IN")


def test_parse_number_prefers_as_e164_to_str() -> None:
    class PhoneNumberOfAHost:
        as_e164 = "+919000001001"

        def __str__(self) -> str:
            return "(0)90000 01001 as the host prints it"

    assert parse_number(PhoneNumberOfAHost()) == "+919000001001"


def test_parse_number_is_fast_for_long_text() -> None:
    for unit in ("9", "9000001001, ", "a", "1/", "x1", "(", "+", "\u200b", "\ufdfa", "- "):
        began = time.process_time()

        for length in (199, 1_000_000):
            with pytest.raises(InvalidNumber):
                parse_number((unit * length)[:length])

        assert time.process_time() - began < 1, unit
