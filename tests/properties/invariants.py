"""Invariants of the view and the parsers, for any body."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import CharField, Field, JSONField, Model, PositiveIntegerField, TextField
from django.test import Client
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.exotel.account import Secret, account_from_url
from django_exotel_ccm.exotel.callbacks import read_callback
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.client import Answer, ExotelClient, _outcome_of
from django_exotel_ccm.exotel.errors import ExotelError
from django_exotel_ccm.exotel.values import LARGEST_SECONDS
from django_exotel_ccm.lifecycle import to_registers
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.webhooks.views import MAX_BODY_BYTES
from tests.factories import raw_of, url_of
from tests.properties.oracle import record_of

ACCOUNT = account_from_url(Secret("exotel://a-key-of-ours:a-token-of-ours@mumbai/acme"), variable="EXOTEL_URL")
LATER = b'{"event_details": {"event_type": "terminal"}, "call_details": {"call_status": "failed"}}'


def is_stored_once(client: Client, body: bytes, content_type: str, event: str, account: str) -> CallRecord | None:
    """Deliver a body twice to a new call and assert that it is stored once, applied or with a reason.

    Return the call, or None if the body is too large.
    """
    call = CallRecord.objects.create(account=account, created_at=timezone.now())
    path = url_of(call, event)
    statuses = [client.generic("POST", path, body, content_type).status_code for _twice in range(2)]
    events = CallEvent.objects.filter(reference=call.reference)
    if len(body) > MAX_BODY_BYTES:
        assert (statuses, events.count()) == ([413, 413], 0)
        return None
    assert statuses == [200, 200]
    stored_event = events.get()
    call.refresh_from_db()
    assert (raw_of(stored_event), stored_event.call_id) == (body, call.pk)
    assert stored_event.reason == "" or (not stored_event.is_readable and stored_event.facts == {})
    assert call.facts == to_registers(stored_event.as_message())
    assert call.state == record_of([stored_event.as_message()]).state in (State.ACTIVE, State.ENDED)
    assert [*unstorable(call), *unstorable(stored_event)] == []
    return call


def accepts_later_end(client: Client, call: CallRecord) -> None:
    """Assert that a later terminal callback still ends the call."""
    assert client.post(url_of(call), LATER, content_type="application/json").status_code == 200
    call.refresh_from_db()
    assert call.state == State.ENDED
    assert unstorable(call) == []


def check_callback(body: bytes, content_type: str) -> None:
    """Assert that a body has facts, which survive storage, or a reason."""
    callback = read_callback(body, content_type)
    assert (callback.facts is None) is bool(callback.reason)
    if callback.facts is not None:
        assert_stored(callback.facts)
        assert read_callback(callback.canonical, "application/json").canonical == callback.canonical


def check_answer(body: bytes, status: int, header: str, *, placing: bool) -> None:
    """Assert that an answer is an acceptance with a sid, or an error with a code."""
    client = ExotelClient(ACCOUNT)
    reply = client._reply(status, {"X-Request-Id": header, "Retry-After": header}, body)
    outcome = _outcome_of(reply, placing=placing, tries=1)
    assert_stored(reply.facts)
    assert len(reply.request_id) <= 64
    assert reply.retry_after is None or 0 <= reply.retry_after <= LARGEST_SECONDS
    if isinstance(outcome, Answer):
        assert outcome.facts.call_sid
        assert 200 <= status < 300
    else:
        assert isinstance(outcome, ExotelError)
        assert outcome.code
        assert not list(unsendable([str(outcome), outcome.code]))


def assert_stored(facts: CallFacts) -> None:
    """Assert that any database can store the facts, and returns them unchanged."""
    stored = facts.as_json()
    assert not list(unsendable(stored))
    assert CallFacts.from_json(json.loads(json.dumps(stored))) == facts


def unstorable(row: Model) -> list[str]:
    """Return the columns of a row whose values SQLite took, and another database refuses."""
    return [field.name for field in row._meta.concrete_fields if list(_faults(field, getattr(row, field.attname)))]


def _faults(field: Field[Any, Any], value: Any) -> Iterator[str]:
    if isinstance(field, CharField) and value is not None and len(value) > (field.max_length or 0):
        yield "too long"
    if isinstance(field, PositiveIntegerField) and value is not None and not 0 <= value <= LARGEST_SECONDS:
        yield "too large"
    if isinstance(field, CharField | TextField | JSONField):
        yield from unsendable(value)


def unsendable(value: Any) -> Iterator[str]:
    """Yield each text, also inside JSON, that some database refuses: with NUL or a lone surrogate in it."""
    if isinstance(value, str):
        yield from [value] * any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value)
    elif isinstance(value, dict):
        yield from unsendable([*value, *value.values()])
    elif isinstance(value, list):
        for member in value:
            yield from unsendable(member)
