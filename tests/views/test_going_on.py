"""Promise 1 while a call goes on: another press of a newer page calls again only when somebody has said so."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from tests.admin.desk import BY_HAND, OTHER, Desk
from tests.views.conftest import orders

pytestmark = pytest.mark.books_differ(reason="the calls that go on are written by hand")
STILL = "A call to this number is still going on. Call again only if you mean to."


def earlier_call(desk: Desk, ticket: Any, number: str = BY_HAND, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(
        **{
            "account": "default",
            "ticket": ticket,
            "agent_label": "Asha",
            "customer_number": number,
            "placed_by": desk.user,
            "created_at": timezone.now(),
            **fields,
        }
    )


@pytest.mark.parametrize("state", [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE])
def test_a_reloaded_page_does_not_call_again_while_the_call_goes_on(
    host: Any, exotel: Any, desk: Desk, state: State
) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(desk, ticket, state=state)

    for press in (lambda: desk.press_row(ticket), lambda: desk.press_button(ticket), lambda: desk.run_action([ticket])):
        page = press()
        assert f"{STILL} " in page.messages
        assert BY_HAND in page.messages
        assert desk.where.startswith("/exotel/choose/")

    assert orders(exotel) == []


@pytest.mark.parametrize("state", [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE])
def test_who_has_been_told_can_call_again(host: Any, exotel: Any, desk: Desk, state: State) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(desk, ticket, state=state)

    page = desk.press_button(ticket)
    back = desk.press_choice(page)
    desk.press_choice(page)

    assert "Exotel accepted the request" in back.messages
    assert len(orders(exotel)) == 1


def test_the_newest_call_of_another_number_does_not_speak_for_this_one(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    earlier_call(desk, ticket, BY_HAND, state=State.ACTIVE)
    earlier_call(desk, ticket, OTHER, state=State.ENDED, outcome="busy")

    question = desk.press_choice(desk.press_button(ticket))
    dialled = len(orders(exotel))
    desk.press_choice(question)

    assert STILL in question.messages
    assert f"then {BY_HAND}" in question.text.partition("Your last call:")[2]
    assert dialled == 0
    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


@pytest.mark.parametrize("state", [State.ENDED, State.REFUSED])
def test_a_call_that_is_over_is_no_question(host: Any, exotel: Any, desk: Desk, state: State) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(desk, ticket, state=state)

    desk.press_button(ticket)

    assert len(orders(exotel)) == 1


def test_a_call_of_somebody_else_is_theirs(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(desk, ticket, state=State.ACTIVE, placed_by=host.user("vik", agent=None))

    desk.press_button(ticket)

    assert len(orders(exotel)) == 1


@pytest.mark.parametrize("confirmed", ["0", "x", "9" * 30, ""])
def test_a_forged_word_of_having_been_told_is_none(host: Any, exotel: Any, desk: Desk, confirmed: str) -> None:
    ticket = host.ticket(phone=BY_HAND)
    earlier_call(desk, ticket, state=State.ACTIVE)
    page = desk.press_button(ticket)

    told = desk.press_choice(page, confirmed=confirmed)
    desk.get(f"{desk.where}&exotel_confirmed={confirmed}")

    assert STILL in told.messages
    assert orders(exotel) == []


def end_the_earlier_call(call: CallRecord) -> None:
    """End the earlier call at the last moment, as a callback can."""
    CallRecord.objects.update(state=State.ENDED, outcome="customer_unanswered")


def test_an_earlier_call_that_has_ended_is_no_success(host: Any, exotel: Any, desk: Desk, settings: Any) -> None:
    [form] = desk.change_form(host.ticket(phone=BY_HAND)).of_class("exotel-call-form")
    desk.post(form.attributes["action"], form.data)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.end_the_earlier_call"]}

    page = desk.post(form.attributes["action"], form.data)

    assert len(orders(exotel)) == 1
    assert "ended: no answer" in page.messages
    assert '<li class="info">' in page.html
    assert '<li class="success">' not in page.html
