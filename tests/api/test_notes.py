"""Notes, call-backs, the do-not-call list, and the lists of what a call is placed with."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.api import paging
from django_exotel_ccm.models import CallNote, Disposition, DoNotCall, ExoPhone, FollowUp
from django_exotel_ccm.services import add_note, complete_follow_up, move_calls, schedule_follow_up
from django_exotel_ccm.services.privacy import erase
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS
from tests.api.conftest import Api, placed
from tests.helpdesk.models import Lead

NOTES = "exotel_ccm.add_callnote"
DO_NOT_CALL = ("exotel_ccm.view_donotcall", "exotel_ccm.add_donotcall", "exotel_ccm.delete_donotcall")


def tomorrow() -> datetime.datetime:
    return timezone.now() + datetime.timedelta(days=1)


@pytest.fixture
def ravi(api: Callable[..., Api]) -> Api:
    """An agent who writes notes."""
    return api("ravi", *AGENT_WORK, NOTES, agent="+919000000102")


@pytest.fixture
def disposition(host: Any) -> Disposition:
    return Disposition.objects.create(code="reached", label="Reached", position=1)


# Notes.


def test_notes_of_colleagues_are_for_who_sees_the_ticket(api: Callable[..., Api], host: Any, ticket: Any) -> None:
    """One's own call can be moved to a ticket that one may not see."""
    asha = api("asha", *AGENT_WORK, NOTES, SEES_CALLS)
    call = placed(asha.user, ticket)
    add_note(call, author=asha.user, text="Mine")
    add_note(call, author=host.user("meera"), text="Of a colleague")
    assert len(asha.get(f"calls/{call.reference}/notes/").json()["results"]) == 2

    move_calls(ticket, Lead.objects.create(name="Hidden"))

    assert [one["text"] for one in asha.get(f"calls/{call.reference}/notes/").json()["results"]] == ["Mine"]


def test_a_note_is_written_and_read(ravi: Api, ticket: Any, disposition: Disposition) -> None:
    call = placed(ravi.user, ticket)

    response = ravi.post(
        f"calls/{call.reference}/notes/",
        {"text": "Call 9000001009 again", "disposition": "reached", "follow_up_at": tomorrow().isoformat()},
    )

    assert response.status_code == 201
    note = CallNote.objects.get()
    assert (note.text, note.author, note.disposition) == ("Call 9000001009 again", ravi.user, disposition)
    assert FollowUp.objects.get().assigned_to == ravi.user
    shown = response.json()
    assert (shown["text"], shown["disposition"], shown["author"]) == ("Call ••••••••09 again", "reached", ravi.user.pk)
    assert ravi.get(f"calls/{call.reference}/notes/").json()["results"] == [shown]


def test_others_notes_need_the_permission(ravi: Api, api: Callable[..., Api], ticket: Any) -> None:
    call = placed(ravi.user, ticket)
    seeing = api("meera", SEES_CALLS, "helpdesk.view_ticket")
    add_note(call, author=seeing.user, text="Be quicker")

    assert ravi.get(f"calls/{call.reference}/notes/").json()["results"] == []
    assert [one["text"] for one in seeing.get(f"calls/{call.reference}/notes/").json()["results"]] == ["Be quicker"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": " "}, "text"),
        ({"text": "x" * 10_001}, "text"),
        ({"text": 7.5, "disposition": 3}, "disposition"),
        ({"disposition": "no_such"}, "disposition"),
        ({"text": "x", "follow_up_at": "2001-01-01T00:00:00Z"}, "follow_up_at"),
        ({"text": "x", "follow_up_at": "9999-12-31T23:59:59-14:00"}, "follow_up_at"),
        ({"text": "x", "follow_up_at": "soon"}, "follow_up_at"),
        ({"text": "a\0b"}, "text"),
        ({"text": "x", "author": 1}, "author"),
    ],
)
def test_notes_that_cannot_be_kept(ravi: Api, ticket: Any, body: dict[str, Any], field: str) -> None:
    call = placed(ravi.user, ticket)

    response = ravi.post(f"calls/{call.reference}/notes/", body)

    assert response.status_code == 400
    assert field in response.json()["fields"]
    assert not CallNote.objects.exists()


def test_nothing_is_written_about_who_was_erased(ravi: Api, ticket: Any) -> None:
    call = placed(ravi.user, ticket)
    list(erase(BY_HAND, apply=True))

    assert ravi.post(f"calls/{call.reference}/notes/", {"text": "x"}).status_code == 400


# Call-backs.


def test_a_call_back_is_noted_read_and_done(ravi: Api, ticket: Any) -> None:
    due_at = tomorrow()

    response = ravi.post(
        "follow-ups/", {"ticket": f"ticket_{ticket.pk}", "due_at": due_at.isoformat(), "text": "About the fan"}
    )

    assert response.status_code == 201
    shown = response.json()
    row = FollowUp.objects.get()
    assert (row.assigned_to, row.due_at, row.text) == (ravi.user, due_at, "About the fan")
    assert (shown["ticket"], shown["ticket_label"]) == (f"ticket_{ticket.pk}", "Broken fan")
    assert ravi.get("follow-ups/?is_done=false").json()["results"] == [shown]
    done = ravi.post(f"follow-ups/{row.pk}/done/")
    assert (done.status_code, done.json()["done_by"]) == (200, None)
    assert ravi.post(f"follow-ups/{row.pk}/done/").json() == done.json()
    assert ravi.get("follow-ups/?is_done=false").json()["results"] == []
    assert ravi.get("follow-ups/?is_done=true").json()["results"] == [done.json()]


def test_call_backs_of_others(ravi: Api, api: Callable[..., Api], ticket: Any) -> None:
    seeing = api("meera", "exotel_ccm.view_followup", "helpdesk.view_ticket")
    blind = api("vera", "exotel_ccm.view_followup")
    row = schedule_follow_up(ticket=ticket, due_at=tomorrow(), assigned_to=seeing.user)

    assert ravi.get("follow-ups/").json()["results"] == []
    assert ravi.post(f"follow-ups/{row.pk}/done/").status_code == 404
    schedule_follow_up(ticket=ticket, due_at=tomorrow(), assigned_to=seeing.user)
    assert blind.get("follow-ups/?page_size=1").json() == {"next": None, "previous": None, "results": []}
    FollowUp.objects.exclude(pk=row.pk).delete()
    assert [one["id"] for one in seeing.get("follow-ups/").json()["results"]] == [row.pk]


@pytest.mark.parametrize("permissions", [(), ("exotel_ccm.view_all_calls",)])
def test_what_is_open_comes_before_what_is_settled(
    api: Callable[..., Api], host: Any, ticket: Any, monkeypatch: pytest.MonkeyPatch, permissions: tuple[str, ...]
) -> None:
    """However many are settled, and whatever page one comes from."""
    meera = api("meera", "exotel_ccm.view_followup", "helpdesk.view_ticket", *permissions)
    monkeypatch.setattr(paging, "LOOKED_THROUGH", 3)
    other, hours = host.user("other", agent=None), itertools.count()

    def note(owner: Any, *, done: bool = False) -> int:
        due_at = tomorrow() + datetime.timedelta(hours=next(hours))
        row = schedule_follow_up(ticket=ticket, due_at=due_at, assigned_to=owner)
        if done:
            complete_follow_up(row)
        return int(row.pk)

    settled = [note(owner, done=True) for owner in (other, meera.user, other, other, other)]
    still_open = [note(owner) for owner in (other, meera.user, other)]

    pages = [meera.get("follow-ups/?page_size=2").json()]
    while pages[-1]["next"] is not None:
        pages.append(meera.client.get(pages[-1]["next"]).json())
    back = [meera.client.get(page["previous"]).json() for page in pages[1:]]

    assert [one["id"] for page in pages for one in page["results"]] == [*still_open, *settled]
    assert [page["results"] for page in back] == [page["results"] for page in pages[:-1]]


def test_a_call_back_about_a_ticket_that_is_not_ones_own_to_call(
    api: Callable[..., Api], ticket: Any, settings: Any
) -> None:
    entry = {**settings.EXOTEL_CCM["TICKETS"]["helpdesk.Ticket"], "can_call": lambda user, ticket: False}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": entry}}
    wanted = {"ticket": f"ticket_{ticket.pk}", "due_at": tomorrow().isoformat()}

    response = api("ravi", *AGENT_WORK, NOTES).post("follow-ups/", wanted)

    assert (response.status_code, response.json()["code"]) == (403, "can_call")
    assert not FollowUp.objects.exists()


def test_own_call_back_about_a_ticket_that_one_does_not_see_any_more(api: Callable[..., Api], ticket: Any) -> None:
    vera = api("vera", "exotel_ccm.place_call")
    schedule_follow_up(ticket=ticket, due_at=tomorrow(), assigned_to=vera.user, text="Call")

    [shown] = vera.get("follow-ups/").json()["results"]

    assert (shown["ticket"], shown["ticket_label"], shown["text"]) == (None, "", "Call")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"ticket": "ticket_999999", "due_at": "2100-01-01T00:00:00Z"}, 404),
        ({"ticket": "<ticket>"}, 400),
        ({"ticket": "<ticket>", "due_at": "2001-01-01T00:00:00Z"}, 400),
        ({"ticket": "<ticket>", "due_at": "2199-01-01T00:00:00Z"}, 400),
        ({"ticket": "<ticket>", "due_at": "2026-02-30T00:00:00Z"}, 400),
        ({"ticket": "<ticket>", "due_at": "<tomorrow>", "assigned_to": 1}, 400),
        ({"ticket": "<ticket>", "due_at": "<tomorrow>", "text": "x" * 10_001}, 400),
    ],
)
def test_call_backs_that_cannot_be_kept(ravi: Api, ticket: Any, body: dict[str, Any], status: int) -> None:
    told = {"<ticket>": f"ticket_{ticket.pk}", "<tomorrow>": tomorrow().isoformat()}

    response = ravi.post("follow-ups/", {name: told.get(value, value) for name, value in body.items()})

    assert response.status_code == status
    assert not FollowUp.objects.exists()


def test_a_page_of_call_backs_costs_the_same(ravi: Api, ticket: Any) -> None:
    counts = []
    for more, size in ((1, 1), (60, 61)):
        for _number in range(more):
            call = placed(ravi.user, ticket)
            schedule_follow_up(ticket=ticket, due_at=tomorrow(), assigned_to=ravi.user, call=call)
        ravi.get("follow-ups/")
        with CaptureQueriesContext(connection) as queries:
            assert len(ravi.get("follow-ups/?page_size=100").json()["results"]) == size
        counts.append(len(queries))

    assert counts[0] == counts[1]


# The do-not-call list.


def test_numbers_are_added_and_taken_off(api: Callable[..., Api]) -> None:
    keeper = api("meera", *DO_NOT_CALL, SEES_NUMBERS)

    added = keeper.post("do-not-call/", {"number": "090000 01009", "reason": "Asked for it"})
    again = keeper.post("do-not-call/", {"number": BY_HAND})

    assert (added.status_code, again.status_code) == (201, 200)
    entry = DoNotCall.objects.get()
    assert (entry.number, entry.reason) == (BY_HAND, "Asked for it")
    assert (entry.created_by, entry.source) == (keeper.user, "typed")
    assert keeper.get("do-not-call/").json()["results"] == [added.json()]
    assert keeper.get("do-not-call/?number=9000001009").json()["results"] == [added.json()]
    assert keeper.delete("do-not-call/", {"number": "9000001009"}).status_code == 204
    assert keeper.delete("do-not-call/", {"number": "9000001009"}).status_code == 404
    assert not DoNotCall.objects.exists()


def test_the_list_gives_no_number_away(api: Callable[..., Api]) -> None:
    keeper = api("meera", *DO_NOT_CALL)
    entry = DoNotCall.objects.create(number=BY_HAND, reason="Ring 9000001010 instead")

    [shown] = keeper.get("do-not-call/").json()["results"]

    assert (shown["number"], shown["reason"]) == ("+••••••••••09", "Ring ••••••••10 instead")
    assert keeper.get("do-not-call/?number=9000001009").status_code == 403
    assert keeper.delete("do-not-call/", {"number": BY_HAND}).status_code == 403
    assert "9000001009" not in str(shown)
    assert keeper.delete(f"do-not-call/{entry.pk}/").status_code == 204
    assert keeper.delete(f"do-not-call/{'9' * 40}/").status_code == 404


@pytest.mark.parametrize("more", [(SEES_NUMBERS,), ("exotel_ccm.view_donotcall",), ()])
def test_who_does_not_see_whole_numbers_on_the_list_learns_nothing_from_adding(
    api: Callable[..., Api], more: tuple[str, ...]
) -> None:
    adder = api("ravi", "exotel_ccm.add_donotcall", *more)
    DoNotCall.objects.create(number=BY_HAND, reason="DND", source="exotel", expires_at=tomorrow())
    DoNotCall.objects.create(number="+919000001002", reason="By court order")
    numbers = [BY_HAND, "+919000001002", "+919000001003", "+919000001003"]

    answers = [adder.post("do-not-call/", {"number": one, "reason": "Mine"}) for one in numbers]

    assert {(one.status_code, one.content, one.headers.get("Location")) for one in answers} == {(204, b"", None)}
    assert {(one.number, one.reason, one.expires_at) for one in DoNotCall.objects.all()} == {
        (BY_HAND, "DND; Mine", None),
        ("+919000001002", "By court order", None),
        ("+919000001003", "Mine", None),
    }


def test_what_is_no_number_is_not_added(api: Callable[..., Api]) -> None:
    keeper = api("meera", *DO_NOT_CALL)

    for body in ({}, {"number": "12"}, {"number": BY_HAND, "reason": "x" * 201}, {"number": [BY_HAND]}):
        assert keeper.post("do-not-call/", body).status_code == 400
    assert not DoNotCall.objects.exists()


# What a call is placed with.


def test_agents_as_whom_one_may_call(asha: Api, api: Callable[..., Api], host: Any) -> None:
    other, gone = host.agent("Ravi", OTHER), host.agent("Gone", "+919000000109", is_active=False)
    chief = api("chief", "exotel_ccm.place_call", "exotel_ccm.place_call_for_others")
    admin = api("admin", "exotel_ccm.view_agent")

    def names(client: Api) -> list[str]:
        return [one["name"] for one in client.get("agents/").json()["results"]]

    assert names(asha) == ["Asha"]
    assert names(chief) == ["Asha", other.name]
    assert names(admin) == ["Asha", other.name, gone.name]
    assert "+91" not in admin.get("agents/").content.decode()


def test_exophones_and_dispositions(asha: Api, host: Any, disposition: Disposition) -> None:
    ExoPhone.objects.create(number="+918000000701", is_active=False)
    Disposition.objects.create(code="gone", label="Gone", is_active=False)
    Disposition.objects.create(code="first", label="First", position=0)

    assert [one["number"] for one in asha.get("exophones/").json()["results"]] == [host.exophone.number]
    assert [one["code"] for one in asha.get("dispositions/").json()["results"]] == ["first", "reached"]
    for path in ("agents/", "exophones/", "dispositions/"):
        assert asha.post(path).status_code == 405
        assert asha.get(f"{path}?name=x").status_code == 400
