"""Receivers that are hard to tell apart, that are slow, and that are async, also below an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.services.announcements.dispatch import Report, deliver_pending
from tests.factories import record_callback
from tests.helpdesk.models import Ticket
from tests.webhooks.conftest import body_of, url_of

Connect = Callable[..., None]


class Desk:
    """A host's class with a receiver of its own."""

    def __init__(self, *, broken: bool = False) -> None:
        self.heard: list[Any] = []
        self.broken = broken

    def on_end(self, call: CallRecord, **kwargs: Any) -> None:
        self.heard.append(call.pk)
        if self.broken:
            raise LookupError("broken")


@pytest.fixture
def call(host: Any) -> CallRecord:
    """A call about a ticket."""
    ticket = host.ticket()
    return CallRecord.objects.create(account="default", created_at=timezone.now(), custom_field=f"ticket_{ticket.pk}")


def announced() -> Announcement:
    return Announcement.objects.get(signal="call_ended")


def test_namesakes_are_told_apart(receivers: Connect, call: CallRecord) -> None:
    first, second, third = Desk(), Desk(broken=True), Desk()
    for desk in (first, second, third):
        receivers(signals.call_ended, desk.on_end)
    record_callback(call, "terminal", status="completed")
    second.broken = False
    Announcement.objects.update(next_try_at=timezone.now())

    report = deliver_pending(call.pk)

    name = f"{__name__}.Desk.on_end"
    assert [fate["receiver"] for fate in announced().receivers] == [name, f"{name} #2", f"{name} #3"]
    assert [len(desk.heard) for desk in (first, second, third)] == [1, 2, 1]
    assert report == Report(delivered=1)


def test_a_slow_receiver_is_named_with_the_cure(
    receivers: Connect, call: CallRecord, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("django_exotel_ccm.services.announcements.announce.SLOW_SECONDS", 0.0)
    receivers(signals.call_ended, Desk().on_end, dispatch_uid="slow")

    record_callback(call, "terminal", status="completed")

    [record] = [one for one in caplog.records if one.levelname == "WARNING"]
    assert record.name == "django_exotel_ccm.services"
    assert record.getMessage().startswith("Receiver slow of call_ended took 0.0 s, and Exotel waits.")
    assert '"RUNNER": "django_tasks" or "celery"' in record.getMessage()


@pytest.mark.parametrize("fails", [False, True])
def test_an_async_receiver_below_an_event_loop_writes_in_its_savepoint(
    receivers: Connect, call: CallRecord, fails: bool
) -> None:
    async def close(ticket: Ticket, **kwargs: Any) -> None:
        ticket.status = "closed"
        await ticket.asave(update_fields=["status"])
        await asyncio.sleep(0)
        await sync_to_async(Ticket.objects.filter(pk=ticket.pk).update)(team="night")
        if fails:
            raise LookupError("too late to have written nothing")

    receivers(signals.call_ended, close, dispatch_uid="close")
    receivers(signals.call_ended, Desk().on_end, dispatch_uid="desk")

    async def deliver() -> int:
        response = await AsyncClient().generic("POST", url_of(call), body_of(), content_type="application/json")
        await sync_to_async(connections.close_all)()
        return response.status_code

    status = asyncio.run(deliver())

    ticket = Ticket.objects.get()
    assert (status, CallRecord.objects.get().state) == (200, State.ENDED)
    assert (ticket.status, ticket.team) == (("open", "") if fails else ("closed", "night"))
    assert [fate["delivered"] for fate in announced().receivers] == [not fails, True]


def test_an_async_receiver_is_called_again_in_a_worker(receivers: Connect, call: CallRecord) -> None:
    broken = [True]

    async def close(ticket: Ticket, **kwargs: Any) -> None:
        ticket.notes += "closed"
        await ticket.asave(update_fields=["notes"])
        if broken.pop():
            raise LookupError("not yet")

    broken.insert(0, False)
    receivers(signals.call_ended, close, dispatch_uid="close")
    record_callback(call, "terminal", status="completed")
    Announcement.objects.update(next_try_at=timezone.now())

    assert deliver_pending(call.pk) == Report(delivered=1)
    assert Ticket.objects.get().notes == "closed"
