"""The list of calls, each call, its events, and where many stand: for whom, and at what cost."""

from __future__ import annotations

import base64
import datetime
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.api import calls, filters
from django_exotel_ccm.models import CallEvent, CallRecord, DoNotCall, ExoPhone, FollowUp
from django_exotel_ccm.services import add_note, move_calls, schedule_follow_up
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


def test_numbers_and_recordings_need_permissions(api: Callable[..., Api], ticket: Any) -> None:
    asha = api("asha", *AGENT_WORK)
    supervisor = api("meera", SEES_CALLS, ALL_CALLS, SEES_NUMBERS, "exotel_ccm.listen_recording")
    call = placed(asha.user, ticket, recording_url="https://recordings.exotel.com/a.mp3", customer_label="9000001009")

    hidden, seen = (one.get(f"calls/{call.reference}/").json() for one in (asha, supervisor))

    assert hidden["customer_number"] == "+••••••••••09"
    assert hidden["recording_url"] == ""
    assert "9000001009" not in str(hidden)
    assert seen["customer_number"] == BY_HAND
    assert seen["recording_url"] != ""


def test_no_text_has_a_number_that_one_may_not_see(host: Any, ticket: Any) -> None:
    """Each text has a number of its own, so that one is found that is not masked."""
    columns = ("customer_number", "customer_label", "ticket_label", "custom_field", "override_reason")
    names = [*columns, "event", "advice", "note", "call-back", "call-back's ticket", "entry", "reason"]
    numbers = {name: f"+9198765432{place}" for place, name in enumerate(names, 10)}
    work = ("view_callevent", "add_callnote", "view_followup", "view_donotcall")
    asha = host.user("asha", *AGENT_WORK, SEES_CALLS, *(f"exotel_ccm.{name}" for name in work))
    call = placed(asha, ticket, **{column: numbers[column] for column in columns})
    event = record_callback(call, "terminal", status="completed", talk_time=42, custom_field=numbers["event"])
    CallEvent.objects.filter(pk=event.pk).update(advice=numbers["advice"])
    add_note(call, author=asha, text=numbers["note"])
    soon = timezone.now() + datetime.timedelta(days=1)
    row = schedule_follow_up(ticket=ticket, due_at=soon, assigned_to=asha, text=numbers["call-back"])
    FollowUp.objects.filter(pk=row.pk).update(ticket_label=numbers["call-back's ticket"])
    DoNotCall.objects.create(number=numbers["entry"], reason=numbers["reason"])
    one = f"calls/{call.reference}/"
    paths = ("calls/", one, f"{one}events/", f"{one}notes/", "follow-ups/", "do-not-call/")

    def seen() -> dict[str, set[str]]:
        """The names of the numbers in each answer."""
        answers = {path: Api(User.objects.get(pk=asha.pk)).get(path).content.decode() for path in paths}
        answers["status/"] = Api(asha).get(f"calls/status/?reference={call.reference}").content.decode()
        return {path: {name for name in names if numbers[name][1:] in text} for path, text in answers.items()}

    assert set().union(*seen().values()) == set()
    asha.user_permissions.add(*_permissions("view_customer_number"))
    assert seen() == {
        "calls/": set(columns),
        one: set(columns),
        f"{one}events/": {"event", "advice"},
        f"{one}notes/": {"note"},
        "follow-ups/": {"call-back", "call-back's ticket"},
        "do-not-call/": {"entry", "reason"},
        "status/": {"customer_label"},
    }


def test_no_text_has_an_address_with_a_signature(host: Any, ticket: Any) -> None:
    """Also for who may see numbers and hear recordings: our own address asks who listens, and writes it down."""
    signed = "https://recordings.exotel.com/a.mp3?signature=secret"
    more = ("view_callevent", "view_followup", "listen_recording", "view_customer_number")
    asha = Api(host.user("asha", *AGENT_WORK, SEES_CALLS, *(f"exotel_ccm.{name}" for name in more)))
    call = placed(asha.user, ticket, recording_url=signed)
    record_callback(call, "terminal", status="completed", recordings=(signed,))
    add_note(call, author=asha.user, text=f"Listen to {signed}")
    soon = timezone.now() + datetime.timedelta(days=1)
    schedule_follow_up(ticket=ticket, due_at=soon, assigned_to=asha.user, text=f"Listen to {signed}")

    for path in ("calls/", f"calls/{call.reference}/events/", f"calls/{call.reference}/notes/", "follow-ups/"):
        text = asha.get(path).content.decode()
        assert "secret" not in text
        assert len(asha.get(path).json()["results"]) == 1
        assert path == "calls/" or "https://recordings.exotel.com" in text


def test_a_call_that_was_moved_does_not_name_the_other_ticket(asha: Api, host: Any, ticket: Any) -> None:
    call = placed(asha.user, ticket)
    secret = host.ticket("Secret matter")
    move_calls(ticket, secret)
    asha.user.user_permissions.clear()
    asha.user.user_permissions.add(*_permissions("place_call"))

    shown = asha.get(f"calls/{call.reference}/").json()

    assert (shown["ticket"], shown["ticket_label"]) == (None, "")


def _permissions(*names: str) -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.filter(codename__in=names)


def test_a_long_key_is_no_phone_number(asha: Api, host: Any) -> None:
    ticket = host.ticket(pk=7777952)
    call = placed(asha.user, ticket)

    shown = asha.get(f"calls/{call.reference}/").json()

    assert (shown["ticket"], shown["custom_field"]) == ("ticket_7777952", "ticket_7777952")


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


# Filters.

SPRING = "created_at__gte=2026-02-01T00:00:00Z&created_at__lt=2026-04-01T00:00:00Z"
UNINDEXED = {
    "outcome": "busy",
    "origin": "external",
    "refusal_code": "DoNotCall",
    "account": "default",
    "call_sid": "a",
    "exophone": "0",
    **{f"talk_time__{lookup}": "60" for lookup in ("gte", "gt", "lte", "lt")},
}


@pytest.mark.parametrize("name", UNINDEXED)
def test_a_filter_without_an_index_asks_for_a_span_of_time(asha: Api, name: str) -> None:
    year_ago, long_ago = (
        (timezone.now() - datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ") for days in (366, 368)
    )
    wanted = f"calls/?{name}={UNINDEXED[name]}"

    for refused in (
        asha.get(wanted),
        asha.get(f"{wanted}&created_at__lt={year_ago}"),
        asha.get(f"{wanted}&created_at__gte={long_ago}"),
        asha.get(f"{wanted}&created_at__gt={long_ago}&created_at__lte=2199-01-01T00:00:00Z"),
        asha.get(f"{wanted}&state=ended"),
    ):
        assert refused.status_code == 400
        assert refused.json()["fields"] == {
            "created_at__gte": [
                f"With {name} write created_at__gte, too: at most 366 days before created_at__lte or now."
            ]
        }
    for taken in (
        f"{wanted}&created_at__gte={year_ago}",
        f"{wanted}&created_at__gt={year_ago}",
        f"{wanted}&{SPRING}",
        f"{wanted}&agent=7",
        f"{wanted}&placed_by=7",
        f"{wanted}&ticket=ticket_7",
    ):
        assert references(asha.get(taken)) == []


def test_the_sid_of_an_account_needs_no_span(asha: Api) -> None:
    call = placed(asha.user, call_sid="a1", created_at=timezone.now() - datetime.timedelta(days=3000))

    assert references(asha.get("calls/?account=default&call_sid=a1")) == [str(call.reference)]
    assert references(asha.get("calls/?state=requested&created_at__gte=2001-01-01T00:00:00Z")) == [str(call.reference)]


def test_filters(api: Callable[..., Api], ticket: Any) -> None:
    asha = api("asha", *AGENT_WORK, SEES_CALLS, agent="+919000000101")
    noon = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    early = placed(asha.user, ticket, state="ended", outcome="completed", talk_time=90, created_at=noon)
    phones = [ExoPhone.objects.create(number=f"+91800000070{number}") for number in (1, 2, 3)]
    late = placed(
        asha.user, state="refused", refusal_code="DoNotCall", created_at=noon + datetime.timedelta(hours=1), agent=None
    )
    CallRecord.objects.filter(pk=late.pk).update(exophone=phones[-1])

    def found(query: str) -> list[CallRecord]:
        return [CallRecord.objects.get(reference=one) for one in references(asha.get(f"calls/?{query}"))]

    assert found("state=ended") == [early]
    assert found(f"outcome=completed&{SPRING}") == [early]
    assert found(f"refusal_code=DoNotCall&{SPRING}") == [late]
    assert found(f"origin=external&{SPRING}") == []
    assert found(f"agent={early.agent_id}") == [early]
    assert found(f"exophone={phones[-1].pk}&{SPRING}") == [late]
    assert found(f"exophone={phones[0].pk}&{SPRING}") == []
    assert found(f"placed_by={asha.user.pk}") == [late, early]
    assert found("placed_by=99999") == []
    assert found(f"ticket=ticket_{ticket.pk}") == [early]
    assert found("ticket=ticket_999999") == found("ticket=nothing") == []
    assert found("created_at__gte=2026-03-01T12:00:00Z") == [late, early]
    assert found("created_at__gt=2026-03-01T12:00:00Z") == [late]
    assert found(f"talk_time__gte=90&agent={early.agent_id}") == [early]
    assert found(f"talk_time__gt=90&{SPRING}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("colour=red", "colour"),
        ("state=over", "state"),
        ("agent=Asha", "agent"),
        ("agent=99999999999999999999999", "agent"),
        ("placed_by=99999999999999999999999", "placed_by"),
        ("created_at__gte=yesterday", "created_at__gte"),
        ("created_at__gte=0001-01-01T00:00:00%2B14:00", "created_at__gte"),
        ("created_at__lt=9999-12-31T23:59:59-14:00", "created_at__lt"),
        ("created_at__gt=1899-12-31T00:00:00Z", "created_at__gt"),
        ("created_at__lte=2200-01-01T00:00:00Z", "created_at__lte"),
        ("talk_time__gte=-1", "talk_time__gte"),
        ("talk_time__gte=9999999999", "talk_time__gte"),
        ("state=ended&state=active", "state"),
        ("state=", "state"),
        ("created_at__lte=%20", "created_at__lte"),
        ("call_sid=%00", "call_sid"),
        ("ticket=%00", "ticket"),
        (f"account={'a' * 51}", "account"),
    ],
)
def test_what_cannot_be_filtered_by_is_said(asha: Api, query: str, field: str) -> None:
    response = asha.get(f"calls/?{query}")

    assert response.status_code == 400, response.content
    assert response.json()["code"] == "invalid"
    assert field in response.json()["advice"]
    assert list(response.json()["fields"]) == [field]


def test_numbers_cannot_be_tried_out(asha: Api, api: Callable[..., Api]) -> None:
    placed(asha.user)
    seeing = api("meera", SEES_CALLS, SEES_NUMBERS, PLACES)

    assert asha.get("calls/?customer_number=9000001009").status_code == 403
    assert len(references(seeing.get("calls/?customer_number=090000 01009"))) == 1
    assert references(seeing.get("calls/?customer_number=9000001001")) == []
    assert seeing.get("calls/?customer_number=12").status_code == 400


def test_without_django_filter_a_filter_says_what_to_install(asha: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "is_installed", lambda: False)

    assert asha.get("calls/?page_size=3").status_code == 200
    response = asha.get("calls/?state=ended")
    assert response.status_code == 400
    assert response.json()["code"] == "filters_not_installed"
    assert 'pip install "django-exotel-ccm[api]"' in response.json()["advice"]


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
    assert len(ours) == 2  # those of others that are about tickets that one sees, and the page
    assert "COUNT(" not in "".join(ours).upper()


@pytest.mark.parametrize("permissions", [(SEES_CALLS,), (PLACES, "helpdesk.view_ticket")])
def test_hidden_calls_leave_no_trace_in_a_list(
    api: Callable[..., Api], host: Any, ticket: Any, permissions: tuple[str, ...]
) -> None:
    """Neither in the length of a page, nor in its links: what is filtered by would be told of them."""
    caller, spy = api("ravi", PLACES), api("spy", *permissions, SEES_NUMBERS)
    for age in (5, 9, 13):
        placed(caller.user, ticket, age=age, customer_number=BY_HAND)
    tokens = urlencode({"r": 1, "p": "callrecord 1999-01-01 00:00:00+00:00"})
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


def test_so_many_calls_of_others_are_looked_through(
    api: Callable[..., Api], host: Any, ticket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asha, caller = api("asha", *AGENT_WORK, SEES_CALLS), api("ravi", PLACES)
    monkeypatch.setattr(calls, "LOOKED_THROUGH", 2)
    own = [placed(asha.user, ticket, age=age) for age in (1, 2, 3)]
    others = [placed(caller.user, ticket, age=age) for age in (4, 5, 6)]
    last = placed(asha.user, ticket, age=7)

    assert references(asha.get("calls/")) == [str(one.reference) for one in [*own, *others[:2], last]]


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
