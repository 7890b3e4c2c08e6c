"""What every call needs is said before the press, in the words of the refusal."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.services import place_call
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS, Page, Session, orders
from tests.helpdesk.models import Ticket
from tests.views.test_rules import choose, pages_with

NO_EXOPHONE = "There is no ExoPhone to call from. An administrator can add one, or make one the default."
CHOICE = "django_exotel_ccm.exophone_choice"


def without_exophone(**_more: Any) -> None:
    ExoPhone.objects.update(is_active=False)


def without_default(**_more: Any) -> None:
    ExoPhone.objects.update(is_default=False)
    ExoPhone.objects.create(number="+918000000701")


def with_exophone_of_another_account(**_more: Any) -> None:
    Agent.objects.update(exophone=ExoPhone.objects.create(number="+918000000701", account="other"))


def with_unreadable_exophone(**_more: Any) -> None:
    ExoPhone.objects.update(number="12")


def without_credentials(monkeypatch: pytest.MonkeyPatch, **_more: Any) -> None:
    monkeypatch.delenv("EXOTEL_URL")


def without_callback_base(settings: Any, **_more: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": None}


def without_phone(**_more: Any) -> None:
    Agent.objects.update(contact_uri=None)


def with_unreadable_phone(**_more: Any) -> None:
    Agent.objects.update(contact_uri="12")


@pytest.mark.parametrize(
    ("arrange", "title"),
    [
        (without_exophone, "no ExoPhone"),
        (without_default, "no ExoPhone"),
        (with_exophone_of_another_account, "no ExoPhone"),
        (with_unreadable_exophone, "no ExoPhone"),
        (without_credentials, "not set up"),
        (without_callback_base, "not set up"),
        (without_phone, "no phone"),
        (with_unreadable_phone, "no phone"),
    ],
)
def test_button_says_what_the_press_would_say(
    host: Any,
    session: Session,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Callable[..., None],
    title: str,
) -> None:
    tickets = [host.ticket(f"T{n}", phone=f"+9190000010{n:02}") for n in range(3)]
    arrange(settings=settings, monkeypatch=monkeypatch)

    for name, page in pages_with(session, tickets[0]).items():
        assert page.call_buttons == page.row_buttons == page.of_class("exotel-choose-form") == [], name
        with pytest.raises(CallRefused) as refused:
            place_call(agent=Agent.objects.get(), ticket=tickets[0], placed_by=session.user)
        assert refused.value.advice in html.unescape(page.html), name
    assert f"Call customer: {title}" in session.change_form(tickets[0]).text
    several = choose(session, *tickets)
    assert f"0 of 3 can be called now. · {title[0].upper()}{title[1:]}: 3" in several.text


@pytest.mark.books_differ("calls are written by hand")
def test_history_says_why_no_number_can_be_called_again(host: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    CallRecord.objects.create(
        account="default",
        state="ended",
        placed_by=session.user,
        customer_number=BY_HAND,
        ticket=ticket,
        created_at=timezone.now(),
    )
    assert len(session.change_form(ticket).of_again) == 1

    without_exophone()

    assert session.change_form(ticket).of_again == []


def test_exophone_can_be_chosen_where_there_is_no_default(host: Any, exotel: Any) -> None:
    session = Session(host.user("meera", *AGENT_WORK, SEES_CALLS, "exotel_ccm.choose_exophone"))
    ticket = host.ticket(phone=BY_HAND)
    without_default()

    page = session.change_form(ticket)
    assert page.call_buttons == []
    assert NO_EXOPHONE in page.text
    page = session.get(page.links["Choose an ExoPhone"].replace("&amp;", "&"))
    assert NO_EXOPHONE in page.text
    assert '<select name="exotel_exophone" required>' in page.html
    assert "As usual" not in page.text
    assert "2 of 2 can be called now." in choose(session, ticket, host.ticket("Loud fan")).text
    session.press_choice(page, exophone=str(ExoPhone.objects.get(number="+918000000701").pk))

    assert [order["virtual_number"] for order in orders(exotel)] == ["+918000000701"]


def test_exophone_cannot_be_chosen_where_there_is_none(host: Any) -> None:
    session = Session(host.user("meera", *AGENT_WORK, "exotel_ccm.choose_exophone", "exotel_ccm.add_exophone"))
    ticket = host.ticket(phone=BY_HAND)
    without_exophone()

    for page in (session.change_form(ticket), session.changelist(), choose(session, ticket)):
        assert page.links["Correct it"] == session.url("exotel_ccm_exophone_add")
        assert page.call_buttons == page.row_buttons == page.of_class("exotel-choose-form") == []


def test_call_as_another_agent(host: Any, exotel: Any) -> None:
    host.agent("Vik", "+919000000102")
    session = Session(host.user("meera", *AGENT_WORK, "exotel_ccm.place_call_for_others", agent="+919000000103"))
    Agent.objects.filter(name="Meera").update(contact_uri=None)

    page = session.change_form(host.ticket(phone=BY_HAND))
    page = session.get(page.links["Call as another agent"].replace("&amp;", "&"))
    assert f'<option value="{session.user.exotel_agents.get().pk}" disabled>Meera (no phone)</option>' in page.html
    session.press_choice(page, agent=str(Agent.objects.get(name="Vik").pk))

    assert [order["from"] for order in orders(exotel)] == [{"user_contact_uri": "+919000000102"}]


def test_nobody_else_can_call_either(host: Any) -> None:
    host.agent("Vik", "+919000000102")
    session = Session(host.user("meera", *AGENT_WORK, "exotel_ccm.place_call_for_others", agent=None))
    ticket = host.ticket(phone=BY_HAND)
    assert len(choose(session, ticket).of_class("exotel-choose-form")) == 1

    without_default()

    page = choose(session, ticket)
    assert NO_EXOPHONE in page.text
    assert page.of_class("exotel-choose-form") == []


def test_exophone_of_a_group_is_enough(host: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    without_default()
    group = session.user.groups.create(name="Sales")
    ExoPhone.objects.get(number="+918000000701").groups.add(group)

    assert len(session.change_form(ticket).call_buttons) == 1


def chosen_by_ticket(call: CallRecord) -> Any:
    raise AssertionError("A page has asked for one ticket.")


def test_what_depends_on_the_ticket_is_asked_at_the_press(host: Any, session: Session, settings: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    without_default()
    for named in (f"{__name__}.chosen_by_ticket", f"{CHOICE}.of_region"):
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "EXOPHONE_CHOICE": [named, f"{CHOICE}.default"]}
        assert len(session.change_form(ticket).call_buttons) == 1

    without_exophone()

    assert session.change_form(ticket).call_buttons == []


def test_function_for_the_callback_base_is_asked_at_the_press(host: Any, session: Session, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": f"{__name__}.chosen_by_ticket"}

    assert len(session.change_form(host.ticket(phone=BY_HAND)).call_buttons) == 1


def test_exophone_choice_that_cannot_be_imported(host: Any, session: Session, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "EXOPHONE_CHOICE": ["crm.nowhere.choose"]}

    page = session.change_form(host.ticket(phone=BY_HAND))

    assert "Call customer: not set up" in page.text
    assert "crm.nowhere.choose" in page.text


def test_superuser_is_led_to_what_corrects_it(host: Any, monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    host.user("root", agent="+919000000104", is_superuser=True)
    root = Session(Agent.objects.get(name="Root").user)
    without_default()

    page = root.get(root.change_form(ticket).links["Choose an ExoPhone"].replace("&amp;", "&"))
    assert page.links["Correct it"] == root.url("exotel_ccm_exophone_changelist")

    without_credentials(monkeypatch)
    assert root.change_form(ticket).links["Correct it"].startswith(reverse("exotel_ccm:doctor"))
    assert "Correct it" not in session.change_form(ticket).links


@pytest.mark.parametrize(
    "show", [lambda session: session.changelist("?all="), lambda session: choose(session, *Ticket.objects.all())]
)
def test_cost_does_not_grow(host: Any, session: Session, show: Callable[[Session], Page]) -> None:
    session.user.user_permissions.add(Permission.objects.get(codename="place_call_for_others"))
    without_default()

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert NO_EXOPHONE in show(session).text
        # Of our own tables: Django 5.2 reads the customer of each row for the host's column.
        return sum("exotel_ccm_" in query["sql"] for query in queries.captured_queries)

    host.ticket(phone=BY_HAND)
    host.agent("Vik", "+919000000102")
    cost()
    few = cost()
    for n in range(20):
        host.ticket(f"T{n}", phone=BY_HAND)
        host.agent(f"Agent {n}", f"+9190000002{n:02}")
    assert cost() == few


def test_usual_exophone_is_that_of_the_press(host: Any) -> None:
    """Pages read it with the agents; the press asks for it."""
    phones = [host.exophone, *(ExoPhone.objects.create(number=f"+91800000070{n}") for n in (1, 2))]
    other = ExoPhone.objects.create(number="+918000000700", account="other")

    for default in (None, *range(3)):
        for active in range(8):
            ExoPhone.objects.update(is_default=False)
            for n, phone in enumerate(phones):
                ExoPhone.objects.filter(pk=phone.pk).update(is_default=n == default, is_active=bool(active >> n & 1))
            found = {phone.account: phone for phone in ExoPhone.objects.usual()}
            assert found.get("default") == ExoPhone.objects.default_of("default"), (default, active)
            assert found["other"] == other
