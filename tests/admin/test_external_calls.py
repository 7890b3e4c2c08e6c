"""Hints in the admin: read-only, the newest first, and why each is no call yet; calls placed elsewhere say so."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallEvent, CallRecord, UnverifiedCall
from tests.admin.desk import SEES_CALLS, SEES_NUMBERS, Desk, Page

VIEWS = ("exotel_ccm.view_unverifiedcall", SEES_CALLS, SEES_NUMBERS, "exotel_ccm.view_callevent")


@pytest.fixture
def reader(host: Any) -> Desk:
    return Desk(host.user("meera", *VIEWS, agent=None))


def make_hint(number: int = 0, **fields: Any) -> UnverifiedCall:
    now = timezone.now()
    told = {"account": "default", "call_sid": f"{number:032x}", "heard_at": now, "next_check_at": now}
    return UnverifiedCall.objects.create(**{**told, **fields})


def make_call(**fields: Any) -> CallRecord:
    now = timezone.now()
    placed = {"account": "default", "created_at": now, "customer_number": "+919000001001", "state": "active"}
    return CallRecord.objects.create(**{**placed, **fields})


def listed(desk: Desk, query: str = "") -> Page:
    return desk.get(reverse("admin:exotel_ccm_unverifiedcall_changelist") + query)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "to be asked about"),
        ({"code": "not_found"}, "to be asked about again: Exotel does not know such a call"),
        ({"code": "http_502"}, "to be asked about again: Exotel gave no usable answer (http_502)"),
        ({"code": "not_found", "gave_up_at": timezone.now()}, "given up: Exotel does not know such a call"),
        (
            {"code": "may_be_ours", "gave_up_at": timezone.now()},
            "given up: it may be a call placed from here whose outcome is unknown",
        ),
    ],
)
def test_each_hint_says_how_it_stands(fields: dict[str, Any], words: str, reader: Desk) -> None:
    hint = make_hint(**fields)

    in_list = listed(reader)
    page = reader.get(reverse("admin:exotel_ccm_unverifiedcall_change", args=[hint.pk]))

    assert words in in_list.text
    assert words in page.text
    assert hint.call_sid in page.text
    assert "Save" not in page.text
    assert "Delete" not in page.text


def test_a_confirmed_hint_leads_to_its_call(reader: Desk) -> None:
    call = make_call()
    hint = make_hint(call=call, next_check_at=None)

    page = reader.get(reverse("admin:exotel_ccm_unverifiedcall_change", args=[hint.pk]))

    assert "confirmed: the call is in the records" in page.text
    assert page.links[str(call.reference)] == reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])


@pytest.mark.parametrize(
    ("standing", "sids"), [("waiting", [0]), ("found", [1]), ("given_up", [2]), ("odd", [2, 1, 0])]
)
def test_the_standing_is_a_filter_and_the_newest_come_first(standing: str, sids: list[int], reader: Desk) -> None:
    make_hint(0)
    make_hint(1, next_check_at=None, call=make_call())
    make_hint(2, next_check_at=None, gave_up_at=timezone.now())

    page = listed(reader, f"?standing={standing}")

    shown = [sid for _place, sid in sorted((page.text.find(f"{sid:032x}"), sid) for sid in range(3)) if _place >= 0]
    assert shown == sids


def test_a_hint_is_found_by_its_sid(reader: Desk) -> None:
    make_hint(1)
    make_hint(2)

    page = listed(reader, f"?q={2:032x}")

    assert (f"{2:032x}" in page.text, f"{1:032x}" in page.text) == (True, False)


def test_who_lacks_the_permission_sees_no_hints(host: Any) -> None:
    desk = Desk(host.user("ravi", SEES_CALLS, agent=None))

    desk.get(reverse("admin:exotel_ccm_unverifiedcall_changelist"))

    assert desk.response.status_code == 403


def test_the_list_costs_the_same_queries_for_few_and_for_many(reader: Desk) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            listed(reader)
        assert not any('"facts"' in query["sql"] for query in queries)
        return len(queries)

    make_hint(0, call=make_call())
    cost()
    few = cost()
    for number in range(1, 20):
        make_hint(number, call=make_call())

    assert cost() == few


def test_a_call_placed_elsewhere_says_so_and_one_of_ours_does_not(reader: Desk) -> None:
    elsewhere, ours = make_call(origin="external"), make_call(agent_label="Asha")

    pages = [
        reader.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])).text for call in (elsewhere, ours)
    ]

    assert "Exotel knows of a call of an agent to +919000001001" in pages[0]
    assert ["It was placed elsewhere, not from here." in page for page in pages] == [True, False]


def test_an_event_says_what_vouches_for_it_and_whose_url_it_came_to(reader: Desk) -> None:
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
