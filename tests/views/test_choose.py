"""The choose page: which agent and which number, if there are several."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_NUMBERS, Session, orders
from tests.conftest import EXOPHONE
from tests.helpdesk.models import Customer, Ticket

OLA = "+919000000103"


def test_old_page_of_user_without_agent(host: Any) -> None:
    session = Session(host.user("meera", *AGENT_WORK))
    shown = session.change_form(host.ticket())
    Agent.objects.all().delete()

    page = session.press_button_of(shown)

    assert session.where.startswith("/exotel/choose/")
    assert "You have no phone in Exotel yet. An administrator can add an agent for you." in page.text
    assert page.of_class("exotel-choose-form") == []
    assert CallRecord.objects.count() == 0


def test_chosen_number_is_called(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=OTHER, other=BY_HAND)

    page = session.press_button(ticket)
    assert orders(exotel) == []
    numbers = [value for name, value in choices(page) if name == "number"]
    back = session.press_choice(page, number=numbers[1])

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]
    assert "Exotel accepted the request" in back.messages
    assert session.where == session.url("helpdesk_ticket_change", ticket.pk)


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        (f"{OTHER} / Home {BY_HAND}", ["customer phone 1", "customer phone Home"]),
        (f"do not call {BY_HAND}", ["customer phone, do not call"]),
        (f"{BY_HAND} x45", ["customer phone, x45"]),
    ],
)
def test_note_beside_number_is_shown_before_call(
    host: Any, exotel: Any, session: Session, phone: str, expected: list[str]
) -> None:
    page = session.press_button(host.ticket(phone=phone))
    assert orders(exotel) == []
    session.press_choice(page, number=choices(page)[-1][1])

    assert re.findall(r"\+91\d{10} \((.+?)\)", page.text) == expected
    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


def test_note_beside_number_is_masked(host: Any, exotel: Any) -> None:
    session = Session(host.user("asha", *AGENT_WORK))

    page = session.press_button(host.ticket(phone=f"{BY_HAND} (not 987654321)"))

    assert "+••••••••••09 (customer phone, not •••••••21)" in page.text


def choices(page: Any) -> list[tuple[str, str]]:
    """Return the radio buttons of a page, checked or not."""
    return [("number", value) for value in re.findall(r'name="exotel_number" value="(\w+)"', page.html)]


def test_same_number_twice_is_offered_once(host: Any, exotel: Any, session: Session) -> None:
    session.press_button(host.ticket(phone=BY_HAND, other="90000 01009"))

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("", "There is no phone number."),
        ("ask Ravi", "That is not one valid phone number."),
        ("98XXXXXX10", "not dialled"),
    ],
)
def test_ticket_without_usable_number(host: Any, session: Session, phone: str, expected: str) -> None:
    ticket = host.ticket(phone="90000 01009")
    shown = session.change_form(ticket)
    Customer.objects.update(phone=phone)

    page = session.press_button_of(shown)

    assert expected in page.text
    assert expected in session.change_form(ticket).html.replace("&#x27;", "'")
    assert page.of_class("exotel-choose-form") == []
    assert CallRecord.objects.count() == 0


def test_page_says_why_a_number_must_be_typed(host: Any) -> None:
    session = Session(host.user("asha", *AGENT_WORK, "exotel_ccm.dial_any_number", "helpdesk.change_customer"))
    ticket = host.ticket(phone="98765XXXXX")

    page = session.press_button(ticket)

    assert "None of its numbers can be dialled." in page.text
    assert "Letters and signs among the digits are not dialled." in page.text
    assert "Enter a number" in page.text
    assert len(page.of_class("exotel-choose-form")) == 1


def test_typed_number_needs_permission(host: Any, exotel: Any) -> None:
    session = Session(host.user("asha", *AGENT_WORK, "exotel_ccm.dial_any_number", SEES_NUMBERS))

    page = session.press_button(host.ticket(phone=""))
    session.press_choice(page, to="90000 01009")

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


@pytest.mark.parametrize("typed", ["12345", "98XXXXXX10", "90000 01009 (wife)", "9000001009 / 9000001010"])
def test_typed_text_that_is_no_number(host: Any, exotel: Any, typed: str) -> None:
    session = Session(host.user("asha", *AGENT_WORK, "exotel_ccm.dial_any_number"))

    page = session.press_choice(session.press_button(host.ticket(phone="")), to=typed)

    assert "That is not one valid phone number." in page.messages
    assert "Write it with its country code" in page.messages
    assert typed not in page.messages
    assert len(page.of_class("exotel-choose-form")) == 1
    assert orders(exotel) == []


def test_agent_of_another_user_needs_permission(host: Any, exotel: Any) -> None:
    other = host.agent("Vik", "sip:vik4c1d77e2")
    host.agent("Gone", OLA, is_active=False)
    session = Session(host.user("meera", *AGENT_WORK, "exotel_ccm.place_call_for_others", SEES_NUMBERS, agent=None))
    host.agent("Uma", "+919000000104")

    page = session.press_button(host.ticket(phone=BY_HAND))
    assert orders(exotel) == []
    back = session.press_choice(page, agent=str(other.pk))

    assert "Uma" in page.text
    assert "Gone" not in page.text
    assert [order["from"] for order in orders(exotel)] == [{"user_contact_uri": "sip:vik4c1d77e2"}]
    assert "to ring Vik first" in back.messages


def test_only_agent_is_named(host: Any, session: Session) -> None:
    page = session.press_button(host.ticket(phone=OTHER, other=BY_HAND))

    assert "Rings first: Asha" in page.text


def test_changed_numbers_need_a_new_choice(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=OTHER, other=BY_HAND)
    page = session.press_button(ticket)
    ticket.customer.phone = ticket.customer.other_phone = "+919000001002"
    ticket.customer.save()

    page = session.press_choice(page, number=choices(page)[0][1])

    assert "The phone numbers have changed since this page was loaded." in page.messages
    assert orders(exotel) == []


def test_press_without_after_needs_confirmation(host: Any, exotel: Any, session: Session) -> None:
    form = session.change_form(host.ticket(phone=BY_HAND)).call_buttons[0]

    for after in ("", "-1", "one", "9" * 40, "\u0663"):
        address = form.attributes["action"].replace("exotel_after=0", f"exotel_after={after}")
        page = session.post(address, form.data)
        assert len(page.of_class("exotel-choose-form")) == 1

    assert orders(exotel) == []


def test_refusal_shows_advice(host: Any, exotel: Any, session: Session) -> None:
    exotel.agent("+919000000101").device = "off"

    page = session.press_button(host.ticket(phone=BY_HAND))

    assert "Your phone is switched off in Exotel. Turn the device on, then call again." in page.messages
    assert page.links["See the call"] == session.url("exotel_ccm_callrecord_change", CallRecord.objects.get().pk)


@pytest.mark.parametrize(
    ("model", "broken", "corrected"),
    [
        (Agent, {"contact_uri": ""}, {"contact_uri": "+919000000101"}),
        (ExoPhone, {"number": "12"}, {"number": EXOPHONE}),
    ],
    ids=["agent without device", "wrong number"],
)
def test_refusal_links_to_what_corrects_it(
    host: Any, exotel: Any, model: type[Model], broken: dict[str, Any], corrected: dict[str, Any]
) -> None:
    name = model._meta.model_name
    session = Session(host.user("lead", *AGENT_WORK, f"exotel_ccm.view_{name}", f"exotel_ccm.change_{name}"))
    ticket = host.ticket(phone=BY_HAND)
    page = session.change_form(ticket)
    model._default_manager.update(**broken)

    assert "Correct it" in session.change_form(ticket).links
    link = session.press_button_of(page).links["Correct it"]
    given = {"name": "Lead", "user": session.user.pk, "account": "default", "is_active": "on", "is_default": "on"}
    session.post(link, session.get(link).of_id(f"{name}_form").data | given | corrected)
    session.press_button(ticket)

    assert link == session.url(f"exotel_ccm_{name}_change", model._default_manager.get().pk)
    assert len(orders(exotel)) == 1


@pytest.mark.parametrize("exophone", ["none", "idle"])
def test_refusal_shows_no_link_without_permission(host: Any, exotel: Any, session: Session, exophone: str) -> None:
    page = session.change_form(host.ticket(phone=BY_HAND))
    if exophone == "none":
        ExoPhone.objects.all().delete()
    ExoPhone.objects.update(is_active=False)

    page = session.press_button_of(page)

    assert "There is no ExoPhone to call from. An administrator can add one" in page.messages
    assert "Correct it" not in page.links


def test_refusal_links_to_add_an_exophone(host: Any, exotel: Any) -> None:
    session = Session(host.user("lead", *AGENT_WORK, "exotel_ccm.add_exophone"))
    page = session.change_form(host.ticket(phone=BY_HAND))
    ExoPhone.objects.all().delete()

    page = session.press_button_of(page)

    assert page.links["Correct it"] == reverse("admin:exotel_ccm_exophone_add")


def test_unclear_answer_is_shown_as_unknown(host: Any, exotel: Any, session: Session) -> None:
    exotel.options.answer_fault = "bad_gateway"

    page = session.press_button(host.ticket(phone=BY_HAND))

    assert "Outcome unknown since" in page.messages
    assert "If Asha's phone does not ring within a minute, call again." in page.messages.replace("&#x27;", "'")


def test_choose_page_queries_do_not_grow(host: Any, session: Session) -> None:
    tickets = [host.ticket(f"T{n}", phone=BY_HAND) for n in range(30)]

    def cost(chosen: list[Any]) -> int:
        with CaptureQueriesContext(connection) as queries:
            page = session.run_action(chosen)
        assert len(page.of_class("exotel-choose-form")) == len(chosen)
        return len(queries)

    cost(tickets[:2])
    assert cost(tickets[:3]) == cost(tickets)


def test_hidden_tickets_are_counted_not_named(host: Any, session: Session) -> None:
    session.user.last_name = "north"
    session.user.save()
    mine = host.ticket("Mine", team="north")
    theirs = host.ticket("Secret", team="south")

    page = session.run_action([mine])
    page = session.get(
        f"/exotel/choose/?exotel_adapter=admin&exotel_type=helpdesk.ticket"
        f"&exotel_ticket={mine.pk}&exotel_ticket={theirs.pk}"
    )

    assert "1 chosen ticket is not shown: it does not exist, or is not yours to see." in page.text
    assert "Secret" not in page.html
    assert Ticket.objects.count() == 2


def test_keys_have_no_separators(host: Any, exotel: Any, session: Session, settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    ticket = host.ticket(phone=OTHER, other=BY_HAND, pk=7777777)

    page = session.press_button(ticket)
    session.press_choice(page, number=choices(page)[1][1])

    assert [order["custom_field"] for order in orders(exotel)] == ["ticket_7777777"]
