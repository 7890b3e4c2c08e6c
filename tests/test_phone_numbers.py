"""Numbers are read as people write them, kept as E.164, and masked for those who may not see them."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.phone_numbers import contains_number, mask, parse_number, visible_to

SEPARATORS = " \u00a0-.()\u2011\u200b\u2060/"


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


def digits_in(text: str) -> int:
    return len(re.findall(r"\d", text))


@settings(deadline=None)
@given(valid_numbers())
def test_what_was_parsed_parses_to_itself(number: str) -> None:
    parsed = parse_number(number)

    assert parse_number(parsed) == parsed


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"\+?[0-9 ()./x-]{3,20}", fullmatch=True))
def test_any_text_is_one_number_or_refused(text: str) -> None:
    try:
        parsed = parse_number(text)
    except InvalidNumber:
        return

    assert re.fullmatch(r"\+[0-9]{6,15}", parsed)
    assert parse_number(parsed) == parsed


@settings(max_examples=200, deadline=None)
@given(valid_numbers())
def test_at_most_two_digits_of_a_number_are_shown(number: str) -> None:
    assert digits_in(mask(number)) <= 2
    assert digits_in(mask(f"The call to {number} was refused.")) <= 2


@settings(deadline=None)
@given(valid_numbers(), st.data())
def test_no_way_of_writing_shows_more(number: str, data: st.DataObject) -> None:
    gaps = [data.draw(st.text(SEPARATORS.replace("/", ""), max_size=2)) for _ in number]
    written = "".join(part for pair in zip(number, gaps, strict=True) for part in pair)

    assert digits_in(mask(written)) <= 2


@pytest.mark.parametrize("shortest", ["+491640", "+431110", "+989602", "+3522020"])
def test_the_shortest_numbers_are_masked_too(shortest: str) -> None:
    assert parse_number(shortest) == shortest
    assert digits_in(mask(shortest)) == 2


def test_what_a_masked_number_looks_like() -> None:
    assert mask("Ringing +919000001001 since 10:03.") == "Ringing +••••••••••01 since 10:03."
    assert mask("+919000001001, 090000 01002") == "+••••••••••01, •••••• •••02"
    assert mask("to=90000+01001&id=7") == "to=•••••+•••01&id=7"
    assert mask("to=%2B91%2D90000%2D01001") == "to=%2B••%•D•••••%•D•••01"
    assert mask("Ticket 12345 has 42 s, HTTP 409, code 10706") == "Ticket 12345 has 42 s, HTTP 409, code 10706"


def test_who_may_see_a_number_sees_it() -> None:
    allowed: Any = SimpleNamespace(has_perm=lambda name: name == "exotel_ccm.view_customer_number")
    other: Any = SimpleNamespace(has_perm=lambda name: False)

    assert visible_to("+919000001001", allowed) == "+919000001001"
    assert visible_to("+919000001001", other) == visible_to("+919000001001", None) == "+••••••••••01"


@pytest.mark.parametrize(
    "written",
    [
        "+919000001001",
        "9000001001",
        "09000001001",
        "0091 90000 01001",
        "+91 (0)90000-01001",
        "९०००००१००१",
        "+91 ९००००\u200b०१००१",  # noqa: RUF001
        "\u200e+919000001001\u202c",
        "tel:+919000001001",
        "  90000.01001\t",
    ],
)
def test_one_number_in_many_spellings(written: str) -> None:
    assert parse_number(written) == "+919000001001"


def test_a_landline_with_its_std_code() -> None:
    assert parse_number("022 2345 6789") == "+912223456789"


def test_a_toll_free_number() -> None:
    assert parse_number("1800 123 456") == "+911800123456"


def test_numbers_are_read_in_the_hosts_region(settings: Any) -> None:
    settings.EXOTEL_CCM = {"NUMBER_REGION": "SG"}

    assert parse_number("8123 4567") == "+6581234567"


@pytest.mark.parametrize(
    "written",
    [
        "9000001001 / 9000001002",
        "9000001001, 9000001002",
        "9000001001;9000001002",
        "9000001001 9000001002",
        "9000001001\n9000001002",
        "9000001001 or 9000001002",
        "9000001001 (office), 9000001002 (home)",
        "9000001001 x12",
        "9000001001 ext. 12",
        "+919000001001;ext=12",
        "ask Ravi",
        "12",
        "112",
        "+91900000100",
        "+9190000010011",
        "+1 555 000 0000",
        "sip:ravi@example.com",
        "\0",
        "\ud800",
    ],
)
def test_what_is_not_one_valid_number_is_refused_without_quoting_it(written: str) -> None:
    with pytest.raises(InvalidNumber, match="not one valid phone number") as raised:
        parse_number(written)

    assert written not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("value", "words"), [("", "no phone number"), (None, "no phone number"), ("9" * 5000, "too long")]
)
def test_nothing_and_too_much(value: Any, words: str) -> None:
    with pytest.raises(InvalidNumber, match=words):
        parse_number(value)


def test_values_of_phone_number_fields_are_read_by_their_e164() -> None:
    class PhoneNumber:
        as_e164 = "+919000001001"

        def __str__(self) -> str:
            return "(0)90000 01001 as the host prints it"

    assert parse_number(PhoneNumber()) == "+919000001001"


def test_a_number_kept_as_an_integer() -> None:
    assert parse_number(919000001001) == "+919000001001"


@pytest.mark.parametrize(
    "text",
    [
        "+919000001001",
        "919000001001",
        "00919000001001",
        "09000001001",
        "9000001001",
        "+91 90000 01001",
        "+91 (0) 90000-01001",
        "(+91) 9000001001",
        "90000.01001",
        "+91\u200b9000001001",
        "sip:919000001001@pbx",
        "call 9000001001, please",
        "0091 9000001001",
        "९०००००१००१",
        "to=%2B91+90000+01001",
        "2026-02-11\n9000001001\n--872165",
    ],
)
def test_number_is_found_however_it_is_written(text: str) -> None:
    assert contains_number(text, "+919000001001")


@pytest.mark.parametrize("text", ["59000001001", "90000010011", "+929000001002", "900000100", "9-0-0-0-0-0-1-0-0-2"])
def test_another_number_is_not_taken_for_it(text: str) -> None:
    assert not contains_number(text, "+919000001001")


def test_long_text_is_searched_quickly() -> None:
    began = time.monotonic()

    for text in (" " * 256_000, "+91 0 " * 40_000, "9" * 256_000, "(" * 256_000, "+" * 256_000, "%20" * 80_000):
        assert not contains_number(text, "+919000001001")
        mask(text)
    assert not contains_number("8000001001 x " * 20_000, "+919000001001")

    assert time.monotonic() - began < 10
