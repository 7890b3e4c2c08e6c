"""Notes, dispositions and follow-ups in the admin: who reads what, and that nobody loses history."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.admin import notes
from django_exotel_ccm.models import CallNote, CallRecord, Disposition, FollowUp, RecordingAccess
from django_exotel_ccm.services import add_note, assign_follow_up, schedule_follow_up
from tests.admin.pages import AGENT_WORK, SEES_CALLS, Page, Session
from tests.factories import Calls, record_callback

READS = ("exotel_ccm.view_callnote", "exotel_ccm.view_followup")
EVIL = "<script>alert(1)</script>\nsecond line"
CHANGES = "exotel_ccm.change_followup"
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def reader(host: Any) -> Session:
    return Session(host.user("meera", "helpdesk.view_ticket", SEES_CALLS, *READS, agent=None))


@pytest.fixture
def stranger(host: Any) -> Session:
    """May see calls, and no ticket."""
    return Session(host.user("vik", SEES_CALLS, *READS, agent=None))


@pytest.fixture
def call(host: Any, real_calls: Calls) -> CallRecord:
    return real_calls.requested(ticket=host.ticket(), ticket_label="Broken fan", state="ended")


@pytest.fixture
def note(host: Any, call: CallRecord) -> CallNote:
    reached = Disposition.objects.create(code="reached", label="Reached")
    later = timezone.now() + HOUR
    return add_note(call, author=host.user("asha"), text=EVIL, disposition=reached, follow_up_at=later)


def is_vik(user: Any, ticket: Any) -> bool:
    return str(user) == "vik"


def promise(ticket: Any, user: Any) -> FollowUp:
    return schedule_follow_up(ticket=ticket, due_at=timezone.now() + HOUR, assigned_to=user)


def logged_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(model: str, row: Any) -> str:
    return reverse(f"admin:exotel_ccm_{model}_change", args=[row.pk])


def list_of(model: str, query: str = "") -> str:
    return reverse(f"admin:exotel_ccm_{model}_changelist") + query


def test_notes_stand_on_the_calls_page(note: CallNote, reader: Session) -> None:
    page = reader.get(page_of("callrecord", note.call))

    assert "Reached" in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nsecond line" in page.html
    assert EVIL not in page.html


def test_only_who_sees_the_ticket_reads_its_notes(note: CallNote, reader: Session, stranger: Session) -> None:
    follow_up = FollowUp.objects.get()
    pages = [
        page_of("callrecord", note.call),
        page_of("callnote", note),
        page_of("followup", follow_up),
        list_of("callnote"),
        list_of("followup"),
    ]
    for url in pages:
        assert "alert(1)" in reader.get(url).html
        hidden = stranger.get(url).html
        assert "alert(1)" not in hidden
        assert "Broken fan" not in hidden


def test_lists_mask_numbers_before_texts_are_cut(host: Any, reader: Session, call: CallRecord) -> None:
    """The first digits of a number are no number any more."""
    text = "x" * (notes.LISTED_CHARACTERS - 7) + " +919000001001 is his wife"
    add_note(call, author=host.user("asha"), text=text, follow_up_at=timezone.now() + HOUR)

    for model in ("callnote", "followup"):
        assert "xxx +•••••…" in reader.get(list_of(model)).text


def test_pages_need_their_permissions(note: CallNote, host: Any) -> None:
    nobody = Session(host.user("nobody", "helpdesk.view_ticket", SEES_CALLS, agent=None))

    for model in ("callnote", "followup", "disposition"):
        assert nobody.client.get(list_of(model)).status_code == 403
    assert "alert(1)" in nobody.get(page_of("callrecord", note.call)).html  # who sees call and ticket sees the notes


@pytest.mark.parametrize("model", ["callnote", "followup"])
def test_lists_need_a_fixed_number_of_queries(model: str, host: Any, reader: Session, call: CallRecord) -> None:
    user, counts = host.user("asha"), []
    for _round in range(2):
        for _number in range(5):
            add_note(call, author=user, text="one", follow_up_at=timezone.now() + HOUR)
        with CaptureQueriesContext(connection) as captured:
            reader.get(list_of(model))
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_history_is_read_only(note: CallNote, host: Any) -> None:
    boss = logged_in(host.user("boss", is_superuser=True, agent=None))

    for model, row in [("callnote", note), ("followup", FollowUp.objects.get())]:
        assert boss.post(reverse(f"admin:exotel_ccm_{model}_delete", args=[row.pk])).status_code == 403
        assert boss.get(reverse(f"admin:exotel_ccm_{model}_add")).status_code == 403
    used = note.disposition
    assert used is not None
    refused = boss.post(reverse("admin:exotel_ccm_disposition_delete", args=[used.pk]), {"post": "yes"})
    assert refused.status_code == 200  # the page that says what protects it
    assert Disposition.objects.filter(pk=used.pk).exists()


def test_disposition_is_switched_off(note: CallNote, host: Any) -> None:
    boss = logged_in(host.user("boss", is_superuser=True, agent=None))
    used = note.disposition
    assert used is not None
    form = {"label": "Talked", "code": used.code, "means": "reached", "position": "1"}

    assert boss.post(page_of("disposition", used), form).status_code == 302
    assert list(Disposition.objects.offered()) == []
    assert "Talked" in boss.get(page_of("callrecord", note.call)).content.decode()


def test_follow_ups_are_filtered_and_marked_as_done(host: Any, reader: Session) -> None:
    user = host.user("asha")
    titles = {"open": "Lamp", "due": "Fan", "done": "Chair"}
    for title in titles.values():
        ticket = host.ticket(title, phone="")
        schedule_follow_up(ticket=ticket, due_at=timezone.now() + HOUR, assigned_to=user)
    FollowUp.objects.filter(ticket_label="Fan").update(due_at=timezone.now() - HOUR)
    FollowUp.objects.filter(ticket_label="Chair").update(done_at=timezone.now())

    def shown(state: str) -> list[str]:
        html = reader.get(list_of("followup", f"?done={state}")).html
        return [title for title in titles.values() if title in html]

    assert (shown("open"), shown("due"), shown("done")) == (["Lamp", "Fan"], ["Fan"], ["Chair"])
    form = {"action": "mark_as_done", "_selected_action": list(FollowUp.objects.values_list("pk", flat=True))}
    logged_in(reader.user).post(list_of("followup"), form)
    assert len(shown("open")) == 2  # without the permission there is no such action

    boss = logged_in(host.user("boss", is_superuser=True, agent=None))
    boss.post(list_of("followup"), form)
    assert (shown("open"), shown("done")) == ([], ["Lamp", "Fan", "Chair"])


@pytest.mark.parametrize("batch", [1, 500])
def test_call_backs_of_hidden_tickets_stay_open(host: Any, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "BATCH", batch)
    lead = host.user("lead", "helpdesk.view_ticket", *READS, CHANGES, agent=None, last_name="north")
    for team in ("north", "south", "north"):
        promise(host.ticket(team=team), lead)
    session = Session(lead)
    form = session.get(list_of("followup")).of_id("changelist-form")

    keys = list(FollowUp.objects.values_list("pk", flat=True))
    page = session.post(list_of("followup"), form.data | {"action": ["mark_as_done"], "_selected_action": keys})

    assert [one.ticket.team for one in FollowUp.objects.open()] == ["south"]
    assert "2 call-backs are done." in page.messages
    assert "1 call-back is left open: its ticket was deleted, or is not yours to see." in page.messages


@pytest.mark.parametrize("is_deleted", [False, True])
def test_call_back_is_handed_on(host: Any, is_deleted: bool) -> None:
    boss = host.user("boss", "helpdesk.view_ticket", *READS, CHANGES, agent=None)
    left, vik = host.user("left", agent=None), host.user("vik", *AGENT_WORK)
    one = promise(host.ticket(), left)
    due = FollowUp.objects.get().due_at
    if is_deleted:
        left.delete()
    session = Session(boss)

    page = session.get(page_of("followup", one))
    assert re.findall(r'<option value="(\d+)"', page.html) == [str(vik.pk)]  # boss and left cannot call
    [form] = [form for form in page.forms if form.attributes.get("id") == "followup_form"]
    assert set(form.data) - {"csrfmiddlewaretoken"} == set()  # what else the page shows cannot be changed
    told = session.post(session.where, form.data | {"assigned_to": str(vik.pk)})

    assert told.messages == "Vik is to call back."
    assert str(LogEntry.objects.get().object_repr).startswith("Call-back of vik, ")
    one.refresh_from_db()
    assert (one.assigned_to, one.assigned_to_label, one.due_at, one.done_at) == (vik, "vik", due, None)
    assert "vik" in session.get(list_of("followup")).text


def test_who_hands_on(host: Any, reader: Session) -> None:
    ticket, vik = host.ticket(team="south"), host.user("vik")
    hidden, done = promise(ticket, host.user("left", agent=None)), promise(host.ticket(team="north"), vik)
    FollowUp.objects.filter(pk=done.pk).update(done_at=timezone.now())
    lead = Session(host.user("lead", "helpdesk.view_ticket", *READS, CHANGES, agent=None, last_name="north"))

    for session, one, status in ((reader, hidden, 403), (lead, hidden, 403), (reader, done, 403), (lead, done, 302)):
        assert 'name="assigned_to"' not in session.get(page_of("followup", one)).html
        sent = logged_in(session.user).post(page_of("followup", one), {"assigned_to": vik.pk})
        assert sent.status_code == status

    assert FollowUp.objects.get(pk=hidden.pk).assigned_to_label == "left"
    assert FollowUp.objects.get(pk=done.pk).assigned_to == vik


def hand_on(session: Session, one: FollowUp, user: Any, *, meanwhile: Any = None) -> Page:
    """Choose the user on the call-back's page, and press Save."""
    form = session.get(page_of("followup", one)).of_id("followup_form")
    if meanwhile is not None:
        meanwhile()
    return session.post(session.where, form.data | {"assigned_to": str(user.pk), "_continue": "1"})


@pytest.mark.parametrize("is_late", [False, True])
def test_page_of_a_call_back_that_was_settled_meanwhile_says_so(
    host: Any, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    boss = Session(host.user("boss", "helpdesk.view_ticket", *READS, CHANGES, agent=None))
    left, vik = host.user("left", agent=None), host.user("vik", *AGENT_WORK)
    one = promise(host.ticket(), left)

    def settle() -> None:
        FollowUp.objects.update(done_at=timezone.now())

    def assign_too_late(follow_up: FollowUp, user: Any) -> bool:
        settle()
        return assign_follow_up(follow_up, user)

    if is_late:
        monkeypatch.setattr(notes, "assign_follow_up", assign_too_late)
    page = hand_on(boss, one, vik, meanwhile=None if is_late else settle)

    assert boss.response.status_code == 200
    assert page.messages == "The call-back was not handed on: it is done by now, or was deleted."
    assert not LogEntry.objects.exists()
    assert FollowUp.objects.get().assigned_to == left


def test_call_back_that_was_deleted_meanwhile(host: Any) -> None:
    boss = Session(host.user("boss", "helpdesk.view_ticket", *READS, CHANGES, agent=None))
    one = promise(host.ticket(), host.user("left", agent=None))

    page = hand_on(boss, one, host.user("vik", *AGENT_WORK), meanwhile=FollowUp.objects.all().delete)

    assert "deleted" in page.messages


@pytest.mark.parametrize(
    ("permissions", "last_name", "problem"),
    [
        (AGENT_WORK, "", ""),
        (AGENT_WORK, "north", ""),
        (AGENT_WORK, "south", "vik may not see the ticket. Choose somebody else."),
        (("exotel_ccm.place_call",), "", "vik may not see the ticket. Choose somebody else."),
        (("helpdesk.view_ticket",), "", "vik may not call. Choose somebody else."),
    ],
)
def test_to_whom_a_call_back_is_handed_on(
    host: Any, permissions: tuple[str, ...], last_name: str, problem: str
) -> None:
    """Whoever gets it has to see the ticket and to call, or the customer waits in vain."""
    boss = Session(host.user("boss", "helpdesk.view_ticket", *READS, CHANGES, agent=None))
    asha, vik = host.user("asha"), host.user("vik", *permissions, last_name=last_name, agent="+919000000102")
    one = promise(host.ticket(team="north"), asha)

    page = hand_on(boss, one, vik)

    assert FollowUp.objects.get().assigned_to == (asha if problem else vik)
    assert problem in page.text
    assert ("is to call back" in page.messages) is not bool(problem)


@pytest.mark.parametrize(("team", "is_handed_on"), [("north", True), ("south", False)])
def test_call_back_is_handed_on_at_a_site_that_demands_a_second_factor(
    host: Any, monkeypatch: pytest.MonkeyPatch, team: str, is_handed_on: bool
) -> None:
    """Nobody can know of a colleague whether they will give one."""
    boss = Session(host.user("boss", "helpdesk.view_ticket", *READS, CHANGES, agent=None))
    vik = host.user("vik", *AGENT_WORK, last_name=team)
    one = promise(host.ticket(team="north"), host.user("asha", agent=None))
    monkeypatch.setattr(admin.site, "has_permission", lambda request: request.user == boss.user)

    page = hand_on(boss, one, vik)

    assert (FollowUp.objects.get().assigned_to == vik) is is_handed_on
    assert ("vik may not see the ticket" in page.text) is not is_handed_on


def test_call_back_is_handed_on_to_who_works_on_the_hosts_pages(host: Any, settings: Any) -> None:
    entry = {"prefix": "ticket", "phone": "customer.phone", "can_call": f"{__name__}.is_vik"}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": entry}}
    boss = Session(host.user("boss", "helpdesk.view_ticket", *READS, CHANGES, agent=None))
    asha = host.user("asha", "exotel_ccm.place_call")
    vik = host.user("vik", "exotel_ccm.place_call", agent="+919000000102")
    one = promise(host.ticket(), asha)

    assert "Vik is to call back." in hand_on(boss, one, vik).messages
    assert "asha may not see the ticket." in hand_on(boss, one, asha).text


def test_call_back_without_a_ticket_is_handed_on(host: Any, real_calls: Calls) -> None:
    boss = Session(host.user("boss", *READS, CHANGES, agent=None))
    asha, vik = host.user("asha"), host.user("vik", "exotel_ccm.place_call", agent="+919000000102")
    add_note(real_calls.requested(), author=asha, text="x", follow_up_at=timezone.now() + HOUR)

    assert "Vik is to call back." in hand_on(boss, FollowUp.objects.get(), vik).messages


def test_call_back_that_was_settled_meanwhile_stays_whose_it_was(host: Any) -> None:
    vik, one = host.user("vik"), promise(host.ticket(), host.user("left", agent=None))
    done, stale = FollowUp.objects.filter(pk=one.pk), FollowUp.objects.get(pk=one.pk)
    done.update(done_at=timezone.now())

    assert assign_follow_up(stale, vik) is False
    assert done.get().assigned_to_label == "left"


@pytest.mark.sqlite_only("its plans depend on no statistics")
@pytest.mark.parametrize("query", ["", "?done=open", "?done=due", "?done=done", "?o=0", "?o=1", "?o=-4.1"])
def test_list_of_call_backs_is_sorted_by_an_index(query: str, reader: Session, host: Any) -> None:
    schedule_follow_up(
        ticket=host.ticket(), due_at=timezone.now() + datetime.timedelta(hours=1), assigned_to=reader.user
    )
    with CaptureQueriesContext(connection) as seen:
        reader.get(list_of("followup", query))
    [statement] = [one["sql"] for one in seen if "ORDER BY" in one["sql"] and "exotel_ccm_followup" in one["sql"]]

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        plan = str(cursor.fetchall())

    assert "exotel_ccm_follow_up" in plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan


@pytest.mark.parametrize(
    ("model", "columns"),
    [("followup", 1), ("callnote", 1), ("callevent", 1), ("recordingaccess", 1), ("announcement", 0)],
)
def test_lists_are_sorted_by_columns_with_an_index_alone(model: str, columns: int, note: CallNote, host: Any) -> None:
    ola = Session(host.user("ola", f"exotel_ccm.view_{model}", SEES_CALLS, agent=None))
    schedule_follow_up(ticket=host.ticket(), due_at=timezone.now() + datetime.timedelta(hours=1), assigned_to=ola.user)
    RecordingAccess.objects.create(call=note.call, listened_at=timezone.now())
    record_callback(note.call, "answered")
    assert ola.get(list_of(model)).html.count('class="sortable') == columns
