"""The agent's own page: who sees what on it, what its presses do, and what it costs."""

from __future__ import annotations

import datetime
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.host_pages import HostPagesAdapter
from django_exotel_ccm.models import CallNote, CallRecord, FollowUp
from django_exotel_ccm.services import add_note, schedule_follow_up
from django_exotel_ccm.services.call_lists import create_call_list
from tests.admin.pages import AGENT_WORK, SEES_CALLS, Page, Session
from tests.helpdesk.models import Ticket
from tests.templatetags.pages import BUTTON, PANEL, render, request_of

NOT_SHOWN = "A ticket that was deleted, or is not yours to see"


@pytest.fixture
def asha(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK))


def my_calls(session: Session, query: str = "") -> Page:
    return session.get(reverse("exotel_ccm:my-calls") + query)


def promise(user: Any, ticket: Any, text: str = "", **ago: float) -> FollowUp:
    """Return a follow-up that has been due since so long ago."""
    follow_up = schedule_follow_up(
        ticket=ticket, due_at=timezone.now() + datetime.timedelta(hours=1), assigned_to=user, text=text
    )
    FollowUp.objects.filter(pk=follow_up.pk).update(due_at=timezone.now() - datetime.timedelta(**ago))
    return follow_up


def call(user: Any, ticket: Any, **fields: Any) -> CallRecord:
    given: dict[str, Any] = {"account": "default", "state": "ended", "outcome": "completed", "talk_time": 192}
    given["customer_label"] = "Ravi"
    if ticket is not None:
        given["ticket"] = ticket
    now = timezone.now()
    return CallRecord.objects.create(**{**given, "placed_by": user, "created_at": now, "ended_at": now, **fields})


def press(session: Session, follow_up: FollowUp, do: str, **more: str) -> Page:
    """Press a button of the follow-up's forms."""
    page = my_calls(session)
    form = next(one for one in page.forms if ("exotel_follow_up", str(follow_up.pk)) in one.fields)
    return session.post(session.where, form.data | {"exotel_do": do} | more)


def test_empty_page_says_what_it_is_for(asha: Session) -> None:
    text = my_calls(asha).text

    assert asha.response.status_code == 200
    assert "Nobody waits for your call." in text
    assert "You have not called anybody today." in text


def test_overdue_come_first(asha: Session, host: Any) -> None:
    promise(asha.user, host.ticket("Due now"), minutes=5)
    promise(asha.user, host.ticket("Due long ago"), text="after lunch", hours=2)
    schedule_follow_up(
        ticket=host.ticket("Later"), due_at=timezone.now() + datetime.timedelta(days=3), assigned_to=asha.user
    )
    promise(host.user("vik", agent=None), host.ticket("Of a colleague"), hours=1)

    text = my_calls(asha).text

    assert text.index("Due long ago") < text.index("Due now") < text.index("Later")
    assert "overdue 2 hours" in text
    assert "after lunch" in text
    assert "Of a colleague" not in text


def test_calls_of_today(asha: Session, host: Any) -> None:
    ticket = host.ticket("Invoice")
    call(asha.user, ticket)
    call(asha.user, ticket, outcome="busy", talk_time=0)
    call(asha.user, ticket, outcome="failed", talk_time=0, created_at=timezone.now() - datetime.timedelta(days=2))
    call(host.user("vik", agent=None), ticket, outcome="customer_unanswered", talk_time=0)

    page = my_calls(asha)

    assert "Talked for 3 min 12 s" in page.text
    assert page.text.index("Busy") < page.text.index("Talked for 3 min 12 s")
    assert "The call failed" not in page.text
    assert "No answer" not in page.text
    assert page.links["Invoice"] == reverse("admin:helpdesk_ticket_change", args=[ticket.pk])


def test_call_in_progress_is_followed(asha: Session, host: Any) -> None:
    call(asha.user, host.ticket("Invoice"), state="active", outcome="", talk_time=None, ended_at=None)

    html = my_calls(asha).html

    assert "Calling Ravi." in html
    assert "exotel_ccm/panel.js" in html


def test_only_the_owner_of_the_call_is_followed(asha: Session, host: Any) -> None:
    vik = host.user("vik", agent=None)
    call(vik, host.ticket("Invoice"), state="active", outcome="", talk_time=None, ended_at=None)

    assert "Calling Ravi." not in my_calls(asha).html


def test_hidden_and_deleted_tickets_are_not_named(asha: Session, host: Any) -> None:
    hidden, gone = host.ticket("Secret merger"), host.ticket("Secret sale")
    for ticket in (hidden, gone):
        promise(asha.user, ticket, text="about the secret", hours=1)
        call(asha.user, ticket, ticket_label=str(ticket))
    gone.delete()
    asha.user.user_permissions.remove(
        *Permission.objects.filter(codename__in=["view_ticket", "change_ticket"], content_type__app_label="helpdesk")
    )

    page = my_calls(asha)

    assert page.text.count(NOT_SHOWN) == 4
    assert "ecret" not in page.html
    assert "data-exotel-place" not in page.html


def test_call_back_after_a_call_without_a_ticket(asha: Session, host: Any) -> None:
    placed = call(asha.user, None, customer_number="+919000001001")
    vik = host.user("vik", agent=None)
    of_vik = call(vik, None, customer_label="Meera", customer_number="+919000001002")
    later = timezone.now() + datetime.timedelta(days=1)
    add_note(placed, author=asha.user, text="Wants the price list", follow_up_at=later)
    add_note(of_vik, author=asha.user, text="Wants to pay", follow_up_at=later)

    text = my_calls(asha).text.partition("My calls today")[0]

    assert "Ravi" in text
    assert "Wants the price list" in text
    assert NOT_SHOWN not in text
    assert "Meera" not in text  # without view_callrecord, she may see her own calls alone
    assert "Wants to pay" in text
    asha.user.user_permissions.add(Permission.objects.get(codename="view_callrecord"))
    assert my_calls(asha).links["Meera"] == reverse("admin:exotel_ccm_callrecord_change", args=[of_vik.pk])
    press(asha, FollowUp.objects.order_by("pk")[0], "done")
    assert "Wants the price list" not in my_calls(asha).text


def test_lines_of_deleted_tickets_can_be_told_apart_by_ear(asha: Session, host: Any) -> None:
    for hours in (24, 25):
        promise(asha.user, ticket := host.ticket(), hours=hours)
        ticket.delete()

    labels = re.findall(r'aria-label="((?:Done|Another time): [^"]*)"', my_calls(asha).html)

    assert len(set(labels)) == 4
    assert all(re.fullmatch(r"(Done|Another time): a call-back, .* [0-9]{2}:[0-9]{2}", label) for label in labels)


def test_numbers_are_masked(asha: Session, host: Any) -> None:
    ticket = host.ticket("Call +919000001001 back")
    promise(asha.user, ticket, text="or +919000001002", hours=1)
    call(asha.user, ticket, customer_label="", customer_number="+919000001001")

    shown = my_calls(asha).text

    assert "9000001001" not in shown
    assert "9000001002" not in shown


def test_button_calls_and_leads_back(asha: Session, host: Any, exotel: Any) -> None:
    ticket = host.ticket("Invoice")
    promise(asha.user, ticket, hours=1)

    page = asha.press_button_of(my_calls(asha))

    [placed] = CallRecord.objects.all()
    assert placed.ticket == ticket
    assert asha.where.startswith(reverse("exotel_ccm:my-calls"))
    assert "Your phone rings first: pick up." in page.text


def test_press_on_an_old_page_is_no_second_call(asha: Session, host: Any, exotel: Any) -> None:
    promise(asha.user, host.ticket("Invoice"), hours=1)
    page = my_calls(asha)

    asha.press_button_of(page)
    asha.press_button_of(page)

    assert CallRecord.objects.count() == 1


def test_ticket_without_number_says_so(asha: Session, host: Any) -> None:
    promise(asha.user, host.ticket("Invoice", phone=""), hours=1)

    page = my_calls(asha)

    assert "no number" in page.text
    assert page.call_buttons == []


def test_agent_without_phone_is_told(host: Any) -> None:
    session = Session(host.user("meera", *AGENT_WORK, agent=None))
    promise(session.user, host.ticket("Invoice"), hours=1)

    page = my_calls(session)

    assert "no phone" in page.text
    assert page.call_buttons == []


def test_done(asha: Session, host: Any) -> None:
    follow_up = promise(asha.user, host.ticket("Invoice"), hours=1)

    page = press(asha, follow_up, "done")

    follow_up.refresh_from_db()
    assert follow_up.done_at is not None
    assert follow_up.done_by is None
    assert "Invoice" not in page.text
    assert "The call-back is done." in page.messages


@pytest.mark.parametrize(
    ("now", "do", "due"),
    [
        ("2026-11-26 06:00Z", "hour", "2026-11-26 07:00Z"),
        ("2026-11-26 06:00Z", "evening", "2026-11-26 12:30Z"),
        ("2026-11-26 12:10Z", "evening", "2026-11-26 12:30Z"),  # 17:40 in Kolkata
        ("2026-11-26 06:00Z", "tomorrow", "2026-11-27 04:30Z"),
        ("2026-11-26 20:00Z", "tomorrow", "2026-11-28 04:30Z"),  # in Kolkata it is the 27th
    ],
)
def test_move_to_an_offered_time(asha: Session, host: Any, time_machine: Any, now: str, do: str, due: str) -> None:
    time_machine.move_to(datetime.datetime.fromisoformat(now), tick=False)
    asha.client.force_login(asha.user)
    follow_up = promise(asha.user, host.ticket("Invoice"), hours=1)

    page = press(asha, follow_up, do)

    follow_up.refresh_from_db()
    assert follow_up.due_at == datetime.datetime.fromisoformat(due)
    assert "Call back on Nov. 2" in page.messages


def test_move_to_a_chosen_time(asha: Session, host: Any) -> None:
    follow_up = promise(asha.user, host.ticket("Invoice"), hours=1)
    year = timezone.now().year + 1

    press(asha, follow_up, "chosen", exotel_due_at=f"{year}-03-04T11:15")

    follow_up.refresh_from_db()
    assert follow_up.due_at == datetime.datetime(year, 3, 4, 5, 45, tzinfo=datetime.UTC)


def test_button_that_there_is_not(asha: Session, host: Any) -> None:
    follow_up = promise(asha.user, host.ticket("Invoice"), hours=1)
    before = FollowUp.objects.get().due_at

    page = press(asha, follow_up, "nonsense", exotel_due_at="2031-03-04T11:15")

    assert (asha.response.status_code, "Choose when to call back." in page.text) == (400, True)
    assert FollowUp.objects.get().due_at == before


def test_moving_what_was_done_meanwhile(asha: Session, host: Any) -> None:
    follow_up = promise(asha.user, host.ticket("Invoice"), hours=1)
    form = next(one for one in my_calls(asha).forms if "exotel_follow_up" in one.data)
    FollowUp.objects.update(done_at=timezone.now())  # a call has reached the customer since

    moved = asha.post(asha.where, form.data | {"exotel_do": "tomorrow"})

    assert (asha.response.status_code, "done meanwhile, so it was not moved" in moved.text) == (400, True)
    asha.get(reverse("exotel_ccm:my-calls"))
    assert "The call-back is done." in asha.post(asha.where, form.data | {"exotel_do": "done"}).messages
    follow_up.refresh_from_db()
    assert follow_up.done_at is not None


def test_problem_with_a_row_that_is_not_shown_any_more(
    asha: Session, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (promise(asha.user, host.ticket(), hours=hours) for hours in (2, 1))
    form = next(one for one in my_calls(asha).forms if ("exotel_follow_up", str(second.pk)) in one.fields)
    monkeypatch.setattr("django_exotel_ccm.views.my_calls.MAX_FOLLOW_UPS", 1)

    page = asha.post(asha.where, form.data | {"exotel_do": "chosen", "exotel_due_at": ""})

    assert page.text.count("Choose when to call back.") == 1
    assert f"exotel-follow-up-{first.pk}" in page.html


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("zone", "text", "answer"),
    [
        ("Asia/Kolkata", "", "Choose when to call back."),
        ("Asia/Kolkata", "soon\0", "Choose a date and a time to call back."),
        ("Asia/Kolkata", "2001-01-01T10:00", "The time to call back is over already."),
        ("Asia/Kolkata", "9999-12-31T23:59", "too far away"),
        ("Europe/Berlin", "2027-03-28T02:30", "The clock skips that hour"),
    ],
)
def test_time_that_cannot_be(
    asha: Session, settings: Any, time_machine: Any, zone: str, text: str, answer: str
) -> None:
    time_machine.move_to(datetime.datetime(2026, 11, 26, 6, tzinfo=datetime.UTC))
    asha.client.force_login(asha.user)
    settings.TIME_ZONE = zone
    follow_up = promise(asha.user, Ticket.objects.create(subject="Invoice"), hours=1)
    before = FollowUp.objects.get().due_at

    page = press(asha, follow_up, "chosen", exotel_due_at=text)

    assert answer in page.text
    assert asha.response.status_code == 400
    assert FollowUp.objects.get().due_at == before


@pytest.mark.parametrize("key", ["", "x", "-1", "9" * 30, "0"])
def test_follow_up_that_is_none(asha: Session, key: str) -> None:
    token = Page(asha.client.get(reverse("admin:index")).content.decode()).forms[0].data["csrfmiddlewaretoken"]

    asha.post(reverse("exotel_ccm:my-calls"), {"csrfmiddlewaretoken": token, "exotel_follow_up": key})

    assert asha.response.status_code == 404


def test_follow_up_of_a_colleague(asha: Session, host: Any) -> None:
    own, other = (
        promise(asha.user, host.ticket("A"), hours=1),
        promise(host.user("vik", agent=None), host.ticket(), hours=1),
    )
    form = next(one for one in my_calls(asha).forms if ("exotel_follow_up", str(own.pk)) in one.fields)

    asha.post(asha.where, form.data | {"exotel_follow_up": str(other.pk), "exotel_do": "done"})

    assert asha.response.status_code == 404
    assert FollowUp.objects.get(pk=other.pk).done_at is None


def test_who_may_open_it(host: Any) -> None:
    url = reverse("exotel_ccm:my-calls")
    nobody, stranger = Client().get(url), Session(host.user("meera", agent=None))

    assert nobody.status_code == 302
    assert nobody["Location"].startswith(reverse("admin:login"))
    stranger.get(url)
    assert stranger.response.status_code == 403
    assert Session(host.user("asha", *AGENT_WORK)).client.post(url).status_code == 403  # without a token


def test_plain_page_for_those_who_may_not_enter_the_admin(host: Any) -> None:
    user = host.user("asha", *AGENT_WORK)
    user.is_staff = False
    user.save()
    session = Session(user)
    promise(user, host.ticket("Invoice"), hours=1)

    page = my_calls(session)

    assert "Invoice" in page.text
    assert "Django administration" not in page.html
    assert page.call_buttons
    assert press(session, FollowUp.objects.get(), "done").text.count("Invoice") == 0


def test_plain_page_written_by_hand_shows_what_the_site_shows(asha: Session, host: Any) -> None:
    page = my_calls(asha, "?exotel_adapter=host%3Apages")

    assert "Django administration" in page.html


def test_hosts_frame_shows_no_ticket_that_the_site_hides(host: Any) -> None:
    north = host.user("north", *AGENT_WORK, last_name="north")
    mine, moved = host.ticket("Mine", team="north"), host.ticket("Handed to legal", team="north")
    promise(north, mine, hours=1)
    promise(north, moved, text="They will sue", hours=1)
    Ticket.objects.filter(pk=moved.pk).update(team="south")
    # Any page of the host with our button has this name in its source.
    query = urlencode({"exotel_adapter": HostPagesAdapter.of(north, mine).name})

    page = my_calls(Session(north), f"?{query}")

    assert "Django administration" not in page.html
    assert "Mine" in page.text
    assert "Handed to legal" not in page.html
    assert "They will sue" not in page.html


def anybody(user: Any, ticket: Any) -> bool:
    return True


@pytest.fixture
def who_works_on_pages_of_the_host(host: Any, settings: Any) -> Any:
    """Staff for other matters: the admin shows them no tickets, and the host's own rule lets them call."""
    entry = {"prefix": "ticket", "phone": "customer.phone", "can_call": f"{__name__}.anybody"}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": entry}}
    return host.user("asha", "exotel_ccm.place_call")


@pytest.mark.parametrize("tag", [BUTTON, PANEL])
@pytest.mark.parametrize("is_staff", [True, False])
def test_who_works_on_pages_of_the_host_sees_own_call_backs_there(
    host: Any, who_works_on_pages_of_the_host: Any, is_staff: bool, tag: str
) -> None:
    user = who_works_on_pages_of_the_host
    user.is_staff = is_staff
    user.save()
    ticket = host.ticket("Broken fan")
    promise(user, ticket, text="asks for a blue one", hours=1)
    made = create_call_list(owner=user, name="Renewals", model=Ticket, keys=[ticket.pk])
    session = Session(user)

    page = session.get(render(tag, request_of(user), ticket=ticket).links["My calls"])

    assert "Broken fan" in page.text
    assert "asks for a blue one" in page.text
    assert page.call_buttons
    assert "1 of 1 Broken fan" in session.get(page.links["Go on"]).text
    assert f"/call-lists/{made.pk}/" in session.where


def test_statements_do_not_grow(asha: Session, host: Any) -> None:
    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            my_calls(asha)
        return len(captured)

    def add() -> None:
        ticket = host.ticket()
        promise(asha.user, ticket, hours=1)
        call(asha.user, ticket)
        call(asha.user, host.ticket(), state="refused", outcome="", talk_time=None)

    add()
    my_calls(asha)
    few = statements()
    for _ in range(8):
        add()

    assert statements() == few
    assert few <= 13, few


def test_rows_are_bounded(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    now = timezone.now()
    FollowUp.objects.bulk_create(
        FollowUp(ticket=ticket, assigned_to=asha.user, due_at=now, created_at=now) for _ in range(51)
    )
    CallRecord.objects.bulk_create(
        CallRecord(account="default", ticket=ticket, placed_by=asha.user, created_at=now) for _ in range(51)
    )

    page = my_calls(asha)

    assert page.html.count("exotel-badge") == page.html.count("exotel-entry ") == 50
    assert "There are more." in page.text
    assert "These are the newest." in page.text


def test_sites_and_calls_link_to_it(host: Any) -> None:
    session = Session(host.user("asha", *AGENT_WORK, SEES_CALLS))
    address = reverse("exotel_ccm:my-calls") + "?exotel_adapter=admin"

    for path in ("index", "exotel_ccm_callrecord_changelist", "helpdesk_ticket_changelist"):
        assert f'href="{address}"' in session.get(session.url(path)).html, path


def test_index_without_other_models_of_ours(asha: Session, host: Any) -> None:
    address = reverse("exotel_ccm:my-calls") + "?exotel_adapter=admin"

    assert f'href="{address}"' in asha.get(asha.url("index")).html
    assert address not in Session(host.user("meera", "helpdesk.view_ticket", agent=None)).get(asha.url("index")).html


@pytest.mark.parametrize("is_staff", [True, False])
def test_script_that_renews_the_lists_takes_no_message(asha: Session, host: Any, is_staff: bool) -> None:
    """After a call our script fetches the page for its lists; nobody reads the messages in it."""
    type(asha.user).objects.update(is_staff=is_staff)
    follow_up = promise(asha.user, host.ticket("Invoice"), hours=1)
    promise(asha.user, host.ticket("Broken fan"), hours=1)
    form = next(one for one in my_calls(asha).forms if ("exotel_follow_up", str(follow_up.pk)) in one.fields)
    asha.client.post(asha.where, form.data | {"exotel_do": "done"})

    fetched = asha.client.get(asha.where, headers={"X-Exotel-Check": "1"}).content.decode()
    shown = my_calls(asha)

    assert ["The call-back is done." in html for html in (fetched, shown.html)] == [False, True]
    assert [html.count("data-exotel-renewed") for html in (fetched, shown.html)] == [2, 2]
    assert "Broken fan" in fetched
    assert "<html" not in fetched


@pytest.mark.parametrize("is_staff", [True, False])
def test_note_can_be_written_long_after_the_call(host: Any, is_staff: bool) -> None:
    asha = Session(host.user("asha", *AGENT_WORK, "exotel_ccm.add_callnote"))
    type(asha.user).objects.update(is_staff=is_staff)
    three_minutes_ago = timezone.now() - datetime.timedelta(minutes=3)
    call(asha.user, host.ticket("Broken fan"), ended_at=three_minutes_ago)
    call(asha.user, host.ticket(), state="refused", outcome="", talk_time=None)
    add = re.compile(r'aria-label="Write a note: Ravi, today \d\d:\d\d"')

    page = my_calls(asha)

    assert len(add.findall(page.html)) == 1
    box = asha.get(page.links["Write a note"]).of_class("exotel-note-box")[0]
    page = asha.post(box.attributes["action"], box.data | {"exotel_text": "Asks for blue"})
    assert asha.where.startswith(reverse("exotel_ccm:my-calls"))
    assert CallNote.objects.get().text == "Asks for blue"


def test_call_whose_page_has_the_box_has_no_other_link_to_it(host: Any) -> None:
    asha = Session(host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote"))
    call(asha.user, host.ticket("Broken fan"))

    page = my_calls(asha)

    assert "Write a note" not in page.text
    assert asha.get(page.links["Talked for 3 min 12 s"]).of_class("exotel-note-box")


def test_who_may_write_no_note(asha: Session, host: Any) -> None:
    call(asha.user, host.ticket("Broken fan"))

    assert "Write a note" not in my_calls(asha).text
