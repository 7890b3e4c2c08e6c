"""The people and tickets of the demo. The agents and ExoPhones are those whom the simulated Exotel knows."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction

from django_exotel_ccm.models import Agent, Disposition, ExoPhone
from helpdesk.models import Customer, Priority, Status, Ticket

PASSWORD = "demo"  # noqa: S105 - of a site that only this machine reaches
EXOPHONES = (("+918000000700", "Support"), ("+918000000701", "Sales"))
PERMISSIONS = (
    *(f"helpdesk.{what}_{model}" for what in ("add", "change", "view") for model in ("comment", "customer", "ticket")),
    "exotel_ccm.place_call",
    "exotel_ccm.listen_recording",
    "exotel_ccm.view_customer_number",
    "exotel_ccm.view_callrecord",
    "exotel_ccm.view_callevent",
    "exotel_ccm.add_callnote",
)


class SeededAgent(NamedTuple):
    """A colleague with a login and a phone in Exotel."""

    name: str
    contact_uri: str


class SeededCustomer(NamedTuple):
    """A customer. What their phone does is decided by its number: the simulator's page lists them."""

    name: str
    city: str
    phone: str
    other_phone: str = ""


class SeededTicket(NamedTuple):
    """A ticket."""

    subject: str
    customer: str
    priority: Priority
    assignee: str
    description: str


AGENTS = (
    SeededAgent("Asha", "+919000000101"),
    SeededAgent("Vik", "sip:vik4c1d77e2"),
    SeededAgent("Ola", "+919000000103"),
    SeededAgent("Uma", "+919000000104"),
)
CUSTOMERS = (
    SeededCustomer("Ravi Kumar", "Pune", "+919000001001"),
    SeededCustomer("Meera Nair", "Kochi", "+919000001009"),
    SeededCustomer("Farid Khan", "Lucknow", "+919000001002"),
    SeededCustomer("Lakshmi Rao", "Hyderabad", "+919000001008"),
    SeededCustomer("John D'Souza", "Panaji", "+919000001001", "+919000001010"),
    SeededCustomer("Sunita Devi", "Patna", ""),
    SeededCustomer("Tenzin Dorje", "Gangtok", "+919000001017"),
)
TICKETS = (
    SeededTicket("Ceiling fan hums at night", "Ravi Kumar", Priority.HIGH, "asha", "Since Monday, on the lowest step."),
    SeededTicket(
        "Invoice shows the old address",
        "Meera Nair",
        Priority.HIGH,
        "asha",
        "Answer her phone yourself, on the simulator's page: it rings for half a minute.",
    ),
    SeededTicket("Delivery came without screws", "Farid Khan", Priority.NORMAL, "asha", "He does not pick up."),
    SeededTicket("Wants to change to the yearly plan", "Lakshmi Rao", Priority.NORMAL, "vik", "Her line is busy."),
    SeededTicket("Remote control does not pair", "John D'Souza", Priority.NORMAL, "asha", "Has two numbers."),
    SeededTicket("Question about the warranty", "Sunita Devi", Priority.LOW, "ola", "Has left no number."),
    SeededTicket("Please send no more adverts", "Tenzin Dorje", Priority.LOW, "uma", "Is on the do-not-disturb list."),
)


@transaction.atomic
def seed() -> Ticket:
    """Fill in what is missing, touch nothing else, and return the ticket of the demo's first call, open again."""
    Disposition.objects.add_starter_set()
    group = _support_group()
    password = make_password(PASSWORD)
    for agent in AGENTS:
        _colleague(agent, group, password)
    User.objects.get_or_create(
        username="admin", defaults={"password": password, "is_staff": True, "is_superuser": True}
    )
    for number, label in EXOPHONES:
        default = not ExoPhone.objects.filter(is_default=True, is_active=True).exists()
        ExoPhone.objects.get_or_create(number=number, defaults={"label": label, "is_default": default})
    for customer in CUSTOMERS:
        if not Customer.objects.filter(name=customer.name).exists():
            Customer.objects.create(**customer._asdict())
    for ticket in TICKETS:
        _ticket(ticket)
    first = _ticket(TICKETS[0])
    first.status = Status.OPEN
    first.save(update_fields=["status"])
    return first


@transaction.atomic
def seed_live(*, agent: str, customer: str, exophone: str, password: str) -> Ticket:
    """Fill a database of its own with one agent, one customer and their real numbers; return the ticket."""
    user, _created = User.objects.update_or_create(
        username="agent",
        defaults={"password": make_password(password), "is_staff": True, "is_superuser": True},
    )
    phone, _created = ExoPhone.objects.get_or_create(number=exophone)
    Agent.objects.update_or_create(
        user=user,
        account="default",
        defaults={"name": "You", "contact_uri": agent, "exophone": phone},
    )
    person, _created = Customer.objects.update_or_create(name="The customer", defaults={"phone": customer})
    ticket, _created = Ticket.objects.update_or_create(
        subject="A first real call", customer=person, defaults={"status": Status.OPEN, "assignee": user}
    )
    return ticket


def _support_group() -> Group:
    group, _created = Group.objects.get_or_create(name="Support")
    wanted = dict(permission.split(".")[::-1] for permission in PERMISSIONS)
    found = Permission.objects.filter(codename__in=wanted).select_related("content_type")
    group.permissions.add(*(one for one in found if one.content_type.app_label == wanted[one.codename]))
    return group


def _colleague(agent: SeededAgent, group: Group, password: str) -> None:
    defaults = {"password": password, "first_name": agent.name, "is_staff": True}
    user, created = User.objects.get_or_create(username=agent.name.lower(), defaults=defaults)
    if created:
        user.groups.add(group)
    Agent.objects.get_or_create(contact_uri=agent.contact_uri, defaults={"name": agent.name, "user": user})


def _ticket(ticket: SeededTicket) -> Ticket:
    # Names and subjects are not unique: people who try the helpdesk out may have written a second one.
    known = Ticket.objects.filter(subject=ticket.subject, customer__name=ticket.customer).order_by("pk").first()
    return known or Ticket.objects.create(
        subject=ticket.subject,
        customer=Customer.objects.filter(name=ticket.customer).order_by("pk")[0],
        priority=ticket.priority,
        assignee=User.objects.filter(username=ticket.assignee).first(),
        description=ticket.description,
    )
