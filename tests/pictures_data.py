"""What the pictures show: the demo's people and tickets, and the calls of some days."""

from __future__ import annotations

import datetime
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import override
from helpdesk.models import Customer, Ticket
from helpdesk.seeding import seed

from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import Agent, CallRecord, Disposition, FollowUp
from django_exotel_ccm.services import add_note, place_call

TALKED = {"outcome": "completed"}
NO_ANSWER = {"outcome": "customer_unanswered", "total_duration": 32}


def fill_in_english() -> Ticket:
    """Return a ticket with some calls, among others of today that are on "My calls"."""
    seed()
    invoice, remote, yearly, parcel = (
        Ticket.objects.get(subject__startswith=words) for words in ("Invoice", "Remote", "Wants", "Delivery")
    )
    add_call(invoice, days=6, agent="Vik", **TALKED, talk_time=74)
    refuse(invoice, days=3, agent="Ola")
    add_call(invoice, days=1, hours=2, **TALKED, talk_time=41, note="On the train, the line broke.", code="call_later")
    add_call(remote, minutes=95, **TALKED, talk_time=221, note="Tries new batteries.", code="reached")
    add_call(parcel, minutes=52, **NO_ANSWER)
    add_call(yearly, minutes=18, outcome="busy", total_duration=6)
    call_back(remote, hours=-1.5, text="After lunch.")
    call_back(yearly, hours=2, text="Asks her husband first.")
    return invoice


def fill_in_hindi() -> Ticket:
    """Return a ticket in Hindi with some calls; the dispositions are in Hindi from now on."""
    with override("hi"):
        for code, label, _means in Disposition.objects.all().STARTERS:
            Disposition.objects.filter(code=code).update(label=str(label))
    customer = Customer.objects.create(name="सुनीता देवी", phone="+919000001009", city="पटना")
    fan = Ticket.objects.create(subject="पंखा रात में आवाज़ करता है", customer=customer)
    add_call(fan, days=4, agent="Vik", **NO_ANSWER)
    add_call(fan, days=1, hours=3, **TALKED, talk_time=96, note="सोमवार से, सबसे धीमी गति पर।", code="reached")
    return fan


def add_call(ticket: Ticket, *, agent: str = "Asha", note: str = "", code: str = "", **facts: Any) -> None:
    """Add a call that is over, so many days, hours or minutes ago."""
    began = ago(facts)
    user = User.objects.get(first_name=agent)
    call = CallRecord.objects.create(
        account="default",
        ticket=ticket,
        ticket_label=str(ticket),
        placed_by=user,
        agent_label=agent,
        customer_label=ticket.customer.name,
        customer_number=ticket.customer.phone,
        state="ended",
        created_at=began,
        ended_at=began,
        **facts,
    )
    if note:
        add_note(call, author=user, text=note, disposition=Disposition.objects.get(code=code))


def refuse(ticket: Ticket, *, agent: str, **facts: Any) -> None:
    """Have Exotel refuse a call, because the agent's device is off."""
    with suppress(CallRefused):
        place_call(agent=Agent.objects.get(name=agent), ticket=ticket, placed_by=User.objects.get(first_name=agent))
    CallRecord.objects.filter(state="refused").update(created_at=ago(facts))


def call_back(ticket: Ticket, *, text: str, **due: float) -> None:
    """Add a call-back of asha's, due in so many hours."""
    now = timezone.now()
    FollowUp.objects.create(
        ticket=ticket,
        assigned_to=User.objects.get(username="asha"),
        due_at=now + datetime.timedelta(**due),
        text=text,
        created_at=now,
    )


def ago(facts: dict[str, Any]) -> datetime.datetime:
    """Take the time out of ``facts``."""
    units = {unit: facts.pop(unit) for unit in ("days", "hours", "minutes") if unit in facts}
    return timezone.now() - datetime.timedelta(**units)
