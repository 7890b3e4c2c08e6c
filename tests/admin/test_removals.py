"""The list of purges and erasures: what was removed when, and what is due."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import DoNotCall, Removal
from django_exotel_ccm.services import retention
from tests.admin.pages import Session

LIST = "admin:exotel_ccm_removal_changelist"
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
    assert "not finished; type the same exotel_erase again" in text
    assert "Nothing was purged" not in text
    monkeypatch.setattr("django_exotel_ccm.services.retention.COUNTED", 2)
    monkeypatch.setattr("django_exotel_ccm.admin.removals.COUNTED", 2)
    assert "expired do-not-call numbers 30 days 2+ none yet" in session.get(reverse(LIST)).text


def test_nobody_adds_changes_or_deletes(session: Session, host: Any) -> None:
    removal = Removal.objects.create(kind="customer", removed=2, started_at=timezone.now())
    host.user("root", is_superuser=True, agent=None)
    root = Session(host.user("boss", is_superuser=True, agent=None))
    page = reverse("admin:exotel_ccm_removal_change", args=[removal.pk])

    assert root.client.get(page).status_code == 200
    for name, arguments in (("add", []), ("delete", [removal.pk])):
        assert root.client.get(reverse(f"admin:exotel_ccm_removal_{name}", args=arguments)).status_code == 403
    assert root.client.post(page, {"removed": "0"}).status_code == 403
    assert Removal.objects.get().removed == 2


def test_list_needs_its_permission(host: Any) -> None:
    session = Session(host.user("asha", "exotel_ccm.view_callrecord"))

    assert session.client.get(reverse(LIST)).status_code == 403


def test_statements_of_the_list_do_not_grow(session: Session, django_assert_max_num_queries: Any) -> None:
    now = timezone.now()
    Removal.objects.bulk_create(Removal(kind="customer", removed=1, started_at=now, ended_at=now) for _n in range(90))

    with django_assert_max_num_queries(12):
        session.get(reverse(LIST))
