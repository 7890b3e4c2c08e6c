"""Range headers of browsers, and Content-Range headers of servers."""

from __future__ import annotations

import pytest

from django_exotel_ccm.exotel.ranges import ByteRange, Span, parse_content_range, parse_range


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-", ByteRange(0, None)),
        ("bytes=10-19", ByteRange(10, 19)),
        ("bytes=-500", ByteRange(None, 500)),
        ("Bytes=0-1", ByteRange(0, 1)),
        ("  bytes=0-1 ", ByteRange(0, 1)),
    ],
)
def test_single_range(header: str, wanted: ByteRange) -> None:
    assert parse_range(header) == wanted
    assert str(wanted) == header.strip().lower()


def test_other_headers_are_no_range() -> None:
    for header in (
        "",
        "bytes=-",
        "bytes=5-2",
        "bytes=0-1,5-6",
        "bytes=0x1-2",
        "bytes=\uff11-\uff12",
        "bytes=1 -2",
        "seconds=0-1",
        "bytes=0-1\r\nX-Evil: 1",
        "bytes=" + "9" * 19 + "-",
    ):
        assert parse_range(header) is None


@pytest.mark.parametrize(
    ("header", "total", "span"),
    [
        ("bytes=0-", 100, Span(0, 99)),
        ("bytes=0-0", 100, Span(0, 0)),
        ("bytes=90-200", 100, Span(90, 99)),
        ("bytes=-10", 100, Span(90, 99)),
        ("bytes=-200", 100, Span(0, 99)),
        ("bytes=100-", 100, None),
        ("bytes=-0", 100, None),
        ("bytes=0-", 0, None),
    ],
)
def test_span_of_a_range(header: str, total: int, span: Span | None) -> None:
    wanted = parse_range(header)

    assert wanted is not None
    assert wanted.within(total) == span
    assert span is None or len(range(total)[span.first : span.last + 1]) == span.length


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes 0-99/100", (Span(0, 99), 100)),
        ("bytes 10-19/*", (Span(10, 19), None)),
        ("bytes */100", (None, 100)),
        ("", None),
        ("bytes 0-99", None),
        ("bytes 9-0/100", None),
        ("bytes 0-100/100", None),
        ("bytes=0-9/100", None),
        ("bytes 0-9/100, bytes 20-29/100", None),
    ],
)
def test_content_range(header: str, expected: tuple[Span | None, int | None] | None) -> None:
    assert parse_content_range(header) == expected
