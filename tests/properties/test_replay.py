"""After any events in any order, a replay finds no difference, and rebuilds a damaged record."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_exotel_ccm.choices import State
from django_exotel_ccm.lifecycle import Message
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import record_event
from django_exotel_ccm.services.replay import replay
from tests.lifecycle.messages import ACCEPTED, ANSWERED, STALE, START, TERMINAL, answer, events
from tests.management.conftest import record

_numbers = itertools.count()

#: The usual messages of a call.
LIKELY = st.sampled_from([ACCEPTED, ANSWERED, TERMINAL, STALE, answer(State.UNCONFIRMED, 2)])


def event_of(one: Message, call: CallRecord) -> CallEvent:
    return CallEvent(
        reference=call.reference,
        kind=one.kind,
        authentication="signed_url",
        event=one.event,
        facts=one.facts.as_json(),
        verdict=one.verdict,
        code=one.refusal,
        tries=one.tries,
        received_at=one.received_at,
        raw=one.fingerprint.encode(),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_replay_after_any_events(data: st.DataObject, db: None) -> None:
    call = CallRecord.objects.create(account=f"account {next(_numbers)}", created_at=START)
    messages = data.draw(st.lists(LIKELY | events(), max_size=8))

    for one in messages:
        record_event(event_of(one, call))

    assert [one for _looked, found in replay(CallRecord.objects.filter(pk=call.pk), apply=False) for one in found] == []
    whole = record(call)
    CallRecord.objects.filter(pk=call.pk).update(facts={}, state="requested", outcome="", call_sid=None)
    list(replay(CallRecord.objects.filter(pk=call.pk), apply=True))
    assert record(call) == whole
