"""Unverified calls in the admin: read-only, the newest first, with their status; and the mark of external calls."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallEvent, CallRecord, UnverifiedCall
from tests.admin.pages import SEES_CALLS, SEES_NUMBERS, Page, Session

VIEWS = ("exotel_ccm.view_unverifiedcall", SEES_CALLS, SEES_NUMBERS, "exotel_ccm.view_callevent")


@pytest.fixture
def reader(host: Any) -> Session:
    return Session(host.user("meera", *VIEWS, agent=None))


def make_unverified(number: int = 0, **fields: Any) -> UnverifiedCall:
    now = timezone.now()
    values = {"account": "default", "call_sid": f"{number:032x}", "reported_at": now, "next_check_at": now}
    return UnverifiedCall.objects.create(**{**values, **fields})


def make_call(**fields: Any) -> CallRecord:
    values = {"account": "default", "created_at": timezone.now(), "customer_number": "+919000001001", "state": "active"}
    return CallRecord.objects.create(**{**values, **fields})


def changelist(session: Session, query: str = "") -> Page:
    return session.get(reverse("admin:exotel_ccm_unverifiedcall_changelist") + query)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "waiting"),
        ({"code": "http_502"}, "waiting: Exotel gave no usable answer (http_502)"),
        ({"code": "not_found", "gave_up_at": timezone.now()}, "given up: Exotel does not know such a call"),
        (
            {"code": "may_be_ours", "gave_up_at": timezone.now()},
            "given up: it may be a call placed from here whose outcome is unknown",
        ),
    ],
)
def test_status_of_an_unverified_call(fields: dict[str, Any], status: str, reader: Session) -> None:
    unverified = make_unverified(**fields)

    in_list = changelist(reader)
    page = reader.get(reverse("admin:exotel_ccm_unverifiedcall_change", args=[unverified.pk]))

    assert status in in_list.text
    assert status in page.text
    assert unverified.call_sid in page.text
    assert "Save" not in page.text
    assert "Delete" not in page.text


def test_verified_call_is_linked(reader: Session) -> None:
    call = make_call()
    unverified = make_unverified(call=call, next_check_at=None)

    page = reader.get(reverse("admin:exotel_ccm_unverifiedcall_change", args=[unverified.pk]))

    assert "verified: the call is in the records" in page.text
    assert page.links[str(call)] == reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?status=waiting", [0]),
        ("?status=verified", [1]),
        ("?status=given_up", [2]),
        ("?status=other", [2, 1, 0]),
        (f"?q={2:032x}", [2]),
    ],
)
def test_filter_search_and_order(query: str, numbers: list[int], reader: Session) -> None:
    make_unverified(0)
    make_unverified(1, next_check_at=None, call=make_call())
    make_unverified(2, next_check_at=None, gave_up_at=timezone.now())

    text = changelist(reader, query).text

    shown = {number: text.rfind(f"{number:032x}") for number in range(3) if f"{number:032x}" in text}
    assert sorted(shown, key=lambda number: shown[number]) == numbers


def test_unverified_calls_need_a_permission(host: Any) -> None:
    session = Session(host.user("ravi", SEES_CALLS, agent=None))

    changelist(session)

    assert session.response.status_code == 403


def test_list_queries_do_not_grow(reader: Session) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            changelist(reader)
        assert not any('"facts"' in query["sql"] for query in queries)
        return len(queries)

    make_unverified(0, call=make_call())
    cost()
    few = cost()
    for number in range(1, 20):
        make_unverified(number, call=make_call())

    assert cost() == few


def test_external_call_says_so(reader: Session) -> None:
    external, own = make_call(origin="external"), make_call(agent_label="Asha")

    pages = [reader.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])).text for call in (external, own)]

    assert "Exotel knows of this call" in pages[0]
    assert ["placed elsewhere" in page for page in pages] == [True, False]


def test_event_shows_its_account(reader: Session) -> None:
    event = CallEvent.objects.create(
        kind="callback",
        authentication="account_url",
        account="sales",
        event="terminal",
        reason="unverified",
        received_at=timezone.now(),
        fingerprint="f",
    )

    in_list = reader.get(reverse("admin:exotel_ccm_callevent_changelist"))
    page = reader.get(reverse("admin:exotel_ccm_callevent_change", args=[event.pk]))

    for text in (in_list.text, page.text):
        assert "the account's own URL" in text.replace("&#x27;", "'")
        assert "sales" in text
        assert "not verified: Call Details decides" in text
