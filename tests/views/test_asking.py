"""It asks only what it cannot know: as whom, and to which number."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.models import Agent, CallRecord
from tests.admin.desk import AGENT_WORK, BY_HAND, OTHER, SEES_NUMBERS, Desk
from tests.helpdesk.models import Customer, Ticket
from tests.views.conftest import orders

OLA = "+919000000103"


def test_a_user_without_an_agent_is_told_who_can_help(host: Any) -> None:
    desk = Desk(host.user("meera", *AGENT_WORK))
    shown = desk.change_form(host.ticket())
    Agent.objects.all().delete()

    page = desk.press_button_of(shown)

    assert desk.where.startswith("/exotel/choose/")
    assert "You have no phone in Exotel yet. An administrator can add an agent for you." in page.text
    assert page.of_class("exotel-choose-form") == []
    assert CallRecord.objects.count() == 0


def test_one_of_several_numbers_is_chosen_and_called(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=OTHER, other=BY_HAND)

    page = desk.press_button(ticket)
    assert orders(exotel) == []
    numbers = [value for name, value in choices(page) if name == "number"]
    back = desk.press_choice(page, number=numbers[1])

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]
    assert "Exotel accepted the request" in back.messages
    assert desk.where == desk.url("helpdesk_ticket_change", ticket.pk)


@pytest.mark.parametrize(
    ("phone", "said"),
    [
        (f"{OTHER} / Home {BY_HAND}", ["customer phone 1", "customer phone Home"]),
        (f"do not call {BY_HAND}", ["customer phone, do not call"]),
        (f"{BY_HAND} x45", ["customer phone, x45"]),
    ],
)
def test_what_stands_beside_a_number_is_read_before_a_call(
    host: Any, exotel: Any, desk: Desk, phone: str, said: list[str]
) -> None:
    page = desk.press_button(host.ticket(phone=phone))
    assert orders(exotel) == []
    desk.press_choice(page, number=choices(page)[-1][1])

    assert re.findall(r"\+91\d{10} \((.+?)\)", page.text) == said
    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


def test_words_beside_a_number_hide_numbers_too(host: Any, exotel: Any) -> None:
    desk = Desk(host.user("asha", *AGENT_WORK))

    page = desk.press_button(host.ticket(phone=f"{BY_HAND} (not 987654321)"))

    assert "+••••••••••09 (customer phone, not •••••••21)" in page.text


def choices(page: Any) -> list[tuple[str, str]]:
    """Return the radio buttons of a page, checked or not."""
    return [("number", value) for value in re.findall(r'name="exotel_number" value="(\w+)"', page.html)]


def test_the_same_number_written_twice_is_one_number(host: Any, exotel: Any, desk: Desk) -> None:
    desk.press_button(host.ticket(phone=BY_HAND, other="90000 01009"))

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


@pytest.mark.parametrize(
    ("phone", "said"),
    [
        ("", "There is no phone number."),
        ("ask Ravi", "That is not one valid phone number."),
        ("98XXXXXX10", "not dialled"),
    ],
)
def test_a_ticket_without_a_usable_number_says_so(host: Any, desk: Desk, phone: str, said: str) -> None:
    ticket = host.ticket(phone="90000 01009")
    shown = desk.change_form(ticket)
    Customer.objects.update(phone=phone)

    page = desk.press_button_of(shown)

    assert said in page.text
    assert said in desk.change_form(ticket).html.replace("&#x27;", "'")
    assert page.of_class("exotel-choose-form") == []
    assert CallRecord.objects.count() == 0


def test_a_free_number_needs_its_permission(host: Any, exotel: Any) -> None:
    desk = Desk(host.user("asha", *AGENT_WORK, "exotel_ccm.dial_any_number", SEES_NUMBERS))

    page = desk.press_button(host.ticket(phone=""))
    desk.press_choice(page, to="90000 01009")

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


@pytest.mark.parametrize("typed", ["12345", "98XXXXXX10", "90000 01009 (wife)", "9000001009 / 9000001010"])
def test_typed_text_that_is_no_number_is_asked_again(host: Any, exotel: Any, typed: str) -> None:
    desk = Desk(host.user("asha", *AGENT_WORK, "exotel_ccm.dial_any_number"))

    page = desk.press_choice(desk.press_button(host.ticket(phone="")), to=typed)

    assert "That is not one valid phone number." in page.messages
    assert "Write it with its country code" in page.messages
    assert typed not in page.messages
    assert len(page.of_class("exotel-choose-form")) == 1
    assert orders(exotel) == []


def test_another_s_phone_needs_its_permission(host: Any, exotel: Any) -> None:
    other = host.agent("Vik", "sip:vik4c1d77e2")
    host.agent("Gone", OLA, is_active=False)
    desk = Desk(host.user("meera", *AGENT_WORK, "exotel_ccm.place_call_for_others", SEES_NUMBERS, agent=None))
    host.agent("Uma", "+919000000104")

    page = desk.press_button(host.ticket(phone=BY_HAND))
    assert orders(exotel) == []
    back = desk.press_choice(page, agent=str(other.pk))

    assert "Uma" in page.text
    assert "Gone" not in page.text
    assert [order["from"] for order in orders(exotel)] == [{"user_contact_uri": "sip:vik4c1d77e2"}]
    assert "to ring Vik first" in back.messages


def test_the_only_agent_is_named_before_the_press(host: Any, desk: Desk) -> None:
    page = desk.press_button(host.ticket(phone=OTHER, other=BY_HAND))

    assert "Rings first: Asha" in page.text


def test_numbers_that_changed_meanwhile_are_asked_again(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=OTHER, other=BY_HAND)
    page = desk.press_button(ticket)
    ticket.customer.phone = ticket.customer.other_phone = "+919000001002"
    ticket.customer.save()

    page = desk.press_choice(page, number=choices(page)[0][1])

    assert "The phone numbers have changed since this page was loaded." in page.messages
    assert orders(exotel) == []


def test_a_press_without_word_of_the_page_it_came_from_is_asked(host: Any, exotel: Any, desk: Desk) -> None:
    form = desk.change_form(host.ticket(phone=BY_HAND)).of_class("exotel-call-form")[0]

    for after in ("", "-1", "one", "9" * 40, "\u0663"):
        page = desk.post(form.attributes["action"], form.data | {"exotel_after": after})
        assert len(page.of_class("exotel-choose-form")) == 1

    assert orders(exotel) == []


def test_the_refusal_says_what_the_agent_can_do(host: Any, exotel: Any, desk: Desk) -> None:
    exotel.agent("+919000000101").device = "off"

    page = desk.press_button(host.ticket(phone=BY_HAND))

    assert "Your phone is switched off in Exotel. Turn the device on, then call again." in page.messages
    assert page.links["See the call"] == desk.url("exotel_ccm_callrecord_change", CallRecord.objects.get().pk)


def test_an_unclear_answer_is_told_as_unknown(host: Any, exotel: Any, desk: Desk) -> None:
    exotel.options.answer_fault = "bad_gateway"

    page = desk.press_button(host.ticket(phone=BY_HAND))

    assert "Outcome unknown since" in page.messages
    assert "If Asha's phone does not ring within a minute, call again." in page.messages.replace("&#x27;", "'")


def test_the_page_lists_a_hundred_tickets_with_as_many_queries_as_ten(host: Any, desk: Desk) -> None:
    tickets = [host.ticket(f"T{n}", phone=BY_HAND) for n in range(30)]

    def cost(chosen: list[Any]) -> int:
        with CaptureQueriesContext(connection) as queries:
            page = desk.run_action(chosen)
        assert len(page.of_class("exotel-choose-form")) == len(chosen)
        return len(queries)

    cost(tickets[:2])
    assert cost(tickets[:3]) == cost(tickets)


def test_chosen_tickets_that_one_may_not_see_are_counted_and_not_named(host: Any, desk: Desk) -> None:
    desk.user.last_name = "north"
    desk.user.save()
    mine = host.ticket("Mine", team="north")
    theirs = host.ticket("Secret", team="south")

    page = desk.run_action([mine])
    page = desk.get(
        f"/exotel/choose/?exotel_adapter=admin&exotel_type=helpdesk.ticket"
        f"&exotel_ticket={mine.pk}&exotel_ticket={theirs.pk}"
    )

    assert "1 chosen ticket is not shown: it does not exist, or is not yours to see." in page.text
    assert "Secret" not in page.html
    assert Ticket.objects.count() == 2


def test_keys_are_written_plainly_whatever_the_locale(host: Any, exotel: Any, desk: Desk, settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    ticket = host.ticket(phone=OTHER, other=BY_HAND, pk=7777777)

    page = desk.press_button(ticket)
    desk.press_choice(page, number=choices(page)[1][1])

    assert [order["custom_field"] for order in orders(exotel)] == ["ticket_7777777"]
