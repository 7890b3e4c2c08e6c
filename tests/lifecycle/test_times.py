"""The join's rows about times, recordings, legs and sids, and that it needs no Django settings."""

from __future__ import annotations

import datetime
import os
import pkgutil
import random
import subprocess
import sys
from pathlib import Path

import pytest

from django_exotel_ccm import exotel
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
    shown,
)

ROOT = Path(__file__).parent.parent
ZONED, NAIVE = "2026-02-11T06:00:00Z", "2026-02-11 11:30:00"  # the same moment, and at(0)
ZONED_LATER, NAIVE_LATER = "2026-02-11T06:00:30Z", "2026-02-11 11:31:00"


def test_the_start_is_the_zoned_one_then_the_better_source_s_then_the_earlier() -> None:
    naive = callback("terminal", started_at=NAIVE)
    zoned_later = callback("answered", started_at=ZONED_LATER)
    of_details = details(call_sid=SID, state="terminal", started_at=NAIVE_LATER)

    assert shown(naive).started_at == at(0)
    assert shown(naive, zoned_later).started_at == at(30)
    assert shown(naive, of_details).started_at == at(60)
    assert shown(callback("answered", started_at=ZONED), zoned_later).started_at == at(0)


def test_the_end_is_the_zoned_one_then_the_better_source_s_then_the_later() -> None:
    naive_later = callback("terminal", ended_at=NAIVE_LATER)
    zoned = callback("terminal", ended_at=ZONED)

    assert shown(naive_later).ended_at == at(60)
    assert shown(naive_later, zoned).ended_at == at(0)
    assert shown(zoned, callback("terminal", ended_at=ZONED_LATER)).ended_at == at(30)
    assert shown(zoned, details(call_sid=SID, state="terminal", ended_at=ZONED)).ended_at == at(0)
    assert not shown(zoned).ended_at_approximate


def test_an_end_told_before_the_end_is_none() -> None:
    record = shown(callback("answered", ended_at=ZONED))

    assert (record.state, record.ended_at) == (State.ACTIVE, None)
    assert shown(callback("answered", ended_at=ZONED), callback("terminal", 90)).ended_at == at(90)


def test_what_has_not_ended_has_no_approximate_end() -> None:
    record = shown(callback("answered", started_at=ZONED, total_duration=51))

    assert (record.ended_at, record.ended_at_approximate) == (None, False)


@pytest.mark.parametrize("moment", ["2026-02-11T06:00:00.123457Z", "9998-12-31T23:59:58.999999Z"])
def test_no_microsecond_is_lost(moment: str) -> None:
    told = callback("terminal", started_at=moment, ended_at=moment)

    assert shown(told).started_at == shown(told).ended_at == datetime.datetime.fromisoformat(moment)


def test_an_end_nobody_told_is_worked_out() -> None:
    seen = callback("terminal", 90)
    seen_first = callback("terminal", 80, talk_time=5)
    reckoned = callback("terminal", 90, started_at=ZONED, total_duration=51)

    assert (shown(seen, seen_first).ended_at, shown(seen).ended_at_approximate) == (at(80), True)
    assert (shown(reckoned).ended_at, shown(reckoned).ended_at_approximate) == (at(51), True)


@pytest.mark.parametrize(
    ("started_at", "seconds"),
    [
        ("9998-12-31T23:59:59Z", LARGEST_SECONDS),
        ("9998-12-31 23:59:59", LARGEST_SECONDS),
        ("9950-06-01T00:00:00Z", LARGEST_SECONDS),
        ("9998-12-31T23:59:59Z", 1),  # of which some time zones have no such year
    ],
)
def test_an_end_beyond_the_calendar_is_no_end(started_at: str, seconds: int) -> None:
    record = shown(callback("terminal", 90, started_at=started_at, total_duration=seconds))

    assert (record.ended_at, record.ended_at_approximate) == (at(90), True)


def test_the_longest_talk_at_the_earliest_time() -> None:
    record = shown(callback("terminal", ended_at="1971-01-02 00:00:00", talk_time=LARGEST_SECONDS))

    assert record.answered_at is not None
    assert record.answered_at.year == 1902


def test_answered_at() -> None:
    talked = callback("terminal", 100, ended_at="2026-02-11T06:01:30Z", talk_time=42)
    silent = callback("terminal", 100, ended_at="2026-02-11T06:01:30Z", talk_time=0)
    seen, seen_again = callback("answered", 20), callback("answered", 25, call_sid=SID)

    assert shown(seen_again, seen).answered_at == at(20)
    assert shown(seen, talked).answered_at == at(48)
    assert shown(seen, silent).answered_at == at(20)
    assert shown(silent).answered_at is None


def test_answered_after_terminal_changes_only_that_it_was_seen() -> None:
    before, late = joined(ACCEPTED, TERMINAL), callback("answered", 99, event="answered", call_sid=SID)

    after = joined(ACCEPTED, TERMINAL, late)

    assert {name for name in after if after[name] != before.get(name)} == {"answered_seen"}
    assert shown(ACCEPTED, TERMINAL, late) == shown(ACCEPTED, TERMINAL)


def test_answered_late_is_not_after_the_end() -> None:
    unanswered = callback("terminal", status="customer_unanswered", ended_at=ZONED, talk_time=0)

    record = shown(unanswered, callback("answered", 99))

    assert (record.outcome, record.talk_time, record.answered_at) == ("customer_unanswered", 0, at(0))


def test_stale_details_after_the_end_change_nothing() -> None:
    assert joined(ACCEPTED, ANSWERED, TERMINAL, STALE) == joined(ACCEPTED, ANSWERED, TERMINAL)


def test_an_unconfirmed_call_learns_its_sid_from_a_callback() -> None:
    record = shown(answer(State.UNCONFIRMED), ANSWERED)

    assert (record.state, record.call_sid) == (State.ACTIVE, SID)


def test_the_later_try_s_refusal_is_shown() -> None:
    first, second = answer(State.REFUSED, refusal="10725"), answer(State.REFUSED, refusal="1012", tries=2)

    assert shown(second, first).refusal_code == "1012"


BASE = "https://recordings.exotel.com/a"


def test_of_one_recording_the_better_source_s_then_the_longest_valid_url_is_kept() -> None:
    early, late = f"{BASE}/1.mp3?Expires=99&Z=z", f"{BASE}/1.mp3?Expires=100&A=a"

    assert (
        shown(callback("terminal", recordings=(late,)), callback("terminal", recordings=(early,))).recording_url == late
    )
    assert shown(callback("terminal", recordings=(late, early))).recording_url == late
    of_details = details(call_sid=SID, state="terminal", recordings=(early,))
    assert shown(callback("terminal", recordings=(late,)), of_details).recording_url == early


def test_a_signed_url_of_s3_is_valid_until_its_date_and_its_seconds() -> None:
    longer = f"{BASE}/1.mp3?X-Amz-Date=20260211T060000Z&X-Amz-Expires=7200"
    newer = f"{BASE}/1.mp3?X-Amz-Date=20260211T063000Z&X-Amz-Expires=600"

    assert shown(callback("terminal", recordings=(newer, longer))).recording_url == longer


def test_the_smallest_of_several_recordings_is_shown_and_twenty_are_kept() -> None:
    urls = [f"{BASE}/{index:02}.mp3" for index in range(30)]
    random.shuffle(urls)

    facts = joined(*(callback("terminal", recordings=(url,)) for url in urls))

    assert len(facts["recordings"]) == MAX_KEPT
    assert shown(callback("terminal")).recording_url == ""
    assert shown(callback("terminal", recordings=tuple(urls[:20]))).recording_url == min(urls[:20])
    assert shown(TERMINAL, callback("terminal", 99)).recording_url == shown(TERMINAL).recording_url != ""


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
@pytest.mark.parametrize("word", LEG_ORDER[1:])
def test_of_a_leg_the_final_word_stands_then_the_better_source_s(word: str, name: str) -> None:
    by_callback = callback("answered", **{name: word})
    running = details(call_sid=SID, state="terminal", **{name: "in-progress"})
    by_details = details(call_sid=SID, state="terminal", **{name: "no-answer"})

    assert joined(by_callback, running)[name][-1] == word
    assert joined(by_callback, by_details)[name][-1] == "no-answer"


def test_the_agent_whom_exotel_names_is_the_better_source_s() -> None:
    facts = joined(
        details(call_sid=SID, state="terminal", agent_id="of details", agent_uri="sip:a"),
        callback("terminal", agent_id="of a callback", agent_uri="sip:z"),
    )

    assert (facts["agent_id"][-1], facts["agent_uri"][-1]) == ("of details", "sip:a")


def test_the_sid_of_the_answer_is_the_call_s_whatever_came_first() -> None:
    stranger = callback("answered", 0, call_sid="another", event="terminal")
    told = [stranger, ACCEPTED, ANSWERED]

    for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1]):
        facts, strangers = join_events(told[index] for index in order)
        assert (chosen_sid(facts), strangers) == (SID, {stranger.fingerprint})
        assert facts == joined(ACCEPTED, ANSWERED)


def test_without_an_answer_the_first_told_sid_is_the_call_s() -> None:
    later, first = callback("answered", 5, call_sid="a"), callback("terminal", 4, call_sid="b")

    assert chosen_sid(join_events([later, first])[0]) == "b"
    assert chosen_sid(join_events([later, first], taken={"b"})[0]) == "a"
    assert join_events([later], taken={"a"}) == ({}, {later.fingerprint})


def test_an_answer_under_another_call_s_sid_counts_without_it() -> None:
    accepted = answer(State.ACTIVE, 1, call_sid="taken")

    assert join_events([accepted], taken={"taken"}) == (joined(answer(State.ACTIVE, 1)), set())
    assert join_events([accepted, ANSWERED], taken={"taken"}) == (joined(answer(State.ACTIVE, 1), ANSWERED), set())


def test_a_call_of_which_no_stranger_told_is_not_marked() -> None:
    assert join_events([ACCEPTED, ANSWERED, TERMINAL]) == (joined(ACCEPTED, ANSWERED, TERMINAL), set())


def test_the_rooms_that_speak_exotel_and_decide_states_need_no_settings() -> None:
    modules = [f"django_exotel_ccm.exotel.{module.name}" for module in pkgutil.iter_modules(exotel.__path__)]
    program = "\n".join(
        [
            *(f"import {module}" for module in modules),
            "from django.conf import settings",
            "from django_exotel_ccm import lifecycle",
            "from tests.lifecycle.messages import SID, callback",
            "told = callback('terminal', call_sid=SID, status='completed', talk_time=42)",
            "record = lifecycle.project(lifecycle.join({}, lifecycle.to_registers(told)))",
            "assert (record.state, record.outcome) == ('ended', 'completed')",
            "assert not settings.configured",
        ]
    )
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")


def test_forged_addresses_push_out_no_settled_recording() -> None:
    own = "https://recordings.exotel.com/z/own.mp3"
    settled = details(600, call_sid=SID, state="terminal", ended_at=ZONED, recordings=(own,))
    forged = [callback("answered", n, recordings=(f"https://recordings.exotel.com/a/{n:02}.mp3",)) for n in range(30)]

    assert shown(*forged, settled).recording_url == own
    assert shown(settled, *forged).recording_url == own
