"""The join's rules about times, recordings, legs and sids."""

from __future__ import annotations

import datetime
import random

import pytest

from django_exotel_ccm.choices import State
from django_exotel_ccm.exotel.values import LARGEST_SECONDS
from django_exotel_ccm.lifecycle.facts import MAX_KEPT, chosen_sid, join_events
from tests.lifecycle.messages import (
    ACCEPTED,
    ANSWERED,
    SID,
    STALE,
    TERMINAL,
    answer,
    at,
    callback,
    details,
    joined,
    projected,
)

ZONED, NAIVE = "2026-02-11T06:00:00Z", "2026-02-11 11:30:00"  # the same moment, and at(0)
ZONED_LATER, NAIVE_LATER = "2026-02-11T06:00:30Z", "2026-02-11 11:31:00"


def test_start_prefers_zone_then_source_then_earlier() -> None:
    naive = callback("terminal", started_at=NAIVE)
    zoned_later = callback("answered", started_at=ZONED_LATER)
    of_details = details(call_sid=SID, state="terminal", started_at=NAIVE_LATER)

    assert projected(naive).started_at == at(0)
    assert projected(naive, zoned_later).started_at == at(30)
    assert projected(naive, of_details).started_at == at(60)
    assert projected(callback("answered", started_at=ZONED), zoned_later).started_at == at(0)


def test_end_prefers_zone_then_source_then_later() -> None:
    naive_later = callback("terminal", ended_at=NAIVE_LATER)
    zoned = callback("terminal", ended_at=ZONED)

    assert projected(naive_later).ended_at == at(60)
    assert projected(naive_later, zoned).ended_at == at(0)
    assert projected(zoned, callback("terminal", ended_at=ZONED_LATER)).ended_at == at(30)
    assert projected(zoned, details(call_sid=SID, state="terminal", ended_at=ZONED)).ended_at == at(0)
    assert not projected(zoned).ended_at_approximate


def test_end_time_before_the_end_is_ignored() -> None:
    record = projected(callback("answered", ended_at=ZONED))

    assert (record.state, record.ended_at) == (State.ACTIVE, None)
    assert projected(callback("answered", ended_at=ZONED), callback("terminal", 90)).ended_at == at(90)


def test_active_call_has_no_approximate_end() -> None:
    record = projected(callback("answered", started_at=ZONED, total_duration=51))

    assert (record.ended_at, record.ended_at_approximate) == (None, False)


@pytest.mark.parametrize("moment", ["2026-02-11T06:00:00.123457Z", "9998-12-31T23:59:58.999999Z"])
def test_microseconds_are_kept(moment: str) -> None:
    message = callback("terminal", started_at=moment, ended_at=moment)

    assert projected(message).started_at == projected(message).ended_at == datetime.datetime.fromisoformat(moment)


def test_missing_end_is_approximated() -> None:
    seen = callback("terminal", 90)
    seen_first = callback("terminal", 80, talk_time=5)
    reckoned = callback("terminal", 90, started_at=ZONED, total_duration=51)

    assert (projected(seen, seen_first).ended_at, projected(seen).ended_at_approximate) == (at(80), True)
    assert (projected(reckoned).ended_at, projected(reckoned).ended_at_approximate) == (at(51), True)


@pytest.mark.parametrize(
    ("started_at", "seconds"),
    [
        ("9998-12-31T23:59:59Z", LARGEST_SECONDS),
        ("9998-12-31 23:59:59", LARGEST_SECONDS),
        ("9950-06-01T00:00:00Z", LARGEST_SECONDS),
        ("9998-12-31T23:59:59Z", 1),  # of which some time zones have no such year
    ],
)
def test_end_beyond_the_calendar_is_approximated(started_at: str, seconds: int) -> None:
    record = projected(callback("terminal", 90, started_at=started_at, total_duration=seconds))

    assert (record.ended_at, record.ended_at_approximate) == (at(90), True)


def test_longest_talk_at_the_earliest_time() -> None:
    record = projected(callback("terminal", ended_at="1971-01-02 00:00:00", talk_time=LARGEST_SECONDS))

    assert record.answered_at is not None
    assert record.answered_at.year == 1902


def test_answered_at() -> None:
    talked = callback("terminal", 100, ended_at="2026-02-11T06:01:30Z", talk_time=42)
    silent = callback("terminal", 100, ended_at="2026-02-11T06:01:30Z", talk_time=0)
    seen, seen_again = callback("answered", 20), callback("answered", 25, call_sid=SID)

    assert projected(seen_again, seen).answered_at == at(20)
    assert projected(seen, talked).answered_at == at(48)
    assert projected(seen, silent).answered_at == at(20)
    assert projected(silent).answered_at is None


def test_answered_after_terminal_is_only_seen() -> None:
    before, late = joined(ACCEPTED, TERMINAL), callback("answered", 99, event="answered", call_sid=SID)

    after = joined(ACCEPTED, TERMINAL, late)

    assert {name for name in after if after[name] != before.get(name)} == {"answered_seen"}
    assert projected(ACCEPTED, TERMINAL, late) == projected(ACCEPTED, TERMINAL)


def test_answered_late_is_not_after_the_end() -> None:
    unanswered = callback("terminal", status="customer_unanswered", ended_at=ZONED, talk_time=0)

    record = projected(unanswered, callback("answered", 99))

    assert (record.outcome, record.talk_time, record.answered_at) == ("customer_unanswered", 0, at(0))


def test_stale_details_after_the_end_change_nothing() -> None:
    assert joined(ACCEPTED, ANSWERED, TERMINAL, STALE) == joined(ACCEPTED, ANSWERED, TERMINAL)


def test_unconfirmed_call_gets_its_sid_from_a_callback() -> None:
    record = projected(answer(State.UNCONFIRMED), ANSWERED)

    assert (record.state, record.call_sid) == (State.ACTIVE, SID)


def test_refusal_of_the_later_try_is_shown() -> None:
    first, second = answer(State.REFUSED, refusal="10725"), answer(State.REFUSED, refusal="1012", tries=2)

    assert projected(second, first).refusal_code == "1012"


BASE = "https://recordings.exotel.com/a"


def test_recording_url_prefers_source_then_expiry() -> None:
    early, late = f"{BASE}/1.mp3?Expires=99&Z=z", f"{BASE}/1.mp3?Expires=100&A=a"

    later, earlier = callback("terminal", recordings=(late,)), callback("terminal", recordings=(early,))
    assert projected(later, earlier).recording_url == late
    assert projected(callback("terminal", recordings=(late, early))).recording_url == late
    of_details = details(call_sid=SID, state="terminal", recordings=(early,))
    assert projected(callback("terminal", recordings=(late,)), of_details).recording_url == early


def test_expiry_of_signed_s3_urls() -> None:
    longer = f"{BASE}/1.mp3?X-Amz-Date=20260211T060000Z&X-Amz-Expires=7200"
    newer = f"{BASE}/1.mp3?X-Amz-Date=20260211T063000Z&X-Amz-Expires=600"

    assert projected(callback("terminal", recordings=(newer, longer))).recording_url == longer


def test_smallest_of_several_recordings_is_shown() -> None:
    urls = [f"{BASE}/{index:02}.mp3" for index in range(30)]
    random.shuffle(urls)

    facts = joined(*(callback("terminal", recordings=(url,)) for url in urls))

    assert len(facts["recordings"]) == MAX_KEPT
    assert projected(callback("terminal")).recording_url == ""
    assert projected(callback("terminal", recordings=tuple(urls[:20]))).recording_url == min(urls[:20])
    assert projected(TERMINAL, callback("terminal", 99)).recording_url == projected(TERMINAL).recording_url != ""


LEG_ORDER = ["in-progress", "no-answer", "busy", "failed", "canceled", "completed"]


def test_legs() -> None:
    def leg(*words: str) -> str:
        word: str = joined(*(callback("terminal", customer_leg=word) for word in words))["customer_leg"][-1]
        return word

    for index, word in enumerate(LEG_ORDER):
        assert leg(*reversed(LEG_ORDER[: index + 1])) == word
        assert leg(word, "zzz") == word
    assert leg("in-progress", "hm") == "in-progress"


@pytest.mark.parametrize("name", ["agent_leg", "customer_leg"])
def test_final_leg_word_wins_then_the_better_source(name: str) -> None:
    running = details(call_sid=SID, state="terminal", **{name: "in-progress"})
    by_details = details(call_sid=SID, state="terminal", **{name: "no-answer"})
    for word in LEG_ORDER[1:]:
        by_callback = callback("answered", **{name: word})

        assert joined(by_callback, running)[name][-1] == word
        assert joined(by_callback, by_details)[name][-1] == "no-answer"


def test_agent_of_the_better_source() -> None:
    facts = joined(
        details(call_sid=SID, state="terminal", agent_id="of details", agent_uri="sip:a"),
        callback("terminal", agent_id="of a callback", agent_uri="sip:z"),
    )

    assert (facts["agent_id"][-1], facts["agent_uri"][-1]) == ("of details", "sip:a")


def test_sid_of_the_answer_in_any_order() -> None:
    foreign = callback("answered", 0, call_sid="another", event="terminal")
    messages = [foreign, ACCEPTED, ANSWERED]

    for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1]):
        facts, found = join_events(messages[index] for index in order)
        assert (chosen_sid(facts), found) == (SID, {foreign.fingerprint})
        assert facts == joined(ACCEPTED, ANSWERED)


def test_first_sid_without_an_answer() -> None:
    later, first = callback("answered", 5, call_sid="a"), callback("terminal", 4, call_sid="b")

    assert chosen_sid(join_events([later, first])[0]) == "b"
    assert chosen_sid(join_events([later, first], taken={"b"})[0]) == "a"
    assert join_events([later], taken={"a"}) == ({}, {later.fingerprint})


def test_answer_with_a_taken_sid() -> None:
    accepted = answer(State.ACTIVE, 1, call_sid="taken")

    assert join_events([accepted], taken={"taken"}) == (joined(answer(State.ACTIVE, 1)), set())
    assert join_events([accepted, ANSWERED], taken={"taken"}) == (joined(answer(State.ACTIVE, 1), ANSWERED), set())


def test_call_without_foreign_events() -> None:
    assert join_events([ACCEPTED, ANSWERED, TERMINAL]) == (joined(ACCEPTED, ANSWERED, TERMINAL), set())


def test_forged_addresses_keep_the_settled_recording() -> None:
    own = "https://recordings.exotel.com/z/own.mp3"
    settled = details(600, call_sid=SID, state="terminal", ended_at=ZONED, recordings=(own,))
    forged = [callback("answered", n, recordings=(f"https://recordings.exotel.com/a/{n:02}.mp3",)) for n in range(30)]

    assert projected(*forged, settled).recording_url == own
    assert projected(settled, *forged).recording_url == own
