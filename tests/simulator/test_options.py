"""Options: what they accept from Python, from texts and from the page's form."""

from __future__ import annotations

import re
from typing import Any

import pytest

from django_exotel_ccm.simulator import Options
from django_exotel_ccm.simulator.options import FIELDS, text_of

WRONG: list[tuple[str, object, str]] = [
    ("seed", 1.5, "a whole number from 0 to 1000000000"),
    ("seed", True, "a whole number from 0 to 1000000000"),
    ("loss_rate", 1.01, "a number from 0 to 1"),
    ("loss_rate", float("nan"), "a number from 0 to 1"),
    ("duplicate_rate", "0.5", "a number from 0 to 1"),
    ("by_hand", "false", "True or False"),
    ("lost_events", frozenset({"terminl"}), "a frozenset of answered and terminal"),
    ("lost_events", "terminal", "a frozenset of answered and terminal"),
    ("retry_after", -1, "None or a whole number from 0 to 1000000000"),
    ("refuse_with", 7, "none, 1010, 1012"),
    ("answer_shape", "D", "A, B or C"),
    ("details_fault", "slow", "none, stale, not_found"),
    *[
        ("account_callback_url", url, "None or an http or https URL")
        for url in ("crm.example.com", "ftp://127.0.0.1/", "http://", "http://[", 7)
    ],
]


def test_wrong_value_is_refused_with_what_to_write() -> None:
    options = Options()
    for name, value, takes in WRONG:
        with pytest.raises(ValueError, match=f"^{name}=.*: write {takes}"):
            setattr(options, name, value)
    assert options == Options()


def test_unknown_option_is_refused_with_those_that_exist() -> None:
    with pytest.raises(AttributeError, match="no option 'answer_shapes'; there are by_hand, add_unknown, answer_shape"):
        Options().answer_shapes = "A"  # type: ignore[attr-defined]


TEXTS: dict[str, tuple[str, Any]] = {
    "refuse_with": ("10724", 10724),
    "retry_after": ("30", 30),
    "lost_events": ("answered, terminal", frozenset({"answered", "terminal"})),
    "account_callback_url": ("http://127.0.0.1:1/account/", "http://127.0.0.1:1/account/"),
    "good_pages": ("2", 2),
    "seed": ("7", 7),
    "loss_rate": ("0.25", 0.25),
    "big_recording": ("100000", 100_000),
    "in_order": ("off", False),
}


def test_every_option_can_be_read_from_text() -> None:
    for name, option in FIELDS.items():
        options = Options()
        words = [word for word in option.metadata["kind"].texts if word not in ("none", text_of(option.default))]
        text, value = TEXTS.get(name) or (words[0] if words else "0.5", None)
        options.set_text(name, text)
        assert getattr(options, name) != option.default, name
        assert value is None or getattr(options, name) == value
        options.set_text(name, options.as_texts()[name])
        assert options.as_texts()[name] == text_of(getattr(options, name))
        options.set_text(name, text_of(option.default))
        assert options == Options(), name
        with pytest.raises(ValueError, match=re.escape(f"{name}='nonsense': write ")):
            options.set_text(name, "nonsense")
