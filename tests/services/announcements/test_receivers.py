"""Receivers of every kind, their identities, and the ticket that they get."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.announcements.dispatch import Report, deliver_pending
from django_exotel_ccm.simulator import Simulator
from tests.factories import body_of, record_callback, url_of
from tests.helpdesk.models import Lead, LeadPhone, LoudTicket, Ticket, UrgentTicket
from tests.services.announcements.queries import announcement, deliveries

Connect = Callable[..., None]
pytestmark = pytest.mark.books_differ(reason="the tests record callbacks that the simulator did not send")


class Desk:
    """A host's class with receivers of its own."""

    def __init__(self, *, broken: bool = False) -> None:
        self.called = 0
        self.broken = broken

    def on_end(self, **kwargs: Any) -> None:
        self.called += 1
        if self.broken:
            raise LookupError("broken")

    def __call__(self, **kwargs: Any) -> None:
        self.on_end(**kwargs)


# Identities.


def test_identities(receivers: Connect, call: CallRecord) -> None:
    bound, callable_object, named, living, dead = (Desk() for _desk in range(5))
    receivers(signals.call_ended, bound.on_end)
    receivers(signals.call_ended, callable_object)
    receivers(signals.call_ended, named.on_end, dispatch_uid="desk.on_end")
    for weakly_held in (living, dead):
        signals.call_ended.connect(weakly_held.on_end)
    del dead, weakly_held
    gc.collect()
    try:
        record_callback(call, "terminal", status="failed")
    finally:
        signals.call_ended.disconnect(living.on_end)

    assert [desk.called for desk in (bound, callable_object, named, living)] == [1, 1, 1, 1]
    on_end = f"{__name__}.Desk.on_end"
    assert list(deliveries("call_ended")) == [on_end, f"{__name__}.Desk", "desk.on_end", f"{on_end} #2"]


def test_duplicates_are_retried_apart(receivers: Connect, call: CallRecord) -> None:
    desks = [Desk(), Desk(broken=True), Desk()]
    for desk in desks:
        receivers(signals.call_ended, desk.on_end)
    record_callback(call, "terminal", status="completed")
    desks[1].broken = False
    Announcement.objects.update(next_try_at=timezone.now())

    assert deliver_pending(call.pk) == Report(delivered=1)
    assert [desk.called for desk in desks] == [1, 2, 1]


def test_slow_receiver_is_logged_with_the_remedy(
    receivers: Connect, call: CallRecord, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("django_exotel_ccm.services.announcements.deliveries.SLOW_SECONDS", 0.0)
    receivers(signals.call_ended, Desk().on_end, dispatch_uid="slow")

    record_callback(call, "terminal", status="completed")

    [record] = [one for one in caplog.records if one.levelname == "WARNING"]
    assert record.name == "django_exotel_ccm.services"
    assert record.getMessage().startswith("Receiver slow of call_ended took 0.0 s, and Exotel waits.")
    assert '"RUNNER": "django_tasks" or "celery"' in record.getMessage()


# Async receivers.


@pytest.mark.parametrize("fails", [False, True])
def test_async_receiver_writes_in_its_savepoint(receivers: Connect, call: CallRecord, fails: bool) -> None:
    async def close(ticket: Ticket, **kwargs: Any) -> None:
        ticket.status = "closed"
        await ticket.asave(update_fields=["status"])
        await asyncio.sleep(0)
        await sync_to_async(Ticket.objects.filter(pk=ticket.pk).update)(team="night")
        if fails:
            raise LookupError("after all its writes")

    receivers(signals.call_ended, close, dispatch_uid="close")
    receivers(signals.call_ended, Desk().on_end, dispatch_uid="desk")

    async def deliver() -> int:
        response = await AsyncClient().generic(
            "POST", url_of(call), body_of(sid=call.call_sid), content_type="application/json"
        )
        await sync_to_async(connections.close_all)()
        return response.status_code

    status = asyncio.run(deliver())

    ticket = Ticket.objects.get()
    assert (status, CallRecord.objects.get().state) == (200, State.ENDED)
    assert (ticket.status, ticket.team) == (("open", "") if fails else ("closed", "night"))
    assert [delivery["delivered"] for delivery in deliveries("call_ended").values()] == [not fails, True]


def test_cancelled_async_receiver_fails_and_is_retried(receivers: Connect, call: CallRecord) -> None:
    broken = [False, True]

    async def close(ticket: Ticket, **kwargs: Any) -> None:
        ticket.notes += "closed"
        await ticket.asave(update_fields=["notes"])
        if broken.pop():
            raise asyncio.CancelledError

    receivers(signals.call_ended, close, dispatch_uid="close")
    record_callback(call, "terminal", status="completed")
    error = deliveries("call_ended")["close"]["error"]
    Announcement.objects.update(next_try_at=timezone.now())

    assert (CallRecord.objects.get().state, error) == (State.ENDED, "CancelledError()")
    assert deliver_pending(call.pk) == Report(delivered=1)
    assert Ticket.objects.get().notes == "closed"


# The ticket.


@pytest.fixture
def tickets_sent(receivers: Connect) -> list[Any]:
    """(sender, ticket) of each call_ended."""
    sent: list[Any] = []
    receivers(signals.call_ended, lambda sender, ticket, **kwargs: sent.append((sender, ticket)))
    return sent


def test_deleted_ticket_is_none(call: CallRecord, tickets_sent: list[Any]) -> None:
    Ticket.objects.all().delete()

    record_callback(call, "terminal", status="failed")

    assert tickets_sent == [(Ticket, None)]
    assert CallRecord.objects.get().ticket_label == "Broken fan"


def test_custom_field_alone_finds_the_ticket(host: Any, exotel: Simulator, tickets_sent: list[Any]) -> None:
    ticket = host.ticket()
    call = place_call(agent=host.agent(), to="+919000001009", custom_field=f"ticket_{ticket.pk}")

    record_callback(call, "terminal", status="failed")

    assert tickets_sent == [(Ticket, ticket)]


def test_custom_field_finds_the_ticket_without_content_type(call: CallRecord, tickets_sent: list[Any]) -> None:
    CallRecord.objects.update(ticket_content_type=None)

    record_callback(call, "terminal", status="failed")

    assert tickets_sent == [(Ticket, Ticket.objects.get())]


def test_ticket_of_a_removed_model_is_none(call: CallRecord, tickets_sent: list[Any]) -> None:
    removed = ContentType.objects.create(app_label="helpdesk", model="fax")
    CallRecord.objects.update(ticket_content_type=removed, custom_field="fax_1")
    ContentType.objects.clear_cache()

    record_callback(call, "terminal", status="failed")

    removed.delete()
    assert tickets_sent == [(CallRecord, None)]


def test_broken_ticket_settings_fail_the_delivery(call: CallRecord, tickets_sent: list[Any], settings: Any) -> None:
    CallRecord.objects.update(ticket_content_type=None)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": {"prefix": "NOT VALID"}}}

    record_callback(call, "terminal", status="failed")

    assert CallRecord.objects.get().state == State.ENDED
    assert announcement("call_ended").state == "failed"
    assert tickets_sent == []


@pytest.mark.parametrize("model", [UrgentTicket, LoudTicket])
def test_child_or_proxy_is_sent_as_the_declared_model(
    host: Any, exotel: Simulator, tickets_sent: list[Any], model: type[Ticket]
) -> None:
    ticket = model.objects.create(subject="Fire", customer=host.ticket().customer)

    call = place_call(agent=host.agent(), ticket=ticket)
    record_callback(call, "terminal", status="failed")

    [(sender, sent)] = tickets_sent
    assert sender is type(sent) is Ticket
    assert sent.pk == ticket.pk
    assert list(CallRecord.objects.about(ticket)) == list(CallRecord.objects.about(sent)) == [call]


def test_declared_proxy_is_sent_as_itself(host: Any, exotel: Simulator, tickets_sent: list[Any], settings: Any) -> None:
    settings.EXOTEL_CCM = {
        **settings.EXOTEL_CCM,
        "TICKETS": {"helpdesk.LoudTicket": {"prefix": "loud", "phone": "customer.phone"}},
    }
    ticket = LoudTicket.objects.create(subject="Fire", customer=host.ticket().customer)

    call = place_call(agent=host.agent(), ticket=ticket)
    record_callback(call, "terminal", status="failed")

    assert [(sender, type(sent)) for sender, sent in tickets_sent] == [(LoudTicket, LoudTicket)]
    assert CallRecord.objects.get().ticket == ticket
    assert list(CallRecord.objects.about(ticket)) == [call]


def test_ticket_with_a_uuid_key(host: Any, exotel: Simulator, tickets_sent: list[Any]) -> None:
    lead = Lead.objects.create(name="Meera")
    LeadPhone.objects.create(lead=lead, kind="home", number="+919000001001")

    call = place_call(agent=host.agent(), ticket=lead)
    record_callback(call, "terminal", status="failed")

    assert (call.custom_field, call.ticket_object_id) == (f"lead_{lead.pk}", str(lead.pk))
    assert tickets_sent == [(Lead, lead)]
