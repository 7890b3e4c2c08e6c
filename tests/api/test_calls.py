"""The list of calls, each call, its events, and where many stand: for whom, and at what cost."""

from __future__ import annotations

import base64
import datetime
import re
import uuid
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.api import paging
from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, BY_HAND, LEDGER, OTHER, SEES_CALLS, SEES_NUMBERS
from tests.api.conftest import Api, placed
from tests.factories import record_callback
from tests.helpdesk.models import Lead

ALL_CALLS = "exotel_ccm.view_all_calls"
PLACES = "exotel_ccm.place_call"


def references(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [one["reference"] for one in response.json()["results"]]


def test_a_call_has_the_names_of_its_record(asha: Api, ticket: Any) -> None:
    call = placed(asha.user, ticket, state="ended", outcome="completed", talk_time=42)

    listed = asha.get("calls/").json()

    assert set(listed) == {"next", "previous", "results"}
    [shown] = listed["results"]
    assert shown == asha.get(f"calls/{call.reference}/").json()
    assert shown["reference"] == str(call.reference)
    assert (shown["state"], shown["outcome"], shown["talk_time"]) == ("ended", "completed", 42)
    assert (shown["ticket"], shown["ticket_label"]) == (f"ticket_{ticket.pk}", "Broken fan")
    assert (shown["agent"], shown["placed_by"]) == (call.agent_id, asha.user.pk)
    columns = {field.name for field in CallRecord._meta.get_fields()} | {"ticket"}
    assert set(shown) <= columns
    assert {"facts", "request_key"}.isdisjoint(shown)


def test_with_place_call_only_ones_own_calls(asha: Api, api: Callable[..., Api], ticket: Any) -> None:
    other = api("ravi", PLACES)
    mine, theirs = placed(asha.user, ticket), placed(other.user, ticket)

    assert references(asha.get("calls/")) == [str(mine.reference)]
    assert asha.get(f"calls/{theirs.reference}/").status_code == 404
    assert asha.get(f"calls/{theirs.reference}/notes/").status_code == 404
    assert asha.get(f"calls/{mine.reference}/events/").status_code == 403


def test_others_calls_about_tickets_that_one_sees(api: Callable[..., Api], ticket: Any) -> None:
    caller = api("ravi", *AGENT_WORK)
    sees, blind = api("meera", SEES_CALLS, "helpdesk.view_ticket"), api("vera", SEES_CALLS)
    everything = api("sonal", SEES_CALLS, ALL_CALLS)
    about, without = placed(caller.user, ticket, age=9), placed(caller.user)

    assert references(sees.get("calls/")) == [str(without.reference), str(about.reference)]
    assert references(blind.get("calls/")) == [str(without.reference)]
    assert blind.get(f"calls/{about.reference}/").status_code == 404
    assert references(everything.get("calls/")) == [str(without.reference), str(about.reference)]


def test_pages_lead_on_and_back(asha: Api) -> None:
    calls = [placed(asha.user, age=number) for number in range(5)]
    wanted = [str(call.reference) for call in calls]

    first = asha.get("calls/?page_size=2").json()
    second = asha.client.get(first["next"]).json()
    third = asha.client.get(second["next"]).json()
    back = asha.client.get(second["previous"]).json()

    pages = [[one["reference"] for one in page["results"]] for page in (first, second, third, back)]
    assert pages == [wanted[:2], wanted[2:4], wanted[4:], wanted[:2]]
    assert (first["previous"], third["next"]) == (None, None)


def test_pages_for_people_lead_on(asha: Api) -> None:
    for number in range(2):
        placed(asha.user, age=number)

    page = asha.get("calls/?page_size=1", Accept="text/html").content.decode()
    last = asha.get("calls/?page_size=2", Accept="text/html").content.decode()

    following = re.compile(r'<li class="next">\s*<a href="([^"]+)"')
    [address] = following.findall(page)
    assert len(references(asha.client.get(unescape(address)))) == 1
    assert following.findall(last) == []


@pytest.mark.parametrize("page_size", ["0", "101", "-1", "x", "1e2", ""])
def test_wrong_page_sizes(asha: Api, page_size: str) -> None:
    response = asha.get(f"calls/?page_size={page_size}")

    assert response.status_code == 400
    assert response.json()["fields"] == {"page_size": ["Write a number from 1 to 100."]}


def test_facts_cannot_be_written(asha: Api) -> None:
    call = placed(asha.user)

    for method in ("PUT", "PATCH", "DELETE"):
        for path in ("calls/", f"calls/{call.reference}/"):
            response = asha.send(method, path, b'{"talk_time": 1000}')
            assert response.status_code == 405
            assert response.json()["code"] == "method_not_allowed"
            assert response.json()["advice"]
    assert CallRecord.objects.get().talk_time is None


# Cost.


def test_a_page_of_100_costs_what_a_page_of_2_does(api: Callable[..., Api], ticket: Any) -> None:
    asha = api("asha", *AGENT_WORK, SEES_CALLS)
    caller = api("ravi", PLACES)
    counts = []
    for size in (2, 100):
        for number in range(size):
            placed(caller.user, ticket, age=number)
        asha.get("calls/")  # fills the caches of content types
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(references(asha.get(f"calls/?page_size={size}"))) == size
        counts.append(len(queries))

    assert counts[0] == counts[1]
    ours = [one["sql"] for one in queries if "exotel_ccm_callrecord" in one["sql"]]
    assert len(ours) == 2  # those that are looked through, and the page
    assert "COUNT(" not in "".join(ours).upper()


@pytest.mark.parametrize("permissions", [(SEES_CALLS,), (PLACES, "helpdesk.view_ticket")])
def test_hidden_calls_leave_no_trace_in_a_list(
    api: Callable[..., Api], host: Any, ticket: Any, permissions: tuple[str, ...]
) -> None:
    """Neither in the length of a page, nor in its links: what is filtered by would be told of them."""
    caller, spy = api("ravi", PLACES), api("spy", *permissions, SEES_NUMBERS)
    for age in (5, 9, 13):
        placed(caller.user, ticket, age=age, customer_number=BY_HAND)
    tokens = urlencode({"r": 1, "p": "callrecord 0 1 1999-01-01 00:00:00+00:00"})
    reverse_cursor = base64.urlsafe_b64encode(tokens.encode()).decode()

    for more in ("page_size=1", f"cursor={reverse_cursor}"):
        found, other = (
            spy.get(f"calls/?{more}&customer_number=%2B{number.removeprefix('+')}").content.decode()
            for number in (BY_HAND, OTHER)
        )
        assert '"results":[]' in found
        assert found.replace(BY_HAND[1:], OTHER[1:]) == other


def test_pages_are_full_whatever_lies_between(api: Callable[..., Api], host: Any, ticket: Any) -> None:
    asha, caller = api("asha", *AGENT_WORK, SEES_CALLS), api("ravi", PLACES)
    hidden = Lead.objects.create(name="Hidden")
    for age in range(1, 9):
        placed(caller.user, ticket if age % 4 == 0 else hidden, age=age)

    page = asha.get("calls/?page_size=2").json()

    assert len(page["results"]) == 2
    assert page["next"] is None


def test_a_page_looks_through_so_many_calls(
    api: Callable[..., Api], host: Any, ticket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asha, caller = api("asha", *AGENT_WORK, SEES_CALLS), api("ravi", PLACES)
    monkeypatch.setattr(paging, "LOOKED_THROUGH", 3)
    hidden = Lead.objects.create(name="Hidden")
    for age in (1, 2, 3, 4):
        placed(caller.user, hidden, age=age)
    theirs, mine = placed(caller.user, ticket, age=5), placed(asha.user, hidden, age=6)

    pages = pages_from(asha, "calls/")

    assert list(pages) == [[], [str(theirs.reference), str(mine.reference)]]


def test_calls_that_come_in_push_none_out_of_the_list(
    api: Callable[..., Api], ticket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asha, caller = api("asha", *AGENT_WORK, SEES_CALLS), api("ravi", PLACES)
    monkeypatch.setattr(paging, "LOOKED_THROUGH", 5)
    wanted = [str(placed(caller.user, ticket, age=age).reference) for age in range(10, 20)]

    listed = []
    for page in pages_from(asha, "calls/?page_size=2"):
        listed += page
        placed(caller.user, ticket, age=1)

    assert listed == wanted


@pytest.mark.parametrize("page_size", [1, 2, 3, 7])
@pytest.mark.parametrize("looked_through", [2, 3, 500])
def test_pages_there_and_back(
    api: Callable[..., Api], ticket: Any, monkeypatch: pytest.MonkeyPatch, page_size: int, looked_through: int
) -> None:
    """Also through calls that were all placed at one moment, as an import makes them."""
    asha, caller = api("asha", *AGENT_WORK, SEES_CALLS), api("ravi", PLACES)
    monkeypatch.setattr(paging, "LOOKED_THROUGH", looked_through)
    hidden, moment = Lead.objects.create(name="Hidden"), timezone.now()
    kinds = "shhsshhhssmhhsmsh"  # seen, hidden and mine
    rows = [
        placed(asha.user if kind == "m" else caller.user, ticket if kind == "s" else hidden, created_at=moment)
        for kind in kinds
    ]
    wanted = [str(row.reference) for row, kind in zip(rows, kinds, strict=True) if kind != "h"][::-1]

    there = list(pages_from(asha, f"calls/?page_size={page_size}"))
    tokens = base64.b64encode(b"r=1").decode()
    back = list(pages_from(asha, f"calls/?page_size={page_size}&cursor={tokens}", "previous"))

    assert [one for page in there for one in page] == wanted
    assert [one for page in reversed(back) for one in page] == wanted


def pages_from(client: Api, path: str, direction: str = "next") -> Iterator[list[str]]:
    response = client.get(path)
    while True:
        yield references(response)
        address = response.json()[direction]
        if address is None:
            return
        response = client.client.get(address)


# Events.


def test_events_of_a_call(api: Callable[..., Api], ticket: Any) -> None:
    meera = api("meera", SEES_CALLS, "helpdesk.view_ticket", *LEDGER)
    call = placed(meera.user, ticket)
    record_callback(call, "answered", customer_number=BY_HAND)
    record_callback(call, "terminal", status="completed", talk_time=42)

    response = meera.get(f"calls/{call.reference}/events/")

    events = response.json()["results"]
    assert [event["event"] for event in events] == ["answered", "terminal"]
    assert events[1]["facts"]["talk_time"] == 42
    assert "9000001009" not in response.content.decode()
    assert "raw" not in events[0]


# Where calls stand.


def test_status_of_many_calls_in_one_query(asha: Api, api: Callable[..., Api], ticket: Any) -> None:
    calls = [placed(asha.user, ticket), placed(asha.user, state="ended", outcome="busy", agent=None)]
    theirs = placed(api("ravi", PLACES).user)
    wanted = [calls[1].reference, theirs.reference, calls[0].reference, uuid.uuid4()]
    named = "&".join(f"reference={one}" for one in wanted)

    with CaptureQueriesContext(connection) as queries:
        response = asha.get(f"calls/status/?{named}")

    assert references(response) == [str(calls[1].reference), str(calls[0].reference)]
    first, second = response.json()["results"]
    assert (first["step"], first["is_over"], first["poll_after"]) == ("ended", True, None)
    assert (second["step"], second["poll_after"]) == ("requested", 1)
    assert len([one for one in queries if "exotel_ccm_" in one["sql"]]) == 1


def test_status_is_304_while_nothing_changes(asha: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    call = placed(asha.user, age=5)
    first = asha.get(f"calls/status/?reference={call.reference}")
    CallRecord.objects.update(created_at=timezone.now() - datetime.timedelta(seconds=9))

    same = asha.get(f"calls/status/?reference={call.reference}", **{"If-None-Match": first["ETag"]})
    CallRecord.objects.update(state="ended", outcome="busy")
    changed = asha.get(f"calls/status/?reference={call.reference}", **{"If-None-Match": first["ETag"]})

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_status_knows_no_condition_for_writers(asha: Api) -> None:
    """Else the answer would be an error without code and advice."""
    call = placed(asha.user)

    response = asha.get(f"calls/status/?reference={call.reference}", **{"If-Match": '"x"'})

    assert references(response) == [str(call.reference)]


TOO_MANY = "&".join(f"reference={uuid.UUID(int=number)}" for number in range(101))


@pytest.mark.parametrize("query", ["", "reference=7", TOO_MANY, "a=1"], ids=["none", "no UUID", "too many", "other"])
def test_wrong_questions_about_status(asha: Api, query: str) -> None:
    response = asha.get(f"calls/status/?{query}")

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["a" if query == "a=1" else "reference"]
