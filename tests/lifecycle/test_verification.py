"""The rules about doubtful ends, settled Call Details, and the sid that replaces another."""

from __future__ import annotations

import hashlib

import pytest

from django_exotel_ccm.choices import State
from django_exotel_ccm.lifecycle import Message, is_settled, names_sooner, needs_verification, to_registers
from tests.lifecycle.messages import SID, answer, callback, details, joined

ENDED = "2026-02-11T06:00:51Z"
SETTLED = details(171, call_sid=SID, state="terminal", ended_at=ENDED)
FIRST, SECOND = "recordings.exotel.com/a/1.mp3", "recordings.exotel.com/a/2.mp3"


def end(status: str, received: float = 60, url: str = "terminal") -> Message:
    return callback(url, received, event="terminal", status=status, status_raw=None)


@pytest.mark.parametrize(("received", "settled"), [(171, [1]), (170.999999, None)])
def test_details_settle_two_minutes_after_the_end(received: float, settled: list[int] | None) -> None:
    message = details(received, call_sid=SID, state="terminal", ended_at=ENDED)

    assert to_registers(message).get("settled") == settled
    assert is_settled(joined(message)) is (settled is not None)


def test_reports_of_terminal_callbacks() -> None:
    digest = hashlib.sha256(f"{FIRST}\n{SECOND}".encode()).hexdigest()[:16]
    recordings = (f"https://{SECOND}?Expires=1", f"https://{FIRST}")

    assert to_registers(end("busy", url="answered"))["terminal_reports"] == {"status": ["busy"], "answered_url": [1]}
    assert to_registers(callback("terminal", recordings=recordings))["terminal_reports"] == {"recordings": [digest]}
    assert "terminal_reports" not in to_registers(callback("answered", status_raw="in-progress"))


def test_two_different_reports_are_kept() -> None:
    ends = [end("busy"), end("completed"), end("failed")]
    talked = callback("terminal", talk_time=5)

    for messages in (ends, ends[::-1]):
        assert joined(*messages)["terminal_reports"] == {"status": ["busy", "completed"]}
        assert joined(*messages, talked)["terminal_reports"] == {"status": ["busy", "completed"], "talk_time": [5]}
        assert joined(talked, *messages) == joined(*messages, talked)


@pytest.mark.parametrize(
    ("messages", "is_needed"),
    [
        ([], False),
        ([SETTLED], False),
        ([end("busy")], False),
        ([end("busy"), end("busy", 70)], False),
        ([end("busy"), callback("terminal", talk_time=0)], False),
        ([end("busy"), end("failed")], True),
        ([end("busy", url="answered")], True),
        ([end("busy"), end("failed"), SETTLED], False),
        ([end("busy", url="answered"), SETTLED], False),
    ],
)
def test_needs_verification(messages: list[Message], is_needed: bool) -> None:
    assert needs_verification(joined(*messages)) is is_needed


def test_names_sooner() -> None:
    named = callback("answered", 10, call_sid=SID)
    facts = joined(named, callback("terminal", 20, call_sid="another"))

    assert names_sooner(named, {})
    assert names_sooner(callback("answered", 9, call_sid="third"), facts)
    assert names_sooner(answer(State.ACTIVE, 30, call_sid="third"), facts)
    assert not names_sooner(named, facts)
    assert not names_sooner(callback("answered", 15, call_sid="third"), facts)
