"""Promise 1 while a call goes on: another press of a newer page needs a confirmation."""

from __future__ import annotations

import datetime
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from tests.admin.pages import BY_HAND, OTHER, Session, orders

pytestmark = pytest.mark.books_differ(reason="the calls that go on are written by hand")
BEFORE_THE_LONGEST = timezone.now() - datetime.timedelta(hours=5)
STILL = "A call to this number is still going on. Call again only if you mean to."


def earlier_call(session: Session, ticket: Any, number: str = BY_HAND, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(
        **{
            "account": "default",
            "ticket": ticket,
            "agent_label": "Asha",
            "customer_number": number,
            "placed_by": session.user,
            "created_at": timezone.now(),
            **fields,
        }
    )


@pytest.mark.parametrize("state", [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE])
def test_reloaded_page_during_call_needs_confirmation(host: Any, exotel: Any, session: Session, state: State) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(session, ticket, state=state)

    for press in (
        lambda: session.press_row(ticket),
        lambda: session.press_button(ticket),
        lambda: session.run_action([ticket]),
    ):
        page = press()
        told = "we don't know whether that call went out" if state == State.UNCONFIRMED else STILL
        assert told in unescape(page.text)
        assert BY_HAND in page.text
        assert session.where.startswith("/exotel/choose/")

    assert orders(exotel) == []


@pytest.mark.parametrize("state", [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE])
def test_confirmed_press_calls_again(host: Any, exotel: Any, session: Session, state: State) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(session, ticket, state=state)

    page = session.press_button(ticket)
    back = session.press_choice(page)
    session.press_choice(page)

    assert "Exotel accepted the request" in back.messages
    assert len(orders(exotel)) == 1


def test_call_to_another_number_is_no_obstacle(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    earlier_call(session, ticket, BY_HAND, state=State.ACTIVE)
    earlier_call(session, ticket, OTHER, state=State.ENDED, outcome="busy")

    question = session.press_choice(session.press_button(ticket))
    dialled = len(orders(exotel))
    session.press_choice(question)

    assert STILL in question.text
    assert f"then {BY_HAND}" in question.text.partition("Your last call:")[2]
    assert dialled == 0
    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


@pytest.mark.parametrize("state", [State.ENDED, State.REFUSED])
def test_call_that_is_over_needs_no_confirmation(host: Any, exotel: Any, session: Session, state: State) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(session, ticket, state=state)

    session.press_button(ticket)

    assert len(orders(exotel)) == 1


@pytest.mark.parametrize("state", [State.REQUESTED, State.ACTIVE])
def test_call_of_a_colleague_needs_confirmation(host: Any, exotel: Any, session: Session, state: State) -> None:
    ticket = host.ticket(phone=BY_HAND)
    page = session.change_form(ticket)
    vik = {"placed_by": host.user("vik", agent=None), "placed_by_label": "vik", "agent_label": ""}
    earlier_call(session, ticket, number=OTHER, state=state, **vik)
    earlier_call(session, ticket, state=state)  # and one of their own

    page = session.press_button_of(page)
    assert "vik is calling about this ticket right now." in page.text
    assert orders(exotel) == []
    session.press_choice(page)

    assert len(orders(exotel)) == 1
    session.user.user_permissions.remove(Permission.objects.get(codename="view_callrecord"))
    page = session.press_button(ticket)
    assert "A colleague is calling about this ticket right now." in page.text
    assert "vik" not in page.text  # who may not see calls does not learn who places them


@pytest.mark.parametrize("state", [State.REQUESTED, State.UNCONFIRMED])
@pytest.mark.parametrize("is_own", [True, False])
def test_call_that_may_not_have_gone_out_is_not_said_to_go_on(
    host: Any, exotel: Any, session: Session, state: State, is_own: bool
) -> None:
    ticket, placed = host.ticket(phone=BY_HAND), timezone.localtime() - datetime.timedelta(minutes=3)
    by = {} if is_own else {"placed_by": host.user("vik", agent=None), "placed_by_label": "vik"}
    earlier_call(session, ticket, state=state, created_at=placed, **by)

    text = unescape(session.press_button(ticket).text)

    who = "You called this number" if is_own else "vik called"
    assert re.search(rf"{who} at [^;]*{placed:%H:%M}; we don't know whether that call went out\.", text)
    assert "going on" not in text
    assert "right now" not in text
    assert orders(exotel) == []


def test_call_that_was_given_up_is_not_said_to_go_on(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(session, ticket, state=State.ACTIVE, gave_up_at=timezone.now())

    text = unescape(session.press_button(ticket).text)

    assert "We don't know how your call at" in text
    assert "going on" not in text


def test_second_press_finds_its_call_beside_a_colleagues(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    page = session.change_form(ticket)
    session.press_button_of(page)
    earlier_call(session, ticket, state=State.ACTIVE, placed_by=host.user("vik", agent=None))

    assert not session.press_button_of(page).of_class("exotel-choose-form")
    assert len(orders(exotel)) == 1


@pytest.mark.parametrize(
    "over",
    [{"state": State.ENDED}, {"state": State.ACTIVE, "gave_up_at": timezone.now()}, {"created_at": BEFORE_THE_LONGEST}],
)
def test_call_of_a_colleague_that_is_over_is_ignored(
    host: Any, exotel: Any, session: Session, over: dict[str, Any]
) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(session, ticket, placed_by=host.user("vik", agent=None), **over)

    session.press_button(ticket)

    assert len(orders(exotel)) == 1


@pytest.mark.parametrize("confirmed", ["0", "x", "9" * 30, ""])
def test_forged_confirmation_is_ignored(host: Any, exotel: Any, session: Session, confirmed: str) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(session, ticket, state=State.ACTIVE)
    page = session.press_button(ticket)

    back = session.press_choice(page, confirmed=confirmed)
    session.get(f"{session.where}&exotel_confirmed={confirmed}")

    assert STILL in back.text
    assert orders(exotel) == []


def end_the_earlier_call(call: CallRecord) -> None:
    """End the earlier call at the last moment, as a callback can."""
    CallRecord.objects.update(state=State.ENDED, outcome="customer_unanswered")


def test_ended_call_is_no_success_message(host: Any, exotel: Any, session: Session, settings: Any) -> None:
    [form] = session.change_form(host.ticket(phone=BY_HAND)).call_buttons
    session.post(form.attributes["action"], form.data)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.end_the_earlier_call"]}

    page = session.post(form.attributes["action"], form.data)

    assert len(orders(exotel)) == 1
    assert "ended: no answer" in page.text
    assert '<li class="info">' in page.html
    assert '<li class="success">' not in page.html
