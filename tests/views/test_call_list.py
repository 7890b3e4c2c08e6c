"""A call list: made in the list of tickets, and worked through one ticket at a time."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.host_pages import HostPagesAdapter
from django_exotel_ccm.models import CallList, CallListItem, CallRecord, DoNotCall
from django_exotel_ccm.policies import OneCallAtATime
from django_exotel_ccm.services.call_lists import create_call_list, mark_called, progress_of
from django_exotel_ccm.views import call_list
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS, Page, Session
from tests.helpdesk.models import Customer, Ticket


@pytest.fixture
def asha(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK))


def list_of(user: Any, *tickets: Ticket) -> CallList:
    return create_call_list(owner=user, name="Renewals", model=Ticket, keys=[one.pk for one in tickets])


def open_list(session: Session, made: CallList) -> Page:
    return session.get(reverse("exotel_ccm:call-list", args=[made.pk]))


def press(session: Session, page: Page, do: str, **more: str) -> Page:
    values = page.of_class("exotel-move")[0].data if do in ("rename", "delete") else _moving(page).data
    return session.post(session.where, values | {"exotel_do": do} | more)


def _moving(page: Page) -> Any:
    return next(form for form in page.forms if any(one.get("value") == "skip" for one in form.buttons))


def states(made: CallList) -> list[str]:
    return list(made.items.order_by("position").values_list("state", flat=True))


@pytest.mark.parametrize(("order", "first"), [("?o=1", "A"), ("?o=-1", "C")])
def test_action_makes_a_list_in_the_order_of_the_page(asha: Session, host: Any, order: str, first: str) -> None:
    tickets = [host.ticket(subject) for subject in ("B", "C", "A")]

    shown = asha.changelist(order).text
    page = asha.run_action([tickets[2], tickets[0], tickets[1]], order, action=["exotel_make_call_list"])

    made = CallList.objects.get()
    assert made.owner == asha.user
    of_page = sorted("ABC", key=lambda subject: shown.rindex(f" {subject} "))
    assert [item.ticket.subject for item in made.items.order_by("position")] == of_page
    assert of_page[0] == first
    assert "1 of 3" in page.text
    assert page.call_buttons


def test_whole_way_through(asha: Session, host: Any, exotel: Any) -> None:
    first, second, third = (host.ticket(subject) for subject in ("First", "Second", "Third"))
    made = list_of(asha.user, first, second, third)

    page = open_list(asha, made)
    assert "1 of 3 First" in page.text
    page = asha.press_button_of(page)
    assert "1 of 3 First" in page.text  # the call goes on here
    assert "Your phone rings first: pick up." in page.text
    assert states(made) == ["called", "waiting", "waiting"]
    assert made.items.get(position=1).call == CallRecord.objects.get()

    page = press(asha, page, "next")
    assert "2 of 3 Second" in page.text
    page = press(asha, page, "skip")
    assert "3 of 3 Third" in page.text
    page = press(asha, page, "skip")
    assert "The end of the list" in page.text
    assert "Reached: 0 · Not reached: 0 · Skipped: 2 · Not known yet: 1" in page.text
    assert states(made) == ["called", "skipped", "skipped"]


@pytest.mark.parametrize(("may_override", "link"), [(False, ""), (True, "Call anyway")])
def test_ticket_that_a_rule_denies_says_why_and_can_be_skipped(
    asha: Session, host: Any, settings: Any, may_override: bool, link: str
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": ["django_exotel_ccm.policies.DoNotCall"]}
    if may_override:
        asha.user.user_permissions.add(Permission.objects.get(codename="override_policy"))
    DoNotCall.objects.create(number=BY_HAND)
    made = list_of(asha.user, host.ticket("First", phone=BY_HAND), host.ticket("Second"))

    page = open_list(asha, made)

    assert "This customer is on the do-not-call list." in page.text
    assert '<details class="exotel-obstacle"' not in page.html  # nothing to unfold
    assert "Skip it, or go on with Next" in page.text
    assert page.links.get("Call anyway", "")[:1] == ("/" if link else "")
    assert page.call_buttons == []
    page = press(asha, page, "skip")
    assert "2 of 2 Second" in page.text
    assert "Skip it" not in page.text
    assert states(made) == ["skipped", "waiting"]


def test_ticket_that_is_not_theirs_to_call_says_so(asha: Session, host: Any, settings: Any) -> None:
    made = list_of(asha.user, host.ticket("First"))
    declared = {"prefix": "ticket", "phone": "customer.phone", "can_call": f"{__name__}.nobody_may"}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": declared}}

    page = open_list(asha, made)

    assert "This ticket is not yours to call. Skip it" in page.text
    assert page.call_buttons == []


def nobody_may(user: Any, ticket: Ticket) -> bool:
    return False


def test_next_leaves_a_ticket_for_later(asha: Session, host: Any) -> None:
    made = list_of(asha.user, host.ticket("First"), host.ticket("Second"))

    page = press(asha, open_list(asha, made), "next")
    assert "2 of 2 Second" in page.text
    page = press(asha, page, "skip")

    assert "1 of 2 First" in page.text


def called(made: CallList, position: int, **fields: Any) -> None:
    item = made.items.get(position=position)
    values = {"state": "ended", "outcome": "customer_unanswered", "created_at": timezone.now(), **fields}
    item.call = CallRecord.objects.create(account="default", ticket=item.ticket, **values)
    item.state = "called"
    item.save()


@pytest.mark.books_differ("the earlier calls were never placed")
def test_end_names_who_was_skipped_or_not_reached(asha: Session, host: Any, exotel: Any) -> None:
    subjects = ["Missed", "Talked", "Skipped", "Going on", "Call lost", "Hidden", "Deleted"]
    tickets = [host.ticket(subject) for subject in subjects]
    made = list_of(asha.user, *tickets)
    called(made, 1)
    called(made, 2, outcome="completed", talk_time=42)
    called(made, 4, state="active", outcome="")
    made.items.filter(position__in=[3, 6, 7]).update(state="skipped")
    made.items.filter(position=5).update(state="called")
    asha.user.last_name = "red"
    asha.user.save()
    Ticket.objects.exclude(subject="Hidden").update(team="red")
    tickets[6].delete()

    page = open_list(asha, made)

    rows = [Page(one).text for one in re.findall(r'<li class="exotel-line">.*?</li>', page.html, re.DOTALL)]
    assert [" ".join(row.split()) for row in rows][1:] == ["Skipped Skipped Call", "Called Call lost Call"]
    assert re.fullmatch(r"No answer Missed today \d\d:\d\d Call", rows[0])
    assert page.links["Missed"] == f"/admin/helpdesk/ticket/{tickets[0].pk}/change/"

    skipped = page.call_buttons[1]
    page = asha.post(skipped.attributes["action"], skipped.data)
    assert "The end of the list" in page.text
    assert "Your phone rings first: pick up." in page.text
    assert states(made)[2] == "called"
    assert made.items.get(position=3).call == CallRecord.objects.newest_first()[0]
    assert "Skipped Call" not in page.text


def test_end_of_a_long_list_costs_a_fixed_number_of_queries(
    asha: Session, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_list, "MAX_LEFT_OVER", 20)

    def cost(count: int) -> tuple[int, int, bool]:
        made = list_of(asha.user, *(host.ticket(f"T{n}") for n in range(count)))
        for position in range(1, count + 1, 2):
            called(made, position)
        made.items.filter(state="waiting").update(state="skipped")
        with CaptureQueriesContext(connection) as queries:
            page = open_list(asha, made)
        return len(queries), len(page.call_buttons), "There are more." in page.text

    cost(2)
    few, many = cost(2), cost(25)

    assert few[0] == many[0]
    assert (few[1:], many[1:]) == ((2, False), (20, True))


def test_number_that_was_chosen_counts_too(asha: Session, host: Any, exotel: Any) -> None:
    made = list_of(asha.user, host.ticket("First", other="+919000001010"))

    page = asha.press_button_of(open_list(asha, made))
    asha.press_choice(page)

    assert states(made) == ["called"]
    assert "/call-lists/" in asha.where


def test_refused_call_leaves_it_waiting(asha: Session, host: Any, exotel: Any, settings: Any) -> None:
    made = list_of(asha.user, host.ticket("First"))
    page = open_list(asha, made)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": "http://crm.example.com"}

    asha.press_button_of(page)

    assert states(made) == ["waiting"]


def test_call_is_not_denied_when_its_item_cannot_be_written(
    asha: Session, host: Any, exotel: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = list_of(asha.user, host.ticket("First"))
    page = open_list(asha, made)

    def is_locked(*args: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("django_exotel_ccm.views.place.mark_called", is_locked)
    asha.press_button_of(page)

    assert asha.response.status_code == 200
    assert CallRecord.objects.get().state == "active"
    assert "The mark on the call list failed after a call was placed." in caplog.text


def test_colleague_who_called_meanwhile_is_said(asha: Session, host: Any) -> None:
    ticket, vik = host.ticket("First"), host.user("vik", agent=None)
    made = list_of(asha.user, ticket)
    CallList.objects.update(created_at=timezone.now() - datetime.timedelta(hours=1))
    called = timezone.now() - datetime.timedelta(minutes=10)
    CallRecord.objects.create(
        account="default", ticket=ticket, placed_by=vik, placed_by_label="Vik", state="ended",
        outcome="customer_unanswered", talk_time=0, created_at=called, ended_at=called,
    )  # fmt: skip

    assert "A colleague called 10 minutes ago: No answer" in open_list(asha, made).text

    asha.user.user_permissions.add(Permission.objects.get(codename="view_callrecord"))
    assert "Vik called 10 minutes ago: No answer" in open_list(asha, made).text


def test_ticket_that_a_colleague_is_calling_is_passed_over(asha: Session, host: Any) -> None:
    busy, vik = host.ticket("Busy one"), host.user("vik", agent=None)
    made = list_of(asha.user, busy, host.ticket("Free one"))
    CallRecord.objects.create(account="default", ticket=busy, placed_by=vik, state="active", created_at=timezone.now())

    text = open_list(asha, made).text

    assert "2 of 2 Free one" in text
    assert "1 ticket was passed over: a colleague is calling its customer now." in text
    assert states(made) == ["waiting", "waiting"]


@pytest.mark.parametrize(
    ("state", "minutes", "is_answered", "is_busy"),
    [
        ("requested", 0, False, True),
        ("requested", 2, False, False),
        ("unconfirmed", 0, False, True),
        ("unconfirmed", 2, False, False),
        ("active", 4, False, True),
        ("active", 6, False, False),
        ("active", 50, True, True),
        ("active", 61, True, False),
    ],
)
def test_how_long_a_call_of_a_colleague_keeps_its_ticket(
    asha: Session, host: Any, state: str, minutes: int, is_answered: bool, is_busy: bool
) -> None:
    """As long as the rule counts it, so that what the list offers can be pressed."""
    made, number = list_of(asha.user, ticket := host.ticket("First")), "+919000001001"
    placed_at = timezone.now() - datetime.timedelta(minutes=minutes)
    call = CallRecord(account="default", ticket=ticket, placed_by=host.user("vik", agent=None), state=state)
    call.customer_number, call.created_at = number, placed_at
    call.answered_at = placed_at if is_answered else None
    call.save()

    text = open_list(asha, made).text

    assert ("Cannot be called now: 1." in text, "1 of 1 First" in text) == (is_busy, not is_busy)
    assert (OneCallAtATime()(CallRecord(customer_number=number)) is not None) is is_busy


@pytest.mark.parametrize(
    ("fields", "is_past"),
    [
        ({"state": "unconfirmed"}, False),
        ({"state": "unconfirmed", "gave_up_at": 0}, True),
        ({"state": "unconfirmed", "created_at": 5}, True),  # and nobody reconciles
        ({"state": "active"}, False),
        ({"state": "active", "gave_up_at": 0}, True),
        ({"state": "active", "created_at": 5}, True),
        ({"state": "refused"}, True),
    ],
)
def test_ticket_whose_call_never_went_out_comes_up_again(
    asha: Session, host: Any, fields: dict[str, Any], is_past: bool
) -> None:
    made = list_of(asha.user, host.ticket("First"))
    hours_ago = {name: hours for name, hours in fields.items() if name != "state"}
    moments = {name: timezone.now() - datetime.timedelta(hours=hours) for name, hours in hours_ago.items()}
    called(made, 1, **{"outcome": "", **fields, **moments})

    page = open_list(asha, made)

    assert ("Not known yet: 1" in page.text, "Skipped or not reached" in page.text) == (not is_past, is_past)
    assert ("Not reached: 1" in page.text) == bool(page.call_buttons) == is_past


def test_hidden_and_deleted_tickets_are_passed_over(asha: Session, host: Any) -> None:
    gone = host.ticket("Secret")
    made = list_of(asha.user, gone, host.ticket("First"))
    gone.delete()

    page = open_list(asha, made)
    assert "2 of 2 First" in page.text
    assert "1 ticket was passed over: it was deleted, or is not yours to see." in page.text
    page = press(asha, page, "skip")

    assert "Cannot be called now: 1." in page.text
    assert "Secret" not in page.html


def test_list_of_a_colleague(asha: Session, host: Any) -> None:
    made = list_of(host.user("vik", agent=None), host.ticket("First"))

    open_list(asha, made)
    assert asha.response.status_code == 404

    both = Session(host.user("ola", *AGENT_WORK, "exotel_ccm.view_calllist", agent=None))
    page = open_list(both, made)
    assert "1 of 1 First" in page.text
    assert "Delete the list" not in page.text


def test_item_of_a_colleagues_list_cannot_be_marked(asha: Session, host: Any, exotel: Any) -> None:
    ticket = host.ticket("First")
    own, other = list_of(asha.user, ticket), list_of(host.user("vik", agent=None), ticket)
    page = open_list(asha, own)
    form = page.call_buttons[0]
    address = form.attributes["action"].replace(
        f"exotel_item={own.items.get().pk}", f"exotel_item={other.items.get().pk}"
    )

    asha.post(address, form.data)

    assert CallRecord.objects.count() == 1
    assert states(other) == ["waiting"]


def test_rename_and_delete(asha: Session, host: Any) -> None:
    made = list_of(asha.user, host.ticket("First"))

    page = press(asha, open_list(asha, made), "rename", exotel_name="November \0" + "x" * 300)
    assert CallList.objects.get().name.startswith("November")
    assert "November" in page.text
    assert "The call list has its new name." in page.messages
    asked = page.html.partition("<summary")[2].partition("Delete the list</summary>")[2].partition("</details>")[0]
    assert "How far the list is will be lost. Tickets and calls stay." in asked
    assert 'value="delete"' in asked
    assert page.html.count('value="delete"') == 1  # nothing deletes it at the first press
    page = press(asha, page, "rename", exotel_name=" ")
    assert "A call list needs a name." in page.messages
    assert CallList.objects.get().name.startswith("November")
    page = press(asha, page, "delete")

    assert not CallList.objects.exists()
    assert "The call list is deleted." in page.messages
    assert asha.where.startswith(reverse("exotel_ccm:my-calls"))


def test_button_that_there_is_not(asha: Session, host: Any) -> None:
    made = list_of(asha.user, host.ticket("First"), host.ticket("Second"))

    assert "1 of 2 First" in press(asha, open_list(asha, made), "nonsense").text
    assert states(made) == ["waiting", "waiting"]


def test_my_calls_shows_it(asha: Session, host: Any) -> None:
    made = list_of(asha.user, host.ticket("First"), host.ticket("Second"))
    made.items.filter(position=1).update(state="skipped")

    page = asha.get(reverse("exotel_ccm:my-calls"))

    assert "Renewals 1 of 2" in page.text
    assert "2 of 2 Second" in asha.get(page.links["Go on"]).text


def test_progress_reads_an_index_alone(asha: Session, host: Any) -> None:
    made, other = list_of(asha.user, *(host.ticket() for _ in range(3))), list_of(asha.user, host.ticket())
    made.items.filter(position=1).update(state="skipped")

    with CaptureQueriesContext(connection) as counting:
        counts = progress_of([made, other])

    assert counts == {
        made.pk: {"total": 3, "waiting": 2, "done": 1},
        other.pk: {"total": 1, "waiting": 1, "done": 0},
    }
    [statement] = [one["sql"] for one in counting]
    assert "JOIN" not in statement
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            assert "COVERING INDEX exotel_ccm_list_next" in str(cursor.fetchall())


def test_of_two_presses_the_newer_call_counts(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    item = list_of(asha.user, ticket).items.get()
    first, second = (
        CallRecord.objects.create(account="default", placed_by=asha.user, ticket=ticket, created_at=timezone.now())
        for _ in range(2)
    )

    assert mark_called(item.pk, second, asha.user)
    assert mark_called(item.pk, first, asha.user)  # its request took longer

    item.refresh_from_db()
    assert (item.call, item.state) == (second, "called")


def test_five_thousand_tickets(asha: Session, host: Any) -> None:
    customer = host.ticket().customer
    made_tickets = Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(5000))
    with CaptureQueriesContext(connection) as making:
        made = list_of(asha.user, *made_tickets)
    open_list(asha, made)
    with CaptureQueriesContext(connection) as showing:
        asha.get(asha.where)

    assert made.items.count() == 5000
    assert len(making) <= 16
    assert len(showing) <= 16, len(showing)
    with pytest.raises(ValueError, match="1 to 5000"):
        create_call_list(owner=asha.user, name="x", model=Ticket, keys=range(5001))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"keys": []}, "1 to 5000"),
        ({"name": " \n "}, "give the list a name"),
        ({"model": Customer}, "helpdesk.Customer is not declared as a ticket"),
    ],
)
def test_list_that_cannot_be_made(asha: Session, host: Any, given: dict[str, Any], error: str) -> None:
    with pytest.raises((ValueError, ImproperlyConfigured), match=error):
        create_call_list(**{"owner": asha.user, "name": "x", "model": Ticket, "keys": [host.ticket().pk]} | given)

    assert not CallList.objects.exists()


def test_history_is_shown(host: Any) -> None:
    session = Session(host.user("asha", *AGENT_WORK, SEES_CALLS))
    ticket, now = host.ticket("First"), timezone.now()
    CallRecord.objects.create(
        account="default", ticket=ticket, state="ended", outcome="busy", talk_time=0, created_at=now, ended_at=now
    )

    assert "Busy" in open_list(session, list_of(session.user, ticket)).text


def test_moved_calls_take_places_along(host: Any, asha: Session) -> None:
    from django_exotel_ccm.services import move_calls

    old, new = host.ticket("Old"), host.ticket("New")
    made = list_of(asha.user, old)
    move_calls(old, new)

    assert CallListItem.objects.get().ticket == new
    assert "New" in open_list(asha, made).text


def test_who_may_open_it(host: Any) -> None:
    stranger = Session(host.user("meera", agent=None))
    made = list_of(stranger.user, host.ticket("First"))
    url = reverse("exotel_ccm:call-list", args=[made.pk])

    assert Client().get(url)["Location"].startswith(reverse("admin:login"))
    assert stranger.client.get(url).status_code == 403
    with_permission = Session(host.user("asha", *AGENT_WORK))
    assert with_permission.client.post(url, {"exotel_do": "delete"}).status_code == 403  # without a token
    assert CallList.objects.exists()


def test_supervisors_read_lists_in_the_admin(host: Any) -> None:
    session = Session(host.user("meera", "exotel_ccm.view_calllist", agent=None))
    made = list_of(host.user("asha"), host.ticket("First"))

    assert "0 of 1" in session.get(session.url("exotel_ccm_calllist_changelist")).text
    page = session.get(session.url("exotel_ccm_calllist_change", made.pk))
    assert "Renewals" in page.text
    assert session.response.status_code == 200
    assert not page.of_id("calllist_form").buttons


def host_pages_name(user: Any, ticket: Ticket) -> str:
    """Return what any page of the host with our button has in its source."""
    return HostPagesAdapter.of(user, ticket).name


def test_hosts_pages_open_no_list_of_a_colleague(host: Any) -> None:
    """A host's own view may hide tickets from a user, and our views cannot ask it about those of a colleague."""
    agent = host.user("vik", *AGENT_WORK, "exotel_ccm.view_calllist")
    type(agent).objects.update(is_staff=False)
    vik = Session(agent)
    made = list_of(host.user("asha", agent=None), host.ticket("Secret merger"))
    own = list_of(agent, mine := host.ticket("Mine"))
    query = f"?exotel_adapter={host_pages_name(agent, mine)}"

    page = vik.get(reverse("exotel_ccm:call-list", args=[made.pk]) + query)
    assert vik.response.status_code == 404
    assert "Secret merger" not in page.html

    assert "Mine" in vik.get(reverse("exotel_ccm:call-list", args=[own.pk]) + query).text


def test_hosts_frame_shows_no_ticket_that_the_site_hides(host: Any) -> None:
    agent = host.user("north", *AGENT_WORK, last_name="north")
    north = Session(agent)
    mine, moved = host.ticket("Mine", team="north"), host.ticket("Handed to legal", team="north")
    made = list_of(agent, moved, mine)
    Ticket.objects.filter(pk=moved.pk).update(team="south")
    address = reverse("exotel_ccm:call-list", args=[made.pk])

    for query in ("", f"?exotel_adapter={host_pages_name(agent, mine)}"):
        page = north.get(address + query)
        assert "2 of 2 Mine" in page.text
        assert "Handed to legal" not in page.html


def test_way_to_the_list_of_a_colleague(host: Any) -> None:
    made = list_of(host.user("asha", agent=None), host.ticket("First"))
    vik = Session(host.user("vik", *AGENT_WORK, "exotel_ccm.view_calllist"))

    lists = vik.get(vik.get(reverse("exotel_ccm:my-calls")).links["Everybody's call lists"])
    page = vik.get(lists.links["Go on"])

    assert "1 of 1 First" in page.text
    assert 'aria-label="Go on: Renewals"' in lists.html
    assert (
        "Everybody" not in Session(host.user("uma", *AGENT_WORK, agent=None)).get(reverse("exotel_ccm:my-calls")).text
    )
    reader = Session(host.user("ola", "exotel_ccm.view_calllist", agent=None))  # may not call, so no page of ours opens
    assert "Go on" not in reader.get(reverse("admin:exotel_ccm_calllist_changelist")).links
    assert reader.get(reverse("admin:exotel_ccm_calllist_change", args=[made.pk])).html.count("Renewals")
