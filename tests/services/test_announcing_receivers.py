"""Receivers of every kind, and the ticket they are given, whatever became of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback
from tests.helpdesk.models import Lead, LeadPhone, LoudTicket, Ticket, UrgentTicket

Connect = Callable[..., None]
pytestmark = pytest.mark.books_differ(reason="the tests speak in the place of Exotel")


class Desk:
    """A host's class with a receiver of its own."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_end(self, **kwargs: Any) -> None:
        self.heard.append(kwargs["call"].outcome)

    def __call__(self, **kwargs: Any) -> None:
        self.on_end(**kwargs)


@pytest.fixture
def call(host: Any, exotel: Simulator) -> CallRecord:
    """A call about a ticket, accepted by Exotel."""
    return place_call(agent=host.agent(), ticket=host.ticket())


@pytest.fixture
def tickets_heard(receivers: Connect) -> list[Any]:
    """(sender, ticket) of each call_ended."""
    heard: list[Any] = []
    receivers(signals.call_ended, lambda sender, ticket, **kwargs: heard.append((sender, ticket)))
    return heard


def identities() -> list[str]:
    return [fate["receiver"] for fate in Announcement.objects.get(signal="call_ended").receivers]


def test_a_bound_method(receivers: Connect, call: CallRecord) -> None:
    desk = Desk()
    receivers(signals.call_ended, desk.on_end)

    record_callback(call, "terminal", status="failed")

    assert desk.heard == ["failed"]
    assert identities() == [f"{__name__}.Desk.on_end"]


def test_an_object_that_can_be_called(receivers: Connect, call: CallRecord) -> None:
    desk = Desk()
    receivers(signals.call_ended, desk)

    record_callback(call, "terminal", status="failed")

    assert desk.heard == ["failed"]
    assert identities() == [f"{__name__}.Desk"]


def test_a_dispatch_uid_is_the_receivers_name(receivers: Connect, call: CallRecord) -> None:
    receivers(signals.call_ended, Desk().on_end, dispatch_uid="desk.on_end")

    record_callback(call, "terminal", status="failed")

    assert identities() == ["desk.on_end"]


def test_a_weakly_held_receiver_is_told_while_it_lives(call: CallRecord) -> None:
    living, dead = Desk(), Desk()
    signals.call_ended.connect(living.on_end)
    signals.call_ended.connect(dead.on_end)
    try:
        del dead
        gc.collect()

        record_callback(call, "terminal", status="failed")
    finally:
        signals.call_ended.disconnect(living.on_end)

    assert living.heard == ["failed"]
    assert identities() == [f"{__name__}.Desk.on_end"]


def test_an_async_receiver_writes_in_the_same_transaction(receivers: Connect, call: CallRecord) -> None:
    async def close(ticket: Ticket, **kwargs: Any) -> None:
        ticket.status = "closed"
        await ticket.asave(update_fields=["status"])

    async def fail(ticket: Ticket, **kwargs: Any) -> None:
        await sync_to_async(Ticket.objects.filter(pk=ticket.pk).update)(team="half done")
        raise LookupError("gone")

    receivers(signals.call_ended, close, dispatch_uid="close")
    receivers(signals.call_ended, fail, dispatch_uid="fail")

    record_callback(call, "terminal", status="failed")

    ticket = Ticket.objects.get()
    assert (ticket.status, ticket.team) == ("closed", "")
    assert identities() == ["close", "fail"]


def test_an_async_receiver_that_is_cancelled_takes_nothing_with_it(receivers: Connect, call: CallRecord) -> None:
    async def give_up(**kwargs: Any) -> None:
        raise asyncio.CancelledError

    receivers(signals.call_ended, give_up, dispatch_uid="give up")

    record_callback(call, "terminal", status="failed")

    assert CallRecord.objects.get().state == "ended"
    assert Announcement.objects.get(signal="call_ended").receivers[0]["error"] == "CancelledError()"


# The ticket.


def test_a_deleted_ticket_is_none_and_its_model_still_the_sender(call: CallRecord, tickets_heard: list[Any]) -> None:
    Ticket.objects.all().delete()

    record_callback(call, "terminal", status="failed")

    assert tickets_heard == [(Ticket, None)]
    assert CallRecord.objects.get().ticket_label == "Broken fan"


def test_custom_field_alone_finds_the_ticket(host: Any, exotel: Simulator, tickets_heard: list[Any]) -> None:
    ticket = host.ticket()
    call = place_call(agent=host.agent(), to="+919000001009", custom_field=f"ticket_{ticket.pk}")

    record_callback(call, "terminal", status="failed")

    assert tickets_heard == [(Ticket, ticket)]


def test_a_ticket_whose_content_type_is_gone_is_found_by_custom_field(
    call: CallRecord, tickets_heard: list[Any]
) -> None:
    CallRecord.objects.update(ticket_content_type=None)

    record_callback(call, "terminal", status="failed")

    assert tickets_heard == [(Ticket, Ticket.objects.get())]


def test_a_ticket_of_a_model_that_is_gone_is_none(call: CallRecord, tickets_heard: list[Any]) -> None:
    old = ContentType.objects.create(app_label="helpdesk", model="fax")
    CallRecord.objects.update(ticket_content_type=old, custom_field="fax_1")
    ContentType.objects.clear_cache()

    record_callback(call, "terminal", status="failed")

    old.delete()
    assert tickets_heard == [(CallRecord, None)]


def test_broken_ticket_settings_lose_no_news(call: CallRecord, tickets_heard: list[Any], settings: Any) -> None:
    CallRecord.objects.update(ticket_content_type=None)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": {"prefix": "NOT VALID"}}}

    record_callback(call, "terminal", status="failed")

    assert CallRecord.objects.get().state == State.ENDED
    assert Announcement.objects.get(signal="call_ended").state == "failed"
    assert tickets_heard == []


@pytest.mark.parametrize("model", [UrgentTicket, LoudTicket])
def test_a_child_or_proxy_is_told_as_the_declared_model(
    host: Any, exotel: Simulator, tickets_heard: list[Any], model: type[Ticket]
) -> None:
    ticket = model.objects.create(subject="Fire", customer=host.ticket().customer)

    call = place_call(agent=host.agent(), ticket=ticket)
    record_callback(call, "terminal", status="failed")

    [(sender, heard)] = tickets_heard
    assert sender is type(heard) is Ticket
    assert heard.pk == ticket.pk
    assert list(CallRecord.objects.about(ticket)) == list(CallRecord.objects.about(heard)) == [call]


def test_a_declared_proxy_is_a_ticket_of_its_own(
    host: Any, exotel: Simulator, tickets_heard: list[Any], settings: Any
) -> None:
    settings.EXOTEL_CCM = {
        **settings.EXOTEL_CCM,
        "TICKETS": {"helpdesk.LoudTicket": {"prefix": "loud", "phone": "customer.phone"}},
    }
    ticket = LoudTicket.objects.create(subject="Fire", customer=host.ticket().customer)

    call = place_call(agent=host.agent(), ticket=ticket)
    record_callback(call, "terminal", status="failed")

    assert [(sender, type(heard)) for sender, heard in tickets_heard] == [(LoudTicket, LoudTicket)]
    assert CallRecord.objects.get().ticket == ticket
    assert list(CallRecord.objects.about(ticket)) == [call]


def test_a_ticket_with_a_uuid_key(host: Any, exotel: Simulator, tickets_heard: list[Any]) -> None:
    lead = Lead.objects.create(name="Meera")
    LeadPhone.objects.create(lead=lead, kind="home", number="+919000001001")

    call = place_call(agent=host.agent(), ticket=lead)
    record_callback(call, "terminal", status="failed")

    assert (call.custom_field, call.ticket_object_id) == (f"lead_{lead.pk}", str(lead.pk))
    assert tickets_heard == [(Lead, lead)]
