"""Rows of the first shape are carried over: a host that updates finds its calls and announcements as they were."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.services.reconciling import reconcile
from django_exotel_ccm.services.telling import take_up

BEFORE = [("exotel_ccm", "0001_initial")]


@pytest.fixture
def before(transactional_db: None) -> Iterator[Any]:
    """The models before asking and telling were planned apart, over a database of that shape."""
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    yield executor.loader.project_state(BEFORE).apps
    call_command("migrate", "exotel_ccm", verbosity=0)


def fate(receiver: str, error: str = "") -> dict[str, Any]:
    return {"receiver": receiver, "error": error, "traceback": error, "attempts": 1}


def old_call(before: Any, **fields: Any) -> Any:
    now = timezone.now()
    return before.get_model("exotel_ccm", "CallRecord").objects.create(
        account="default", customer_number="+919000001001", created_at=now, **fields
    )


def test_a_call_that_was_due_is_still_looked_after(before: Any) -> None:
    due = timezone.now() - datetime.timedelta(minutes=1)
    call = old_call(before, state="requested", lease_until=due, next_check_at=due)
    over = old_call(before, state="ended", outcome="completed")

    call_command("migrate", "exotel_ccm", verbosity=0)
    reconcile()

    assert CallRecord.objects.get(pk=call.pk).state == "unconfirmed"
    assert CallRecord.objects.get(pk=over.pk).next_check_at is None


def test_announcements_are_shown_and_one_that_failed_can_be_tried_now(before: Any, admin_client: Client) -> None:
    make = before.get_model("exotel_ccm", "Announcement").objects.create
    call, now = old_call(before, state="ended", outcome="completed"), timezone.now()
    told, failed = fate("crm.close"), fate("crm.mail", "SMTPError()")
    done = make(call=call, signal="call_accepted", key="accepted", created_at=now, receivers=[told])
    mixed = make(call=call, signal="call_ended", key="ended", created_at=now, state="failed", receivers=[told, failed])

    call_command("migrate", "exotel_ccm", verbosity=0)

    assert admin_client.get(reverse("admin:exotel_ccm_announcement_changelist")).status_code == 200
    for one in (done, mixed):
        page = admin_client.get(reverse("admin:exotel_ccm_announcement_change", args=[one.pk]))
        assert "told" in page.content.decode()
    take_up(mixed.pk)
    fates = Announcement.objects.get(pk=mixed.pk).receivers
    assert [(one["receiver"], one["told"], one["given_up"]) for one in fates] == [
        ("crm.close", True, False),
        ("crm.mail", False, False),
    ]
