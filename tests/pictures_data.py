"""What the pictures show: the demo's people and tickets, and the calls of some days."""

from __future__ import annotations

import datetime
import random
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import override
from helpdesk.models import Customer, Ticket
from helpdesk.seeding import seed

from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import Agent, CallList, CallRecord, Device, Disposition, FollowUp
from django_exotel_ccm.services import add_note, place_call
from django_exotel_ccm.services.call_lists import create_call_list, skip

TALKED = {"outcome": "completed"}
NO_ANSWER = {"outcome": "customer_unanswered", "total_duration": 32}
HOW_CALLS_GO: dict[tuple[str, int | None], int] = {
    ("completed", 214): 30,
    ("completed", 71): 25,
    ("customer_unanswered", 0): 22,
    ("busy", 0): 9,
    ("agent_unanswered", 0): 6,
    ("unknown", None): 2,
}
"""Outcome and talk time: how many in a hundred, about."""
SUNDAY = 6


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


def list_of_calls() -> CallList:
    """Return a call list of asha's, of whose tickets the first is skipped."""
    subjects = ("Ceiling", "Wants", "Delivery", "Remote")
    tickets = [Ticket.objects.get(subject__startswith=words) for words in subjects]
    asha = User.objects.get(username="asha")
    keys = [ticket.pk for ticket in tickets]
    made = create_call_list(owner=asha, name="Ask about the yearly plan", model=Ticket, keys=keys)
    skip(made.items.all()[0])
    return made


def ask_not_to_call() -> Ticket:
    """Return the ticket of a customer who has asked not to be called."""
    ticket = Ticket.objects.get(subject__startswith="Please send no more")
    add_call(ticket, days=2, agent="Uma", **TALKED, talk_time=35, note="Wants no calls any more.", code="do_not_call")
    return ticket


def fill_in_week() -> list[datetime.date]:
    """Add the calls of a desk of four, and return their days: the week that ended yesterday."""
    chance = random.Random(11)  # the same figures each time
    tickets = list(Ticket.objects.select_related("customer"))
    now = timezone.localtime()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - datetime.timedelta(days=number) for number in range(7, 0, -1)]
    for day in days:
        for _number in range(5 if day.weekday() == SUNDAY else chance.randint(24, 40)):
            [(outcome, talk_time)] = chance.choices([*HOW_CALLS_GO], [*HOW_CALLS_GO.values()])
            began = day + datetime.timedelta(minutes=chance.randint(9 * 60, 19 * 60))
            agent = chance.choice(("Asha", "Asha", "Vik", "Ola", "Uma"))
            minutes = (now - began) / datetime.timedelta(minutes=1)
            add_call(chance.choice(tickets), agent=agent, minutes=minutes, outcome=outcome, talk_time=talk_time)
    return [day.date() for day in days]


def fill_in_moment() -> None:
    """Have two agents talk, one wait for a call, and one have their phone off."""
    now = timezone.now()
    for agent in Agent.objects.all():
        Device.objects.create(
            agent=agent,
            exotel_id=str(agent.pk),
            contact_uri=agent.contact_uri,
            kind="phone",
            is_on=agent.name != "Ola",
            is_verified=True,
            seen_at=now - datetime.timedelta(minutes=4),
        )
    for words, name, seconds in (("Ceiling", "Vik", 192), ("Delivery", "Uma", 47)):
        talking = {"state": "active", "answered_at": now - datetime.timedelta(seconds=seconds), "ended_at": None}
        add_call(Ticket.objects.get(subject__startswith=words), agent=name, minutes=(seconds + 12) / 60, **talking)


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
    """Add a call of so many days, hours or minutes ago. It is over, unless ``facts`` say otherwise."""
    began = ago(facts)
    user = User.objects.get(first_name=agent)
    usual = {"state": "ended", "ended_at": began}
    call = CallRecord.objects.create(
        account="default",
        agent=Agent.objects.get(name=agent),
        agent_label=agent,
        ticket=ticket,
        ticket_label=str(ticket),
        placed_by=user,
        customer_label=ticket.customer.name,
        customer_number=ticket.customer.phone,
        created_at=began,
        **usual | facts,
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
        assigned_to_label="Asha",
        due_at=now + datetime.timedelta(**due),
        text=text,
        created_at=now,
    )


def ago(facts: dict[str, Any]) -> datetime.datetime:
    """Take the time out of ``facts``."""
    units = {unit: facts.pop(unit) for unit in ("days", "hours", "minutes") if unit in facts}
    return timezone.now() - datetime.timedelta(**units)
