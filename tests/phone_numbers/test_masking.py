"""Masked numbers, the permission to see them, and the search for a number in a text."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from django_exotel_ccm.masking import contains_number, mask, shortened, visible_to
from django_exotel_ccm.phone_numbers import parse_number
from tests.phone_numbers.test_parsing import valid_numbers

SEPARATORS = " \u00a0-.()\u2011\u200b\u2060/"


def digits_in(text: str) -> int:
    return len(re.findall(r"\d", text))


@settings(max_examples=200, deadline=None)
@given(valid_numbers())
def test_mask_leaves_two_digits(number: str) -> None:
    assert digits_in(mask(number)) <= 2
    assert digits_in(mask(f"The call to {number} was refused.")) <= 2


@settings(deadline=None)
@given(valid_numbers(), st.data())
def test_mask_with_any_separators(number: str, data: st.DataObject) -> None:
    gaps = [data.draw(st.text(SEPARATORS.replace("/", ""), max_size=2)) for _ in number]
    written = "".join(part for pair in zip(number, gaps, strict=True) for part in pair)

    assert digits_in(mask(written)) <= 2


def test_mask_shortest_numbers() -> None:
    for shortest in ("+491640", "+431110", "+989602", "+3522020"):
        assert parse_number(shortest) == shortest
        assert digits_in(mask(shortest)) == 2


def test_mask_in_texts() -> None:
    assert mask("Ringing +919000001001 since 10:03.") == "Ringing +••••••••••01 since 10:03."
    assert mask("+919000001001, 090000 01002") == "+••••••••••01, •••••• •••02"
    assert mask("to=90000+01001&id=7") == "to=•••••+•••01&id=7"
    assert mask("to=%2B91%2D90000%2D01001") == "to=%2B••%•D•••••%•D•••01"
    assert mask("Ticket 12345 has 42 s, HTTP 409, code 10706") == "Ticket 12345 has 42 s, HTTP 409, code 10706"


def test_signs_of_direction_are_left_out() -> None:
    allowed: Any = SimpleNamespace(is_authenticated=True, has_perm=lambda name: True)

    assert visible_to("Ravi \u202eevil\u2069", allowed) == "Ravi evil"
    assert visible_to("call 90000\u202d01001", None) == "call ••••••••01"
    assert visible_to("\u200fعلي\u200e", None) == "\u200fعلي\u200e"


def masked(text: str) -> str:
    return visible_to(text, None)


def test_shortened_text_says_that_there_is_more() -> None:
    assert shortened("short", 5, masked) == "short"
    assert shortened("longer text", 7, masked) == "longer…"
    assert shortened("call 9000001001", 99, masked) == "call ••••••••01"


@settings(deadline=None)
@given(st.text("0123456789 +-.ax\u202d\u2060", max_size=260), st.integers(1, 60))
def test_no_cut_shows_digits_that_the_whole_text_hides(text: str, length: int) -> None:
    shown, whole = shortened(text, length, masked), masked(text)

    assert shown == whole or whole.startswith(shown.removesuffix("…"))
    assert len(shown) <= length + 1


def test_number_that_is_written_across_a_cut() -> None:
    for gap in ("", " " * 200, "\u202d" * 200, "\n-" * 150):
        text = f"call 90000{gap}01001, then more"
        for length in range(5, 12):
            assert "9" not in shortened(text, length, masked)


def test_shortened_reads_no_more_than_it_needs() -> None:
    read: list[str] = []

    shortened("call 9000001001 or write. " * 1000, 1000, lambda text: read.append(text) or text)

    assert [len(one) for one in read] == [1100]


def test_visible_to_needs_permission() -> None:
    allowed: Any = SimpleNamespace(
        is_authenticated=True, has_perm=lambda name: name == "exotel_ccm.view_customer_number"
    )
    other: Any = SimpleNamespace(is_authenticated=True, has_perm=lambda name: False)

    assert visible_to("+919000001001", allowed) == "+919000001001"
    assert visible_to("+919000001001", other) == visible_to("+919000001001", None) == "+••••••••••01"


SAME_NUMBER = [
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
    "2026-02-11 9000001001",
    "order 42 90000 01001 7",
    "8000001001 +91 (0) 90000-01001 8000001001",
    "12 0091 9000001001",
    "90000%2001001",
    "१२ ९०००००१००१",
]


def test_contains_number_in_any_spelling() -> None:
    assert [text for text in SAME_NUMBER if not contains_number(text, "+919000001001")] == []


def test_contains_number_is_not_confused_by_others() -> None:
    others = ["59000001001", "90000010011", "+929000001002", "900000100", "9-0-0-0-0-0-1-0-0-2"]
    others += ["+1 9000001001", "+92 9000001001 12", "12 59000001001", "12 90000010011 3"]

    assert [text for text in others if contains_number(text, "+919000001001")] == []


def test_contains_number_and_mask_are_fast() -> None:
    began = time.process_time()

    for text in (" " * 256_000, "+91 0 " * 40_000, "9" * 256_000, "(" * 256_000, "+" * 256_000, "%20" * 80_000):
        assert not contains_number(text, "+919000001001")
        mask(text)
    assert not contains_number("8000001001 x " * 20_000, "+919000001001")

    assert time.process_time() - began < 10
