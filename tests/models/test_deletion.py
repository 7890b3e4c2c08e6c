"""Calls survive the deletion of agents, ExoPhones, users and tickets; rules that hold for every model."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import models
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.models.ticket_link import link_key
from tests.helpdesk.models import Customer, Lead, Ticket, UrgentTicket

OURS = list(apps.get_app_config("exotel_ccm").get_models())


@pytest.fixture
def call(db: None, django_user_model: Any) -> CallRecord:
    user = django_user_model.objects.create_user("asha")
    exophone = ExoPhone.objects.create(number="+918000000700", is_default=True)
    agent = Agent.objects.create(user=user, name="Asha", contact_uri="+919000000101", exophone=exophone)
    return CallRecord.objects.create(
        account="default",
        agent=agent,
        agent_label="Asha",
        exophone=exophone,
        exophone_number=exophone.number,
        placed_by=user,
        placed_by_label="asha",
        ticket=Ticket.objects.create(subject="Broken fan"),
        ticket_label="Broken fan",
        state=State.ENDED,
        created_at=timezone.now(),
    )


def test_call_keeps_names_of_agent_exophone_and_user(call: CallRecord, django_user_model: Any) -> None:
    ExoPhone.objects.all().delete()
    Agent.objects.all().delete()
    django_user_model.objects.all().delete()

    call = CallRecord.objects.get()
    assert (call.agent, call.exophone, call.placed_by) == (None, None, None)
    assert (call.agent_label, call.exophone_number, call.placed_by_label) == ("Asha", "+918000000700", "asha")


def test_agent_survives_user_and_exophone(call: CallRecord, django_user_model: Any) -> None:
    ExoPhone.objects.all().delete()
    django_user_model.objects.all().delete()

    agent = Agent.objects.get()
    assert (agent.user, agent.exophone) == (None, None)


def test_call_keeps_label_of_deleted_ticket(call: CallRecord) -> None:
    Ticket.objects.all().delete()

    call = CallRecord.objects.get()
    assert call.ticket is None
    assert call.ticket_label == "Broken fan"


def test_call_keeps_label_of_deleted_ticket_type(call: CallRecord) -> None:
    key = str(call.ticket_object_id)
    old = ContentType.objects.create(app_label="helpdesk", model="fax")
    CallRecord.objects.update(ticket_content_type=old)

    old.delete()

    call = CallRecord.objects.get()
    assert call.ticket is None
    assert (call.ticket_label, call.ticket_object_id) == ("Broken fan", key)


def test_every_field_has_a_help_text() -> None:
    fields = [
        field for model in OURS for field in model._meta.get_fields() if field.concrete and not field.auto_created
    ]

    assert fields
    assert [str(field) for field in fields if not str(getattr(field, "help_text", ""))] == []


def test_no_model_has_a_default_ordering() -> None:
    assert [model for model in OURS if model._meta.ordering] == []


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    # Exits with status 1 if a model has changes without a migration.
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


# Which calls there are.


@pytest.fixture
def user(django_user_model: Any, db: None) -> Any:
    return django_user_model.objects.create_user("ravi")


def a_call(ticket: models.Model, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(account="default", created_at=timezone.now(), ticket=ticket, **fields)


def test_calls_about_a_ticket(db: None) -> None:
    ticket = Ticket.objects.create(pk=1, subject="Fan")
    mine, again = a_call(ticket), a_call(ticket)
    a_call(Ticket.objects.create(pk=10, subject="Lamp"))
    a_call(Lead.objects.create(name="Meera"))

    assert list(CallRecord.objects.about(ticket).newest_first()) == [again, mine]


def test_calls_about_a_child_model(db: None) -> None:
    urgent = UrgentTicket.objects.create(subject="Fire")
    call = a_call(Ticket.objects.get())

    assert list(CallRecord.objects.about(urgent)) == [call]


def test_newest_call_of_a_user_for_each_ticket(user: Any) -> None:
    fan, lamp, chair = (Ticket.objects.create(subject=subject) for subject in ("Fan", "Lamp", "Chair"))
    a_call(fan, placed_by=user)
    newest = a_call(fan, placed_by=user)
    of_lamp = a_call(lamp, placed_by=user)
    a_call(lamp)

    found = CallRecord.objects.newest_by(user, [fan, lamp, chair])

    assert found == {link_key(fan): newest, link_key(lamp): of_lamp}
    assert CallRecord.objects.newest_by(user, []) == {}


def test_newest_calls_about_tickets_of_two_kinds_with_one_key(user: Any) -> None:
    ticket, customer = Ticket.objects.create(pk=7, subject="Fan"), Customer.objects.create(pk=7, name="Meera")
    calls = [a_call(ticket, placed_by=user), a_call(customer, placed_by=user)]

    found = CallRecord.objects.newest_by(user, [ticket, customer])

    assert [found[link_key(ticket)], found[link_key(customer)]] == calls
