"""The list of purges and erasures: what was removed when, and what is due."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.admin.removals import RemovalAdmin
from django_exotel_ccm.models import DoNotCall, Removal
from django_exotel_ccm.services import retention
from django_exotel_ccm.services.privacy import erase_due, schedule_erasure
from tests.admin.pages import Session

LIST = "admin:exotel_ccm_removal_changelist"
ADD = "admin:exotel_ccm_removal_add"
ADDS = "exotel_ccm.add_removal"
CUSTOMER = "+919000001001"
VIEWS = "exotel_ccm.view_removal"


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("meera", VIEWS, agent=None))


def expired(count: int) -> None:
    expires_at = timezone.now() - datetime.timedelta(days=31)
    DoNotCall.objects.bulk_create(
        DoNotCall(number=f"+91900000{number:04}", expires_at=expires_at) for number in range(count)
    )


def test_empty_list_says_how_to_begin(session: Session) -> None:
    text = session.get(reverse(LIST)).text

    assert "Nothing was purged or erased yet." in text
    assert "always (“raw_bodies” is not set)" in text
    assert text.count("none yet") == len(retention.CLOCKS)


def test_clocks_and_what_is_due(session: Session, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RETENTION": {"do_not_call": 30, "raw_bodies": 1}}
    expired(3)
    started_at = timezone.now() - datetime.timedelta(days=40)
    Removal.objects.create(kind="raw_bodies", removed=1234, started_at=started_at, ended_at=started_at)
    Removal.objects.create(kind="customer", removed=2, started_at=started_at)
    Removal.objects.create(kind="recordings", removed=2, started_at=started_at)

    text = session.get(reverse(LIST)).text

    assert "expired do-not-call numbers 30 days 3 none yet" in text
    assert "raw bodies of events 1 day 0" in text
    assert "1234" in text.replace(",", "")
    assert "a customer, on request" in text
    assert "not finished; the next one goes on" in text
    assert "Nothing was purged" not in text
    monkeypatch.setattr("django_exotel_ccm.services.retention.COUNTED", 2)
    monkeypatch.setattr("django_exotel_ccm.admin.removals.COUNTED", 2)
    assert "expired do-not-call numbers 30 days 2+ none yet" in session.get(reverse(LIST)).text


def test_nobody_changes_or_deletes_what_has_begun(session: Session, host: Any) -> None:
    removal = Removal.objects.create(kind="customer", removed=2, started_at=timezone.now())
    host.user("root", is_superuser=True, agent=None)
    root = Session(host.user("boss", is_superuser=True, agent=None))
    page = reverse("admin:exotel_ccm_removal_change", args=[removal.pk])

    assert root.client.get(page).status_code == 200
    assert root.client.get(reverse("admin:exotel_ccm_removal_delete", args=[removal.pk])).status_code == 403
    assert root.client.post(page, {"removed": "0"}).status_code == 403
    assert Removal.objects.get().removed == 2


def test_customer_is_erased_by_the_next_purge(host: Any, real_calls: Any) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    session = Session(host.user("meera", VIEWS, ADDS, agent=None))

    page = session.get(reverse(LIST))
    assert "Erase a customer" in page.links
    form = session.get(page.links["Erase a customer"]).of_id("removal_form")
    session.post(reverse(ADD), form.data | {"number": "090000 01001"})
    page = session.get(reverse(LIST))

    assert "waits for the next exotel_purge --apply" in page.text
    assert "1 customer is to be erased" in page.text
    assert CUSTOMER not in page.html
    assert not any(CUSTOMER[3:] in str(values) for values in LogEntry.objects.values())
    assert erase_due() == (1, 0)
    assert "done" in session.get(reverse(LIST)).text
    call.refresh_from_db()
    assert call.customer_number == ""


def test_page_tells_nobody_who_is_a_customer(host: Any, real_calls: Any) -> None:
    real_calls.accepted(customer_number=CUSTOMER)
    session = Session(host.user("meera", VIEWS, ADDS, agent=None))
    form = session.get(reverse(ADD)).of_id("removal_form")

    known, unknown = (
        session.post(reverse(ADD), form.data | {"number": number}).messages for number in (CUSTOMER, "+919000001999")
    )

    assert known
    assert re.sub(r"removal/\d+", "", known) == re.sub(r"removal/\d+", "", unknown)


def test_who_may_see_numbers_sees_whose_erasure_waits(host: Any) -> None:
    schedule_erasure(CUSTOMER)
    session = Session(host.user("chief", VIEWS, "exotel_ccm.view_customer_number", agent=None))

    assert CUSTOMER in session.get(reverse(LIST)).text


@pytest.mark.parametrize("number", ["", "12", "no number", "+91 90000 0100", "\x00"])
def test_numbers_that_are_none(host: Any, number: str) -> None:
    session = Session(host.user("meera", VIEWS, ADDS, agent=None))
    form = session.get(reverse(ADD)).of_id("removal_form")

    page = session.post(reverse(ADD), form.data | {"number": number})

    assert session.response.status_code == 200
    assert "Please correct the error below" in page.text
    assert not Removal.objects.exists()


def test_erasure_that_waits_is_taken_back(host: Any) -> None:
    removal = schedule_erasure(CUSTOMER)
    address = reverse("admin:exotel_ccm_removal_delete", args=[removal.pk])
    viewer = Session(host.user("asha", VIEWS, agent=None))
    deleter = Session(host.user("meera", VIEWS, "exotel_ccm.delete_removal", agent=None))

    assert viewer.client.get(address).status_code == 403
    form = next(one for one in deleter.get(address).forms if ("post", "yes") in one.fields)
    deleter.post(address, form.data)

    assert not Removal.objects.exists()
    assert not any(CUSTOMER[3:] in str(values) for values in LogEntry.objects.values())


def test_erasure_that_begins_while_it_is_taken_back_goes_on(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    removal = schedule_erasure(CUSTOMER)
    session = Session(host.user("meera", VIEWS, "exotel_ccm.delete_removal", agent=None))
    address = reverse("admin:exotel_ccm_removal_delete", args=[removal.pk])
    form = next(one for one in session.get(address).forms if ("post", "yes") in one.fields)
    log = RemovalAdmin.log_deletions

    def begin_first(*arguments: Any) -> Any:
        Removal.objects.update(is_waiting=False)
        return log(*arguments)

    monkeypatch.setattr(RemovalAdmin, "log_deletions", begin_first)
    session.post(address, form.data)

    assert session.response.status_code == 403
    assert Removal.objects.get().number == CUSTOMER
    assert not LogEntry.objects.exists()


def test_erasing_needs_its_permission(session: Session, host: Any) -> None:
    form = Session(host.user("boss", ADDS, VIEWS, agent=None)).get(reverse(ADD)).of_id("removal_form")

    assert "Erase a customer" not in session.get(reverse(LIST)).links
    assert session.client.get(reverse(ADD)).status_code == 403
    assert session.client.post(reverse(ADD), form.data | {"number": CUSTOMER}).status_code == 403
    assert not Removal.objects.exists()


def test_list_needs_its_permission(host: Any) -> None:
    session = Session(host.user("asha", "exotel_ccm.view_callrecord"))

    assert session.client.get(reverse(LIST)).status_code == 403


def test_statements_of_the_list_do_not_grow(session: Session, django_assert_max_num_queries: Any) -> None:
    now = timezone.now()
    Removal.objects.bulk_create(Removal(kind="customer", removed=1, started_at=now, ended_at=now) for _n in range(90))

    with django_assert_max_num_queries(12):
        session.get(reverse(LIST))
