"""A host's own model may list its calls, and deleting a ticket never deletes them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.db import models
from django.db.models import Prefetch
from django.utils import timezone

from django_exotel_ccm.models import CallRecord, CallRelation
from django_exotel_ccm.models.ticket_link import ticket_columns
from tests.helpdesk.models import Lead, LoudTicket, Ticket, UrgentTicket

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def relation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write ``calls = CallRelation()`` into two of the host's models, with keys of different kinds."""
    for model in (Ticket, Lead):
        calls = CallRelation()
        calls.__set_name__(model, "calls")
        monkeypatch.setattr(model, "calls", calls, raising=False)


def call_about(ticket: models.Model, **fields: Any) -> CallRecord:
    content_type, key = ticket_columns(ticket)
    return CallRecord.objects.create(
        account="default",
        created_at=timezone.now(),
        ticket_content_type=content_type,
        ticket_object_id=key,
        **fields,
    )


def test_relation_lists_calls() -> None:
    ticket, other, lead = Ticket.objects.create(), Ticket.objects.create(), Lead.objects.create()
    call, _, of_lead = call_about(ticket), call_about(other), call_about(lead)

    assert list(ticket.calls.all()) == [call]
    assert list(lead.calls.filter(outcome="")) == [of_lead]
    assert ticket.calls.filter(outcome="busy").count() == 0
    assert isinstance(Ticket.calls, CallRelation)


@pytest.mark.parametrize("model", [UrgentTicket, LoudTicket])
def test_relation_of_children_and_proxies(model: type[Ticket]) -> None:
    child = model.objects.create()
    call = call_about(Ticket.objects.get())

    assert list(child.calls.all()) == [call]
    assert list(model.objects.prefetch_related("calls")[0].calls.all()) == [call]


@pytest.mark.parametrize("model", [Ticket, Lead])
def test_relation_can_be_prefetched(model: Any, django_assert_num_queries: Any) -> None:
    for _ in range(3):
        call_about(model.objects.create(), outcome="busy")
    quiet = model.objects.create()

    with django_assert_num_queries(2):
        calls = {ticket.pk: list(ticket.calls.all()) for ticket in model.objects.prefetch_related("calls")}
    assert calls.pop(quiet.pk) == []
    assert {key: [call.ticket_object_id for call in found] for key, found in calls.items()} == {
        key: [str(key)] for key in calls
    }

    chosen = Prefetch("calls", CallRecord.objects.exclude(outcome="busy"), to_attr="other_calls")
    assert [ticket.other_calls for ticket in model.objects.prefetch_related(chosen)] == [[]] * 4


@pytest.mark.parametrize("model", [Ticket, UrgentTicket, Lead])
def test_deleting_tickets_leaves_their_calls(model: Any) -> None:
    for _ in range(2):
        call_about(model.objects.create())

    model.objects.first().delete()
    model.objects.all().delete()

    assert CallRecord.objects.count() == 2


def test_relation_is_no_filter() -> None:
    call_about(Ticket.objects.create(), outcome="busy")

    with pytest.raises(FieldError, match="calls"):
        Ticket.objects.filter(calls__outcome="busy")
