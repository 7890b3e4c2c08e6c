"""Cleaning of single values: texts, seconds, moments, URLs and JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_exotel_ccm.exotel.values import (
    Moment,
    clean_moment,
    clean_seconds,
    clean_text,
    clean_url,
    fold,
    is_too_deep,
    read_json,
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_nulls_in_many_spellings_are_none():
    for null in (None, "", "  ", "null", "NULL", "N/A", "None", "[]", '"null"', '""', "\x00"):
        assert clean_text(null, 10) is None


def test_other_types_are_no_text():
    for value in (True, 1.5, [], {}, ["a"], b"bytes", 10**5000):
        assert clean_text(value, 10) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a b ", "a b"),
        ("a\x00b\ud800c", "abc"),
        ('"42"', "42"),
        (r'"caf\u00e9"', "café"),
        ('"a"b"', 'a"b'),
        (12345, "12345"),
        ("x" * 20, "x" * 10),
        ("123456789 1", "123456789"),
    ],
)
def test_text_is_cleaned(value, text):
    assert clean_text(value, 10) == text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        ("000", 0),
        ("00141", 141),
        ('"10"', 10),
        (141.0, 141),
        (2**31 - 1, 2**31 - 1),
        (2**31, None),
        (-1, None),
        (True, None),
        (1.5, None),
        (float("nan"), None),
        ("9" * 5000, None),
        pytest.param(10**5000, None, id="huge"),
        ("٣", None),
        ("null", None),
    ],
)
def test_seconds(value, seconds):
    assert clean_seconds(value) == seconds


@pytest.mark.parametrize(
    ("value", "zoned"),
    [
        ("2026-02-11T05:42:10.000Z", True),
        ("2026-02-11 11:12:10+05:30", True),
        ("2026-02-11T11:12:10+0530", True),
        ("2026-02-11 11:12:10 05:30", True),
        ("2026-02-11 11:12:10 +05:30", True),
        ("2026-02-11T00:42:10-05:00", True),
        ("2026-02-11 11:12:10", False),
        ('"2026-02-11 11:12:10"', False),
    ],
)
def test_moments(value, zoned):
    assert clean_moment(value) == Moment(datetime(2026, 2, 11, 5, 42, 10, tzinfo=UTC), zoned)


def test_unusable_moments():
    for value in (
        None,
        "",
        "null",
        "1970-01-01 05:30:00+05:30",
        "1970-01-01 05:30:00",
        "0001-01-01T00:00:00Z",
        "1971-01-01 00:00:00",
        "9999-12-31 23:59:59+05:30",
        "9998-12-31 23:59:59-05:00",
        "2026-13-01 00:00:00",
        "2026-02-11 11:12:10+99:99",
        "2026-02-11",
        "yesterday",
        1770788530,
        True,
        [],
    ):
        assert clean_moment(value) is None


@pytest.mark.parametrize(
    ("value", "is_url"),
    [
        ("https://recordings.exotel.com/a.mp3?X-Amz-Expires=300", True),
        ("http://127.0.0.1:8000/a.mp3", True),
        (" https://recordings.exotel.com/a.mp3 ", True),
        ("https://x/" + "a" * 1990, True),
        ("https://x/" + "a" * 1991, False),
        ("ftp://x/a", False),
        ("javascript:alert(1)", False),
        ("https:///a", False),
        ("https://[::1/a", False),
        ("https://user:pass@x/a", False),
        ("https://x/a b", False),
        ("https://x/a\nb", False),
        (None, False),
        (["https://x/a"], False),
    ],
)
def test_urls(value, is_url):
    assert clean_url(value) == (value.strip() if is_url else None)


@pytest.mark.parametrize(
    ("word", "folded"),
    [
        ("Agent-Cancelled", "agent_canceled"),
        (" NO--ANSWER_", "no_answer"),
        ("", ""),
    ],
)
def test_fold(word, folded):
    assert fold(word) == folded


def test_json_numbers_and_constants():
    value, reason = read_json(b'{"a": %s, "b": 1e999, "c": NaN, "d": 1.5, "e": 7}' % (b"9" * 5000))

    assert (value, reason) == ({"a": "9" * 5000, "b": "1e999", "c": None, "d": 1.5, "e": 7}, "")


def test_json_encodings():
    assert read_json('{"a": "é"}'.encode("latin-1")) == ({"a": "é"}, "")
    assert read_json('{"a": "é"}'.encode("utf-16")) == ({"a": "é"}, "")
    assert read_json('{"a": "é"}'.encode("utf-8-sig")) == ({"a": "é"}, "")


def test_unreadable_json():
    assert read_json(b"<html>") == (None, "unreadable")
    assert read_json(b"[" * 100_000) == (None, "too_deep")
    assert read_json(b"[" * 41 + b"]" * 41) == (None, "too_deep")
    assert read_json(b"[" * 39 + b"]" * 39)[1] == ""


@given(anything)
def test_no_value_raises(value):
    clean_seconds(value)
    is_too_deep(value)
    moment = clean_moment(value)
    for text in (clean_text(value, 20), clean_url(value)):
        if text is not None:
            assert "\x00" not in text
            text.encode()
    assert moment is None or clean_moment(moment.as_text()) == moment


naive_times = st.datetimes(
    datetime(1971, 1, 2),  # noqa: DTZ001 - naive on purpose
    datetime(9998, 12, 30),  # noqa: DTZ001
)


@given(naive_times, st.sampled_from(["", "Z", "+05:30"]))
def test_moment_text_round_trip(naive, zone):
    moment = clean_moment(naive.isoformat() + zone)

    assert moment is not None
    assert clean_moment(moment.as_text()) == moment
    assert moment.zoned == bool(zone)
