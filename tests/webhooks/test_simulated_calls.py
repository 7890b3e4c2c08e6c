"""Whole simulated calls over HTTP: at the end, the database equals the simulator's book."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError
from django.db.backends.signals import connection_created

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind, State
from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import SCRIPTS
from django_exotel_ccm.simulator.scenarios import Script
from tests.comparison import assert_record_equals_book

SHAPES = ["v2", "v3", "v1_json", "v1_form", "v1_multipart"]
COMPLETED = "+919000001001"
FAST = 20_000.0  # simulated seconds in a real one


def place(host: Any, exotel: Any, number: str, custom_field: str, **options: Any) -> CallRecord:
    """Place a call as a new agent and return the record, also of a refused call."""
    uri = f"sip:{custom_field}"
    exotel.add_agent(uri)
    agent = host.agent(custom_field, uri)
    with suppress(CallRefused):
        return place_call(agent=agent, to=number, custom_field=custom_field, **options)
    return CallRecord.objects.get(custom_field=custom_field)


def finish(exotel: Any) -> None:
    exotel.speed = FAST
    exotel.wait_until_quiet(timeout=60)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_script_in_every_shape(shape: str, host: Any, exotel: Any) -> None:
    exotel.options.callback_shape = shape

    records = [
        place(host, exotel, script.number, f"{shape}_{index}", recording=bool(index % 2))
        for index, script in enumerate(SCRIPTS)
    ]
    finish(exotel)

    assert len(exotel.book.calls) == len([script for script in SCRIPTS if not script.refusal or script.rings_anyway])
    assert CallRecord.objects.count() == len(SCRIPTS)
    for record, script in zip(records, SCRIPTS, strict=True):
        record.refresh_from_db()
        assert record.state == state_after(script), script.number
    assert_record_equals_book(exotel)


def state_after(script: Script) -> State:
    """Return the state in which a call to the script's number ends."""
    if not script.refusal or script.rings_anyway:
        return State.ENDED
    return State.UNCONFIRMED if script.refusal == 1100 else State.REFUSED


ODDITIES: dict[str, dict[str, Any]] = {
    "every callback twice": {"duplicate_callbacks": True},
    "answered after terminal": {"answered_last": True},
    "no order": {"in_order": False, "duplicate_callbacks": True},
    "null as a text": {"literal_nulls": True},
    "1970 for no end": {"epoch_end_time": True},
    "local numbers": {"local_numbers": True},
    "recordings as objects": {"recordings_shape": "objects"},
    "recordings later": {"recordings_shape": "late"},
    "answered lost": {"lost_events": frozenset({"answered"})},
    "terminal lost": {"lost_events": frozenset({"terminal"})},
    "answer B": {"answer_shape": "B"},
    "answer C": {"answer_shape": "C"},
    "answer a bad gateway": {"answer_fault": "bad_gateway"},
    "answer cut": {"answer_fault": "cut"},
    "answer without sid": {"answer_fault": "no_sid"},
    "answer a web page": {"answer_fault": "html"},
    "customer key": {"to_key": "customer_contact_uri"},
}


#: These change the callbacks' bodies, which differ by shape.
IN_BODIES = ["null as a text", "1970 for no end", "local numbers", "recordings as objects", "recordings later"]


@pytest.mark.parametrize(
    ("oddity", "shape"), [*((oddity, "v2") for oddity in ODDITIES), *((oddity, "v1_form") for oddity in IN_BODIES)]
)
def test_every_oddity_of_exotel(oddity: str, shape: str, host: Any, exotel: Any) -> None:
    exotel.options.callback_shape = shape
    for name, value in ODDITIES[oddity].items():
        setattr(exotel.options, name, value)

    for index, number in enumerate([COMPLETED, "+919000001002", "+919000001011"]):
        place(host, exotel, number, f"ticket_{index}", recording=True)
    finish(exotel)

    assert len(exotel.book.calls) == 3
    assert CallRecord.objects.exclude(call_sid=None).count() == 3
    assert_record_equals_book(exotel)


def test_callback_is_sent_again_after_a_failure(host: Any, exotel: Any, failing_inserts: Callable[[int], None]) -> None:
    failing_inserts(3)  # three tries of one unit of work

    place(host, exotel, "+919000001002", "ticket_1")
    finish(exotel)

    assert [one.status for one in exotel.book.deliveries] == [503, 200]
    assert_record_equals_book(exotel)


def test_three_database_failures_leave_the_call_open(
    host: Any, exotel: Any, failing_inserts: Callable[[int], None]
) -> None:
    failing_inserts(9)

    record = place(host, exotel, "+919000001002", "ticket_1")
    finish(exotel)

    record.refresh_from_db()
    assert [one.status for one in exotel.book.deliveries] == [503, 503, 503]
    assert record.state == State.ACTIVE
    assert_record_equals_book(exotel)


def test_each_signal_is_sent_once(host: Any, exotel: Any, receivers: Callable[..., None]) -> None:
    received: list[str] = []
    for name in ("call_accepted", "call_answered", "call_ended", "recording_ready", "call_updated"):
        receivers(getattr(signals, name), lambda name=name, **kwargs: received.append(name), dispatch_uid=name)
    exotel.options.duplicate_callbacks = True
    exotel.options.in_order = False

    place(host, exotel, COMPLETED, "ticket_1", recording=True)
    finish(exotel)

    assert len(exotel.book.deliveries) == 4
    assert sorted(set(received) - {"call_answered"}) == ["call_accepted", "call_ended", "recording_ready"]
    assert len(received) == len(set(received))
    assert CallEvent.objects.filter(kind=EventKind.CALLBACK).count() == 2


@pytest.fixture
def failing_inserts() -> Any:
    """Make that many INSERTs of callbacks fail: ``failing_inserts(3)``."""
    left = [0]

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if left[0] and sql.startswith("INSERT INTO") and "exotel_ccm_callevent" in sql and "callback" in params:
            left[0] -= 1
            raise OperationalError("The disk is full.")
        return execute(sql, params, many, context)

    def watch(connection: Any, **kwargs: Any) -> None:
        connection.execute_wrappers.append(fail)

    # Each request of the live server opens a connection of its own.
    connection_created.connect(watch)
    yield lambda times: left.__setitem__(0, times)
    connection_created.disconnect(watch)
