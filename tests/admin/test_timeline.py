"""The history on the ticket's page: the newest calls first, and never more of it than a page can show."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import timeline
from django_exotel_ccm.models import CallEvent, CallNote, CallRecord, Disposition
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS, Page, Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def asha(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS))


def call_about(ticket: Any, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(
        **{
            "account": "default",
            "ticket": ticket,
            "agent_label": "Vik",
            "customer_label": "Ravi",
            "customer_number": BY_HAND,
            "created_at": timezone.now(),
            "state": "ended",
            "outcome": "completed",
            "talk_time": 42,
            **fields,
        }
    )


def many_calls(ticket: Any, count: int) -> list[CallRecord]:
    return [call_about(ticket, talk_time=n + 1) for n in range(count)]


def section_of(page: Page) -> str:
    """Return the HTML of the history."""
    found = re.search(r'<section class="exotel-calls".*?</section>', page.html, re.DOTALL)
    return found[0] if found else ""


def rows_of(html: str) -> list[str]:
    """Return what is read in each row, in order."""
    rows = re.findall(r'<li class="exotel-entry.*?</li>', html, re.DOTALL)
    return [Page(row).text for row in rows]


def lists_of(page: Page) -> tuple[list[str], list[str]]:
    """Return the rows that are shown, and those that are folded."""
    shown, _details, folded = section_of(page).partition("<details")
    return rows_of(shown), rows_of(folded)


# What a row says.


def test_call_placed_elsewhere_stands_at_its_time(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    call_about(ticket, talk_time=11)
    call_about(ticket, talk_time=22, origin="external", created_at=timezone.now() - datetime.timedelta(days=7))

    newer, older = rows_of(section_of(asha.change_form(ticket)))

    assert "Talked for 11 s" in newer
    assert "Talked for 22 s" in older


def test_row_begins_with_the_outcome(asha: Session, host: Any) -> None:
    call_about(ticket := host.ticket())

    [[row], folded] = lists_of(asha.change_form(ticket))

    assert row.startswith("Talked for 42 s Vik to Ravi today ")
    assert folded == []


@pytest.mark.parametrize(
    ("fields", "row", "icon"),
    [
        ({"state": "requested"}, "Calling", "waiting"),
        ({"state": "active"}, "Calling", "waiting"),
        ({"state": "active", "answered_at": timezone.now()}, "In progress: a phone was picked up", "talking"),
        ({"state": "unconfirmed"}, "We don't know whether this call went out If Vik's phone does not", "unknown"),
        ({"state": "active", "gave_up_at": timezone.now()}, "We don't know how it ended Exotel did not", "unknown"),
        ({"state": "refused"}, "Not called", "refused"),
        ({"outcome": "busy", "total_duration": 32}, "Busy after 32 s", "missed"),
        ({"outcome": "customer_unanswered"}, "No answer", "missed"),
        ({"outcome": "agent_unanswered"}, "Vik did not pick up", "missed"),
        ({"outcome": "unknown"}, "Ended; Exotel did not say how", "unknown"),
        ({"outcome": "completed", "talk_time": 0}, "Ended: nobody talked", "unknown"),
        ({"outcome": "completed", "talk_time": 192}, "Talked for 3 min 12 s", "reached"),
        ({"state": "active", "origin": "external"}, "Exotel knows of this call Vik to Ravi, placed else", "waiting"),
    ],
)
def test_every_result_has_words_and_an_icon(
    asha: Session, host: Any, fields: dict[str, Any], row: str, icon: str
) -> None:
    call_about(ticket := host.ticket(), **{"talk_time": None, "outcome": "", **fields})

    html = section_of(asha.change_form(ticket))

    assert rows_of(html)[0].replace("&#x27;", "'").startswith(row)
    assert f'<svg class="exotel-{icon}"' in html


def test_own_call_speaks_to_the_agent(asha: Session, host: Any) -> None:
    own = asha.user.exotel_agents.get()
    call_about(ticket := host.ticket(), agent=own, agent_label="Asha", outcome="agent_unanswered", talk_time=None)

    assert lists_of(asha.change_form(ticket))[0][0].startswith("You did not pick up Asha to Ravi")


def test_refusal_stays_readable(asha: Session, host: Any) -> None:
    call = call_about(ticket := host.ticket(), state="refused", outcome="", talk_time=None)
    advice = f"Your phone is switched off in Exotel. Call {BY_HAND} later."
    CallEvent.objects.create(
        call=call, kind="answer", verdict="refused", advice=advice, received_at=timezone.now(), fingerprint="f"
    )
    blind = Session(host.user("uma", "helpdesk.view_ticket", SEES_CALLS, agent=None))

    assert advice in lists_of(asha.change_form(ticket))[0][0]
    assert "Call +••••••••••09 later." in lists_of(blind.change_form(ticket))[0][0]


def test_notes_are_shown(asha: Session, host: Any) -> None:
    call = call_about(ticket := host.ticket())
    means_reached = Disposition.objects.create(code="sends_address", label="Sends the address", means="reached")
    for text, disposition in ((f"By mail, or {BY_HAND} <b>", means_reached), ("", means_reached), ("x" * 5000, None)):
        CallNote.objects.create(
            call=call, text=text, disposition=disposition, author_label="Vik", created_at=timezone.now()
        )
    blind = Session(host.user("uma", "helpdesk.view_ticket", SEES_CALLS, agent=None))

    rows = [lists_of(session.change_form(ticket))[0][0] for session in (asha, blind)]

    assert f"Sends the address By mail, or {BY_HAND} &lt;b&gt; Vik Sends the address Vik" in rows[0]
    assert BY_HAND not in rows[1]
    assert "x" * 1000 + "… Whole note Vik" in rows[0]
    assert rows[0].count("…") == rows[0].count("Whole note") == 1
    assert asha.change_form(ticket).links["Whole note"] == asha.url("exotel_ccm_callrecord_change", call.pk)


def test_number_at_the_end_of_a_shortened_note_is_masked(host: Any) -> None:
    blind = Session(host.user("uma", "helpdesk.view_ticket", SEES_CALLS, agent=None))
    call = call_about(ticket := host.ticket())
    text = "x" * (timeline.LONGEST_NOTE - 6) + f" {BY_HAND} is his wife"
    CallNote.objects.create(call=call, text=text, author_label="Vik", created_at=timezone.now())

    assert "xx +••••…" in lists_of(blind.change_form(ticket))[0][0]


def test_signs_in_a_note_do_not_turn_round_what_stands_beside_it(asha: Session, host: Any) -> None:
    """A right-to-left override stays in force until its element ends."""
    call = call_about(ticket := host.ticket(), customer_label="Ravi \u202e\u2067")
    CallNote.objects.create(call=call, text="paid \u202e", author_label="Vik", created_at=timezone.now())

    assert "<bdi>paid </bdi> <small>Vik</small>" in (page := asha.change_form(ticket).html)
    assert '<bdi class="exotel-who">Vik to Ravi </bdi>' in page
    assert not {"\u202e", "\u2067"} & set(page)


def test_address_of_a_recording_in_a_note_is_hidden(asha: Session, host: Any) -> None:
    call = call_about(ticket := host.ticket())
    text = "listen to https://recordings.exotel.com/exotelrecordings/acme1/5f0c2a9e.mp3 and call back"
    CallNote.objects.create(call=call, text=text, author_label="Vik", created_at=timezone.now())

    assert "listen to https://recordings.exotel.com/[…] and call back" in asha.change_form(ticket).text


def test_newest_notes_of_a_call_are_loaded(asha: Session, host: Any) -> None:
    call = call_about(ticket := host.ticket())
    made = [CallNote(call=call, text=f"note-{n}.", created_at=timezone.now()) for n in range(500)]
    CallNote.objects.bulk_create(made)
    short = call_about(ticket)
    CallNote.objects.bulk_create(CallNote(call=short, text="few", created_at=timezone.now()) for _n in range(5))

    with CaptureQueriesContext(connection) as seen:
        page = asha.change_form(ticket)

    few, many = lists_of(page)[0][:2]
    assert re.findall(r"note-[0-9]+", many) == [f"note-{n}" for n in range(495, 500)]
    assert "Older notes" in many
    assert page.links["Older notes"] == reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])
    assert few.count("few") == 5
    assert "Older notes" not in few
    assert len([one for one in seen if 'FROM "exotel_ccm_callnote"' in one["sql"].replace("`", '"')]) == 1


def test_number_is_masked(host: Any) -> None:
    call_about(ticket := host.ticket(phone=BY_HAND), customer_label="")
    blind = Session(host.user("uma", *AGENT_WORK, SEES_CALLS))

    page = blind.change_form(ticket)

    assert "Vik to +••••••••••09" in lists_of(page)[0][0]
    assert BY_HAND not in section_of(page)


def test_erased_customer_has_no_name(asha: Session, host: Any) -> None:
    call_about(ticket := host.ticket(), erased_at=timezone.now())

    page = asha.change_form(ticket)

    assert "a customer who was erased on request" in lists_of(page)[0][0]
    assert "Vik to Ravi" not in page.text


def test_names_are_escaped(asha: Session, host: Any) -> None:
    evil = "<script>alert(1)</script>"
    call_about(ticket := host.ticket(), agent_label=evil, customer_label=evil)

    assert evil not in asha.change_form(ticket).html


@pytest.mark.parametrize(
    ("days", "when"), [(0, r"today \d\d:\d\d"), (1, r"yesterday \d\d:\d\d"), (800, r"\w+\.? \d+, 20\d\d, \d\d:\d\d")]
)
def test_one_style_of_dates(asha: Session, host: Any, days: int, when: str) -> None:
    at = timezone.now() - datetime.timedelta(days=days)
    call_about(ticket := host.ticket(), created_at=at)

    found = re.search(r'<time datetime="([^"]+)">([^<]+)</time>', section_of(asha.change_form(ticket)))

    assert found is not None
    assert re.fullmatch(when, found[2])
    assert abs(datetime.datetime.fromisoformat(found[1]) - at) < datetime.timedelta(seconds=1)


# How many rows.


@pytest.mark.parametrize(("count", "shown", "folded"), [(3, 3, 0), (4, 3, 1), (17, 3, 14), (20, 3, 17), (25, 3, 17)])
def test_newest_three_then_all(asha: Session, host: Any, count: int, shown: int, folded: int) -> None:
    calls = many_calls(ticket := host.ticket(), count)
    call_about(host.ticket("Another"), talk_time=999)

    lists = lists_of(asha.change_form(ticket))

    assert [len(rows) for rows in lists] == [shown, folded]
    assert [row.split(" s ")[0] for row in [*lists[0], *lists[1]]] == [
        f"Talked for {call.talk_time}" for call in calls[::-1][:20]
    ]


def test_fold_says_how_many(asha: Session, host: Any) -> None:
    many_calls(ticket := host.ticket(), 17)

    assert "<summary>All 17 calls</summary>" in asha.change_form(ticket).html


def test_the_rest_is_on_the_list_of_calls(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    many_calls(ticket, 25)
    call_about(host.ticket("Another"), talk_time=999)

    page = asha.change_form(ticket)
    listed = asha.get(page.links["All 25 calls"])

    assert "25 calls" in listed.text
    assert "16 min 39 s" not in listed.text
    assert "Broken fan" in listed.html.partition('id="changelist-filter"')[2]


def test_long_history_is_not_counted_to_its_end(asha: Session, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MOST_COUNTED", 22)
    many_calls(ticket := host.ticket(), 25)

    with CaptureQueriesContext(connection) as queries:
        page = asha.change_form(ticket)

    assert "More than 22 calls" in page.links
    assert any("LIMIT 23" in query["sql"] and "COUNT(" in query["sql"] for query in queries)


def test_queries_do_not_grow(asha: Session, host: Any) -> None:
    def cost(count: int) -> int:
        many_calls(ticket := host.ticket(), count)
        with CaptureQueriesContext(connection) as queries:
            asha.change_form(ticket)
        return len([query for query in queries if "exotel_ccm_callrecord" in query["sql"]])

    cost(0)
    assert [cost(0), cost(15), cost(500)] == [3, 3, 4]  # the fourth counts


def test_no_history_of_a_hidden_ticket_on_the_list_of_calls(host: Any) -> None:
    ticket = host.ticket("Red secret", team="red")
    call_about(ticket)
    session = Session(host.user("meera", "helpdesk.view_ticket", SEES_CALLS, agent=None, last_name="blue"))

    page = session.get(f"{session.url('exotel_ccm_callrecord_changelist')}?ticket=ticket_{ticket.pk}")

    assert "0 calls" in page.text
    assert "Red secret" not in page.html


@pytest.mark.parametrize("named", ["ticket_x", "nothing_1", "ticket_%00", "ticket_99999999999999999999", "💥"])
def test_list_of_calls_about_what_is_no_ticket(asha: Session, host: Any, named: str) -> None:
    call_about(host.ticket())

    page = asha.get(f"{asha.url('exotel_ccm_callrecord_changelist')}?ticket={named}")

    assert asha.response.status_code == 200
    assert "0 calls" in page.text


# "Call again".


def press_again(session: Session, ticket: Any, nth: int = 0) -> Page:
    form = session.change_form(ticket).of_again[nth]
    return session.post(form.attributes["action"], form.data)


@pytest.mark.books_differ("the first call was never placed")
@pytest.mark.parametrize("state", ["ended", "refused"])
def test_calls_again(asha: Session, host: Any, exotel: Any, state: str) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    call_about(ticket, state=state, customer_number=BY_HAND)

    page = press_again(asha, ticket)

    call = CallRecord.objects.newest_first().first()
    assert "Exotel accepted the request" in page.messages
    assert (call.customer_number, call.placed_by) == (BY_HAND, asha.user)  # type: ignore[union-attr]


@pytest.mark.books_differ("the first call was never placed")
def test_press_asks_about_an_unconfirmed_call_of_a_colleague(asha: Session, host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    call_about(ticket, state="unconfirmed", placed_by_label="Vik")

    page = press_again(asha, ticket)

    assert "Call only if you mean to." in page.text
    assert CallRecord.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"state": "requested"}, 1),
        ({"state": "active"}, 1),
        ({"state": "active", "answered_at": timezone.now()}, 1),
        ({"state": "active", "origin": "external"}, 1),
        ({"state": "active", "gave_up_at": timezone.now()}, 2),
        ({"state": "active", "created_at": timezone.now() - datetime.timedelta(hours=5)}, 2),
        ({"state": "unconfirmed"}, 2),
    ],
)
def test_call_in_progress_has_no_call_again(asha: Session, host: Any, fields: dict[str, Any], count: int) -> None:
    call_about(ticket := host.ticket())
    newest = call_about(ticket, **{"talk_time": None, "outcome": "", **fields})

    page = asha.change_form(ticket)

    addresses = [form.attributes["action"] for form in page.of_again]
    assert len(addresses) == count
    assert any(f"exotel_again={newest.pk}" in address for address in addresses) == (count == 2)
    assert len(fragment_of(asha, page).of_again) == count


@pytest.mark.books_differ("the first calls were never placed")
def test_calling_again_during_a_call_asks_first(asha: Session, host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    call_about(ticket, customer_number=BY_HAND)
    call_about(ticket, customer_number=BY_HAND, state="active", talk_time=None, outcome="", placed_by=asha.user)

    press_again(asha, ticket)

    assert CallRecord.objects.count() == 2
    assert asha.where.startswith("/exotel/choose/")


def test_call_again_dials_no_number_of_the_past(asha: Session, host: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    call_about(ticket, customer_number=OTHER)

    press_again(asha, ticket)

    assert CallRecord.objects.count() == 1
    assert asha.where.startswith("/exotel/choose/")


def test_call_again_does_not_dial_past_a_note(asha: Session, host: Any) -> None:
    ticket = host.ticket(phone=f"{BY_HAND} do not call")
    call_about(ticket, customer_number=BY_HAND)

    press_again(asha, ticket)

    assert CallRecord.objects.count() == 1
    assert asha.where.startswith("/exotel/choose/")


def test_call_again_is_about_this_ticket_alone(asha: Session, host: Any) -> None:
    ticket, other = host.ticket(phone=BY_HAND), host.ticket("Another", phone=OTHER)
    call_about(ticket)
    strange = call_about(other, customer_number=BY_HAND)
    form = asha.change_form(ticket).of_again[0]
    address = re.sub(r"exotel_again=\d+", f"exotel_again={strange.pk}", form.attributes["action"])

    asha.post(address, form.data)

    assert CallRecord.objects.count() == 2


def test_who_cannot_call_has_no_call_again(host: Any) -> None:
    call_about(ticket := host.ticket())
    reader = Session(host.user("uma", "helpdesk.view_ticket", SEES_CALLS, agent=None))
    no_phone = Session(host.user("meera", *AGENT_WORK, SEES_CALLS, agent=None))

    assert [session.change_form(ticket).of_again for session in (reader, no_phone)] == [[], []]


# The part of the page that is fetched anew.


def fragment_of(session: Session, page: Page) -> Page:
    found = re.search(r'data-exotel-timeline="([^"]+)"', page.html)
    assert found is not None
    return session.get(found[1].replace("&amp;", "&"))


def test_fetched_history_is_that_of_the_page(asha: Session, host: Any) -> None:
    many_calls(ticket := host.ticket(), 5)
    page = asha.change_form(ticket)
    many_calls(ticket, 1)

    fetched = fragment_of(asha, page)

    assert asha.response.headers["Cache-Control"] == "private, no-store"
    assert [len(rows) for rows in lists_of(fetched)] == [3, 3]
    assert "<html" not in fetched.html
    newest = CallRecord.objects.newest_first().first()
    assert f"/callrecord/{newest.pk}/" in fetched.html  # type: ignore[union-attr]
    assert len(fetched.of_again) == 6


def test_fetched_history_asks_for_permission(asha: Session, host: Any) -> None:
    call_about(ticket := host.ticket(team="red"))
    page = asha.change_form(ticket)
    users = [
        host.user("uma", "helpdesk.view_ticket", agent=None),
        host.user("meera", SEES_CALLS, agent=None),
        host.user("vik", "helpdesk.view_ticket", SEES_CALLS, agent=None, last_name="blue"),
    ]

    statuses = []
    for user in users:
        session = Session(user)
        fragment_of(session, page)
        statuses.append(session.response.status_code)
    fragment_of(stranger := Session(None), page)

    assert statuses == [403, 404, 404]
    assert "/admin/login/" in stranger.where


def test_fetched_history_of_a_reader_has_no_call_again(asha: Session, host: Any) -> None:
    call_about(ticket := host.ticket())
    page = asha.change_form(ticket)
    reader = Session(host.user("uma", "helpdesk.view_ticket", SEES_CALLS, agent=None))

    assert fragment_of(reader, page).of_again == []
