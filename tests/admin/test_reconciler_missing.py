"""The warning of the admin and the checks when calls are due and no process reconciles."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.core.checks import run_checks
from django.core.management import call_command
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.reconciliation.reconcile import Report, reconcile

SENTENCE = "exotel_reconcile has not run for 15 minutes"


@pytest.fixture
def overdue(db: None) -> CallRecord:
    """A call that has been due for twenty minutes."""
    due = timezone.now() - datetime.timedelta(minutes=20)
    return CallRecord.objects.create(created_at=due, account="default", details_check_at=due, next_check_at=due)


@pytest.fixture
def reader(client: Any, django_user_model: Any) -> Any:
    """A client who may see everything."""
    client.force_login(django_user_model.objects.create_superuser("root"))
    return client


def warnings() -> list[str | None]:
    return [found.id for found in run_checks(databases=["default"]) if found.id == "exotel_ccm.W005"]


def test_admin_and_checks_warn(overdue: CallRecord, reader: Any) -> None:
    lists, page = "/admin/exotel_ccm/callrecord/", f"/admin/exotel_ccm/callrecord/{overdue.pk}/change/"

    assert SENTENCE in reader.get(lists).content.decode()
    assert SENTENCE in reader.get(page).content.decode()
    assert warnings() == ["exotel_ccm.W005"]

    call_command("exotel_reconcile", verbosity=0)

    assert SENTENCE not in reader.get(lists).content.decode()
    assert warnings() == []


def test_script_that_looks_at_the_page_takes_no_message(overdue: CallRecord, reader: Any) -> None:
    """After a note our script fetches the call's page for its list of notes; nobody reads the messages in it."""
    page = f"/admin/exotel_ccm/callrecord/{overdue.pk}/change/"
    reader.post("/admin/auth/group/add/", {"name": "Night shift"})

    checked = reader.get(page, headers={"X-Exotel-Check": "1"}).content.decode()
    shown = reader.get(page).content.decode()

    assert ["was added successfully" in one for one in (checked, shown)] == [False, True]
    assert [one.count(SENTENCE) for one in (checked, shown)] == [0, 1]
    assert 'data-exotel-inline="notes"' in checked


def test_no_warning_during_a_long_pass(overdue: CallRecord) -> None:
    due = overdue.created_at
    for _number in range(2):
        CallRecord.objects.create(created_at=due, account="default", details_check_at=due, next_check_at=due)
    found = []

    with time_machine.travel(timezone.now(), tick=True) as clock:

        def slow(_report: Report) -> None:
            found.append(warnings())
            clock.shift(datetime.timedelta(minutes=20))

        reconcile(progress=slow)

    assert found == [[], [], []]


@pytest.mark.parametrize("minutes", [None, 14])
def test_no_warning_when_nothing_is_long_due(minutes: int | None, overdue: CallRecord, reader: Any) -> None:
    due = None if minutes is None else timezone.now() - datetime.timedelta(minutes=minutes)
    CallRecord.objects.update(details_check_at=due, next_check_at=due)

    assert SENTENCE not in reader.get("/admin/exotel_ccm/callrecord/").content.decode()
    assert warnings() == []


def test_check_reads_only_the_given_databases(overdue: CallRecord) -> None:
    assert not [found for found in run_checks() if found.id == "exotel_ccm.W005"]


def test_call_given_up_is_shown_and_found(overdue: CallRecord, reader: Any) -> None:
    CallRecord.objects.update(state="unconfirmed", gave_up_at=timezone.now(), details_check_at=None, next_check_at=None)
    other = CallRecord.objects.create(created_at=timezone.now(), account="default", state="unconfirmed")

    listed = reader.get("/admin/exotel_ccm/callrecord/?never_confirmed=yes").content.decode()
    page = reader.get(f"/admin/exotel_ccm/callrecord/{overdue.pk}/change/").content.decode()

    assert f"callrecord/{overdue.pk}/change" in listed
    assert "We don&#x27;t know how it ended" in listed
    assert f"callrecord/{other.pk}/change" not in listed
    assert "We don&#x27;t know how it ended" in page
    assert "We stopped asking at" in page
