"""Hypothesis plays Exotel against the real view and database: any news, any time, again and again."""

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
from tests.properties.call_driver import Desk
from tests.properties.database import taken_back
from tests.properties.oracle import taken_back as lost
from tests.properties.sample_events import (
    OTHER,
    News,
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
said: dict[str, st.SearchStrategy[Any]] = {
    "call_state": st.sampled_from(["active", "terminal", None, "ended"]),
    "call_status": words,
    "total_talk_time": st.sampled_from([0, 7, 42, "42", None, "null", -1]),
    "total_duration": st.sampled_from([0, 51, "51", None]),
    "start_time": st.sampled_from(["2026-02-11 11:30:02", "2026-02-11T06:00:02Z", "1970-01-01 05:30:00", None]),
    "end_time": st.sampled_from(["2026-02-11 11:31:02", "2026-02-11T06:00:53Z", "1970-01-01 05:30:00", None]),
    "recordings": st.lists(st.sampled_from(RECORDINGS[:5]), max_size=2),
}
details = st.fixed_dictionaries({}, optional=said)
urls = st.sampled_from(["answered", "terminal"])


class Exotel(RuleBasedStateMachine):
    """Tells one call anything, and after each piece of news asks whether all laws hold."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.undo = contextlib.ExitStack()
        self.undo.enter_context(taken_back())
        self.came: list[News] = []
        self.answers = 0
        self.before: Projection | None = None
        desk.heard.clear()

    def teardown(self) -> None:
        self.undo.close()

    @initialize()
    def two_calls(self) -> None:
        """There is a rival that has its sid already, and the call."""
        rival: CallRecord = self.desk.call()
        self.desk.deliver(rival, accepted(sid=RIVALS))
        self.desk.heard.clear()
        self.call = self.desk.call()

    def tell(self, news: News) -> None:
        self.desk.deliver(self.call, news)
        self.came.append(news)

    @rule(event=st.sampled_from(["answered", "terminal", "ringing"]), url=urls, sid=sids, at=moments, said=details)
    def a_callback(self, event: str, url: str, sid: str | None, at: int, said: dict[str, Any]) -> None:
        self.tell(v2(f"callback {len(self.came)}", at, event, url=url, sid=sid, **said, n=len(self.came)))

    @rule(
        url=urls,
        sid=st.sampled_from([SID, OTHER]),
        at=moments,
        word=words,
        leg=st.sampled_from(["no-answer", "completed"]),
    )
    def a_form(self, url: str, sid: str, at: int, word: str | None, leg: str) -> None:
        fields = {"CallSid": sid, "Status": word, "Legs[1][Status]": leg, "n": len(self.came)}
        self.tell(v1(f"form {len(self.came)}", at, url, **fields))

    @rule(url=urls, at=moments, body=st.sampled_from([b"%d\xff\x00", b"[1, %d]", b'{"n": %d}', b'{"%d']))
    def nothing_readable(self, url: str, at: int, body: bytes) -> None:
        self.tell(raw(f"nothing {len(self.came)}", at, url, body % len(self.came)))

    @rule(at=moments, sid=st.sampled_from([SID, SID, None]), said=details)
    def details_that_find_it(self, at: int, sid: str | None, said: dict[str, Any]) -> None:
        self.tell(found(f"details {len(self.came)}", at, sid=sid, **said, n=len(self.came)))

    @precondition(lambda self: self.answers == 0)
    @rule(at=moments, sid=st.sampled_from([SID, OTHER, RIVALS, None]))
    def the_answer(self, at: int, sid: str | None) -> None:
        self.answers += 1
        self.tell(accepted(at, sid))

    @precondition(lambda self: self.answers == 0)
    @rule(news=st.sampled_from([refused("10706"), refused("10725", tries=2), unconfirmed()]))
    def another_answer(self, news: News) -> None:
        self.answers += 1
        self.tell(news)

    @rule(news=st.sampled_from([no_response(), not_found()]))
    def nobody_knows(self, news: News) -> None:
        if news not in self.came:
            self.tell(news)

    @precondition(lambda self: self.came)
    @rule(data=st.data(), later=moments)
    def the_same_again(self, data: st.DataObject, later: int) -> None:
        news = data.draw(st.sampled_from(self.came))
        self.desk.deliver(self.call, dataclasses.replace(news, seconds=later))

    @invariant()
    def all_laws_hold(self) -> None:
        seen = self.desk.see(self.call)
        assert self.desk.faults(self.call, seen, len(self.came), taken=RIVALS) == []
        if self.before is not None and not seen.was_rebuilt:
            assert lost(self.before, seen.record, settled="settled" in seen.facts) == []
        self.before = seen.record

    @invariant()
    def the_rival_is_left_alone(self) -> None:
        rival = CallRecord.objects.get(call_sid=RIVALS)
        assert (rival.state, rival.outcome, rival.recording_url) == (State.ACTIVE, "", "")


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    with Desk() as desk:
        yield desk


def test_whatever_exotel_tells_all_laws_hold(desk: Desk) -> None:
    run_state_machine_as_test(
        lambda: Exotel(desk),
        settings=settings(
            max_examples=40, stateful_step_count=10, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
