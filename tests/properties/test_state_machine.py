"""Hypothesis sends any events to the real view and database, at any time and repeatedly."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_exotel_ccm.choices import State
from django_exotel_ccm.lifecycle import Projection
from django_exotel_ccm.models import CallRecord
from tests.lifecycle.messages import KNOWN_WORDS, RECORDINGS, SID
from tests.properties.call_driver import CallDriver
from tests.properties.database import rolled_back
from tests.properties.oracle import lost_facts
from tests.properties.sample_events import (
    OTHER,
    SampleEvent,
    accepted,
    found,
    no_response,
    not_found,
    raw,
    refused,
    unconfirmed,
    v1,
    v2,
)

RIVALS = "c" * 32

moments = st.integers(0, 600)
sids = st.sampled_from([SID, SID, SID, OTHER, RIVALS, None, "null"])
words = st.sampled_from([*KNOWN_WORDS, "Agent-Cancelled", "no-answer", "missed", "", None])
fields: dict[str, st.SearchStrategy[Any]] = {
    "call_state": st.sampled_from(["active", "terminal", None, "ended"]),
    "call_status": words,
    "total_talk_time": st.sampled_from([0, 7, 42, "42", None, "null", -1]),
    "total_duration": st.sampled_from([0, 51, "51", None]),
    "start_time": st.sampled_from(["2026-02-11 11:30:02", "2026-02-11T06:00:02Z", "1970-01-01 05:30:00", None]),
    "end_time": st.sampled_from(["2026-02-11 11:31:02", "2026-02-11T06:00:53Z", "1970-01-01 05:30:00", None]),
    "recordings": st.lists(st.sampled_from(RECORDINGS[:5]), max_size=2),
}
details = st.fixed_dictionaries({}, optional=fields)
urls = st.sampled_from(["answered", "terminal"])


class Exotel(RuleBasedStateMachine):
    """Delivers any events to one call, and checks all rules after each."""

    def __init__(self, driver: CallDriver) -> None:
        super().__init__()
        self.driver = driver
        self.undo = contextlib.ExitStack()
        self.undo.enter_context(rolled_back())
        self.came: list[SampleEvent] = []
        self.answers = 0
        self.before: Projection | None = None
        driver.received.clear()

    def teardown(self) -> None:
        self.undo.close()

    @initialize()
    def two_calls(self) -> None:
        """Make the call, and a rival that already has its sid."""
        rival: CallRecord = self.driver.call()
        self.driver.deliver(rival, accepted(sid=RIVALS))
        self.driver.received.clear()
        self.call = self.driver.call()

    def deliver(self, event: SampleEvent) -> None:
        self.driver.deliver(self.call, event)
        self.came.append(event)

    @rule(event=st.sampled_from(["answered", "terminal", "ringing"]), url=urls, sid=sids, at=moments, fields=details)
    def callback(self, event: str, url: str, sid: str | None, at: int, fields: dict[str, Any]) -> None:
        self.deliver(v2(f"callback {len(self.came)}", at, event, url=url, sid=sid, **fields, n=len(self.came)))

    @rule(
        url=urls,
        sid=st.sampled_from([SID, OTHER]),
        at=moments,
        word=words,
        leg=st.sampled_from(["no-answer", "completed"]),
    )
    def form(self, url: str, sid: str, at: int, word: str | None, leg: str) -> None:
        fields = {"CallSid": sid, "Status": word, "Legs[1][Status]": leg, "n": len(self.came)}
        self.deliver(v1(f"form {len(self.came)}", at, url, **fields))

    @rule(url=urls, at=moments, body=st.sampled_from([b"%d\xff\x00", b"[1, %d]", b'{"n": %d}', b'{"%d']))
    def unreadable(self, url: str, at: int, body: bytes) -> None:
        self.deliver(raw(f"nothing {len(self.came)}", at, url, body % len(self.came)))

    @rule(at=moments, sid=st.sampled_from([SID, SID, None]), fields=details)
    def call_details(self, at: int, sid: str | None, fields: dict[str, Any]) -> None:
        self.deliver(found(f"details {len(self.came)}", at, sid=sid, **fields, n=len(self.came)))

    @precondition(lambda self: self.answers == 0)
    @rule(at=moments, sid=st.sampled_from([SID, OTHER, RIVALS, None]))
    def accepted_answer(self, at: int, sid: str | None) -> None:
        self.answers += 1
        self.deliver(accepted(at, sid))

    @precondition(lambda self: self.answers == 0)
    @rule(event=st.sampled_from([refused("10706"), refused("10725", tries=2), unconfirmed()]))
    def another_answer(self, event: SampleEvent) -> None:
        self.answers += 1
        self.deliver(event)

    @rule(event=st.sampled_from([no_response(), not_found()]))
    def no_information(self, event: SampleEvent) -> None:
        if event not in self.came:
            self.deliver(event)

    @precondition(lambda self: self.came)
    @rule(data=st.data(), later=moments)
    def repetition(self, data: st.DataObject, later: int) -> None:
        event = data.draw(st.sampled_from(self.came))
        self.driver.deliver(self.call, dataclasses.replace(event, seconds=later))

    @invariant()
    def rules_hold(self) -> None:
        seen = self.driver.see(self.call)
        assert self.driver.faults(self.call, seen, len(self.came), taken=RIVALS) == []
        if self.before is not None and not seen.was_rebuilt:
            assert lost_facts(self.before, seen.record, settled="settled" in seen.facts) == []
        self.before = seen.record

    @invariant()
    def rival_is_unchanged(self) -> None:
        rival = CallRecord.objects.get(call_sid=RIVALS)
        assert (rival.state, rival.outcome, rival.recording_url) == (State.ACTIVE, "", "")


@pytest.fixture
def driver(db: None) -> Iterator[CallDriver]:
    with CallDriver() as driver:
        yield driver


def test_any_events_in_any_order(driver: CallDriver) -> None:
    # Fails when an invariant of the machine fails.
    run_state_machine_as_test(
        lambda: Exotel(driver),
        settings=settings(
            max_examples=40, stateful_step_count=10, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
