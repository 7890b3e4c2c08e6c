"""The button on a host's own page: who sees it, and what a press of it may do."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import BY_HAND
from tests.helpdesk.models import Customer, Lead, LoudTicket, Ticket, UrgentTicket
from tests.templatetags.pages import BUTTON, PANEL, Browser, changed, render, render_bare, request_of

CALLS = ("exotel_ccm.place_call", "helpdesk.view_ticket")


@pytest.fixture
def asha(host: Any) -> Any:
    return host.user("asha", *CALLS)


@pytest.fixture
def in_real_time(exotel: Any) -> Any:
    exotel.speed = 1.0
    return exotel


def open_only(user: Any, ticket: Ticket) -> bool:
    return ticket.status == "open"


def entry(settings: Any, **options: Any) -> None:
    declared = {"prefix": "ticket", "phone": "customer.phone", **options}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": declared}}


# Who sees it.


def test_panel_links_to_the_page_it_stands_on(asha: Any, host: Any) -> None:
    CallRecord.objects.create(account="default", ticket=host.ticket(), placed_by=asha, created_at=timezone.now())

    page = render(PANEL, request_of(asha, "/tickets/?page=2"))

    assert page.links["Reload to see how it goes"] == "/tickets/?page=2"


def test_user_who_may_call_sees_button_and_hidden_panel(asha: Any, host: Any) -> None:
    page = render(BUTTON, request_of(asha), ticket=host.ticket("Broken fan"))

    [button] = page.call_buttons
    assert button.attributes["aria-label"] == "Call customer: Broken fan"
    assert "Call customer" in page.text
    assert page.html.count("data-exotel-panel=") == 1
    assert page.html.count("<link ") == 2
    assert page.html.count("<script ") == 3
    assert "style=" not in page.html
    assert "<style" not in page.html


@pytest.mark.parametrize("permissions", [(), CALLS[:1], CALLS[1:]])
def test_nothing_for_who_may_not(host: Any, permissions: tuple[str, ...]) -> None:
    user = host.user("vik", *permissions)

    assert render(BUTTON, request_of(user), ticket=host.ticket()).html.strip() == ""


def test_nothing_without_a_user(host: Any) -> None:
    ticket = host.ticket()
    without_user = request_of()
    del without_user.user

    assert render(BUTTON + PANEL, request_of(), ticket=ticket).html.strip() == ""
    assert render_bare(BUTTON + PANEL, ticket=ticket) == ""
    assert render_bare(BUTTON + PANEL, ticket=ticket, request=without_user) == ""
    assert render_bare(BUTTON + PANEL, ticket=ticket, request=None) == ""


def test_user_model_without_permissions_sees_nothing(host: Any) -> None:
    class Person:
        pk, is_authenticated, is_active = 7, True, True

    assert render(BUTTON, request_of(Person()), ticket=host.ticket()).html.strip() == ""


def test_request_alone_is_enough(asha: Any, host: Any) -> None:
    assert "exotel-call" in render_bare(BUTTON, ticket=host.ticket(), request=request_of(asha))


def test_can_call_alone_decides_where_there_is_one(host: Any, settings: Any) -> None:
    entry(settings, can_call=f"{__name__}.open_only")
    user = host.user("asha", "exotel_ccm.place_call")

    assert render(BUTTON, request_of(user), ticket=host.ticket()).call_buttons
    assert render(BUTTON, request_of(user), ticket=host.ticket(status="closed")).html.strip() == ""


def test_ticket_that_is_loaded_lazily(asha: Any, host: Any, in_real_time: Any) -> None:
    """A middleware can offer ``request.ticket`` as Django offers ``request.user``."""
    ticket = host.ticket()
    lazy = SimpleLazyObject(lambda: Ticket.objects.get(pk=ticket.pk))

    button = Browser(asha).button_of(lazy)
    Browser(asha).press(button["data-exotel-place"])

    assert CallRecord.objects.get().ticket == ticket


@pytest.mark.parametrize("ticket", [None, "", SimpleLazyObject(lambda: None), Ticket(subject="Not saved")])
def test_no_ticket_no_button(asha: Any, ticket: Any) -> None:
    assert render(BUTTON, request_of(asha), ticket=ticket).html.strip() == ""


@pytest.mark.parametrize(
    ("ticket", "message"),
    [
        (Customer(name="Ravi"), "helpdesk.Customer is not declared as a ticket. Write EXOTEL_CCM"),
        ("ticket 7", "{% exotel_call_button %} takes an object of a model in EXOTEL_CCM.* not a str"),
    ],
)
def test_what_is_no_ticket_is_a_clear_error(asha: Any, ticket: Any, message: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=message):
        render(BUTTON, request_of(asha), ticket=ticket)


def test_nothing_where_our_urls_are_missing(asha: Any, host: Any, settings: Any) -> None:
    class NoURLs:
        urlpatterns: tuple[Any, ...] = ()

    settings.ROOT_URLCONF = NoURLs

    assert render(BUTTON + PANEL, request_of(asha), ticket=host.ticket()).html.strip() == ""


def test_obstacles_are_said(host: Any) -> None:
    no_phone = host.user("vik", *CALLS, agent=None)

    without_agent = render(BUTTON, request_of(no_phone), ticket=host.ticket())
    without_number = render(BUTTON, request_of(host.user("asha", *CALLS)), ticket=host.ticket(phone=""))

    assert "disabled" in without_agent.html
    assert "You have no phone in Exotel yet." in without_agent.text
    assert "There is no phone number." in without_number.text
    assert without_agent.call_buttons == without_number.call_buttons == []


# One panel, one style, one script.


def test_assets_and_panel_come_once_a_page(asha: Any, host: Any) -> None:
    several = "{% load exotel_ccm %}{% exotel_call_panel %}{% exotel_call_button one %}{% exotel_call_button two %}"

    page = render(several, request_of(asha), one=host.ticket(), two=host.ticket("Another"))

    assert page.html.count("data-exotel-panel=") == 1
    assert page.html.count("<script ") == 3
    assert page.html.count("<link ") == 2
    assert len(page.call_buttons) == 2


def test_empty_panel_gives_way_to_the_call_of_the_ticket(asha: Any, host: Any) -> None:
    ticket = host.ticket()
    now = timezone.now()
    CallRecord.objects.create(
        account="default", ticket=ticket, placed_by=asha, created_at=now, ended_at=now, state="ended", outcome="busy"
    )

    page = render(PANEL + BUTTON, request_of(asha), ticket=ticket)

    assert page.html.count("data-exotel-panel=") == 2
    assert "Busy" in page.text


def test_panel_shows_the_call_in_progress_on_any_page(asha: Any, host: Any) -> None:
    CallRecord.objects.create(
        account="default", ticket=host.ticket(), placed_by=asha, created_at=timezone.now(), state="active"
    )

    assert "Calling the customer." in render(PANEL, request_of(asha)).text
    assert "Calling" not in render(PANEL, request_of(host.user("vik", *CALLS, agent=None))).text
    assert render(PANEL, request_of(host.user("ola", agent=None))).html.strip() == ""


def test_queries(asha: Any, host: Any) -> None:
    ticket = Ticket.objects.select_related("customer").get(pk=host.ticket().pk)
    asha = User.objects.get(pk=asha.pk)
    render(BUTTON, request_of(asha), ticket=ticket)  # reads permissions and content types, once

    with CaptureQueriesContext(connection) as button:
        render(BUTTON, request_of(asha), ticket=ticket)
    with CaptureQueriesContext(connection) as panel:
        render(PANEL, request_of(asha))

    assert len([one for one in button if "exotel_ccm_" in one["sql"]]) == 3
    assert len(panel) == 1


LOOP = "{% load exotel_ccm %}{% for ticket in tickets %}{% exotel_call_button ticket among=tickets %}{% endfor %}"


def test_buttons_in_a_loop_cost_a_fixed_number_of_queries(asha: Any, host: Any) -> None:
    for _number in range(10):
        host.ticket()
    counts, rows = [], Ticket.objects.order_by("pk")
    for found in (rows[:1], rows[:1], rows):  # the first reads permissions and content types
        with CaptureQueriesContext(connection) as seen:
            page = render(LOOP, request_of(asha), tickets=found)
        counts.append(len(seen))
        assert len(page.call_buttons) == len(found)

    assert counts[1] == counts[2] <= 5  # the tickets, their customers, and three of ours


def test_ticket_that_the_loop_does_not_go_over_costs_no_more_than_alone(asha: Any, host: Any) -> None:
    shown, others = [host.ticket() for _number in range(5)], [host.ticket() for _number in range(5)]
    loop = LOOP.replace("among=tickets", "among=others")
    render(loop, request_of(asha), tickets=shown[:1], others=[])  # reads permissions and content types

    counts = []
    for among in ([], others):
        with CaptureQueriesContext(connection) as seen:
            assert len(render(loop, request_of(asha), tickets=shown, others=among).call_buttons) == 5
        counts.append(len(seen))

    assert counts[1] <= counts[0] + 3  # the buttons of the others are made once


def test_buttons_in_a_loop_are_those_of_their_tickets(asha: Any, host: Any) -> None:
    made = [host.ticket("A"), host.ticket("B", phone=""), host.ticket("C")]
    call = CallRecord.objects.create(
        account="default", ticket=made[2], placed_by=asha, created_at=timezone.now(), state="ended", outcome="busy"
    )
    page = render(LOOP, request_of(asha, "/tickets/"), tickets=[*made, None])

    assert page.html.count('class="exotel-reason"') == 1  # B has no number
    [first, third] = [button.attributes for button in page.call_buttons]
    assert (first["aria-label"], third["aria-label"]) == ("Call customer: A", "Call customer: C")
    assert "exotel_after=0" in first["data-exotel-place"]
    assert f"exotel_after={call.pk}" in third["data-exotel-place"]


def test_buttons_in_a_loop_ask_who_may_call(host: Any, settings: Any) -> None:
    entry(settings, can_call=f"{__name__}.open_only")
    user = host.user("asha", "exotel_ccm.place_call")
    made = [host.ticket("A"), host.ticket("B", status="closed")]

    page = render(LOOP, request_of(user), tickets=made)

    assert [button.attributes["aria-label"] for button in page.call_buttons] == ["Call customer: A"]


def test_assets_in_the_head_are_for_everybody(asha: Any, host: Any) -> None:
    """A page that swaps its body keeps its head, also that of the login page."""
    head = "{% load exotel_ccm %}{% exotel_assets %}"

    page = render(head + PANEL + BUTTON, request_of(asha), ticket=host.ticket())

    assert page.html.count("<script ") == 5
    assert render(head, request_of()).html.count("<script ") == 5
    assert render_bare(head) == ""


# The nonce of a Content-Security-Policy.


@pytest.mark.parametrize("where", ["context", "django-csp", "django"])
def test_nonce(asha: Any, host: Any, where: str) -> None:
    request = request_of(asha)
    context = {"csp_nonce": "r4nd0m"} if where == "context" else {}
    if where == "django-csp":
        request.csp_nonce = "r4nd0m"
    if where == "django":
        request._csp_nonce = "r4nd0m"

    page = render(BUTTON, request, ticket=host.ticket(), **context)

    assert page.html.count(' nonce="r4nd0m"') == 5


# A press.


@pytest.mark.parametrize("kind", [Ticket, UrgentTicket, LoudTicket])
def test_press_calls(host: Any, in_real_time: Any, kind: Any) -> None:
    user = host.user("asha", *CALLS, f"helpdesk.view_{kind.__name__.lower()}")
    ticket = kind.objects.create(subject="Fan", customer=Customer.objects.create(name="Ravi", phone=BY_HAND))
    browser = Browser(user)

    told = browser.press(browser.button_of(ticket)["data-exotel-place"]).json()

    assert told["status"]["headline"] == "Calling Ravi. Your phone rings first: pick up."
    assert browser.client.get(told["url"]).status_code == 200
    assert CallRecord.objects.about(ticket).count() == 1


def test_press_about_uuid_key(host: Any, in_real_time: Any) -> None:
    lead = Lead.objects.create(name="Meera")
    lead.phones.create(kind="mobile", number=BY_HAND)
    browser = Browser(host.user("asha", "exotel_ccm.place_call", "helpdesk.view_lead"))

    told = browser.press(browser.button_of(lead)["data-exotel-place"]).json()

    assert told["status"]["step"] == "accepted"


def test_without_script_the_choose_page_asks_in_plain_frame(asha: Any, host: Any, in_real_time: Any) -> None:
    browser = Browser(asha)

    page = browser.client.get(browser.button_of(host.ticket("Broken fan", phone=BY_HAND))["href"]).content.decode()

    assert "Broken fan" in page
    assert '<body class="exotel-plain">' in page
    assert "/admin/" not in page
    assert "/static/" not in page


def test_page_does_not_speak_for_another_ticket(asha: Any, host: Any, in_real_time: Any) -> None:
    """The host's page decided about one ticket and one user: an address that names others shows nothing."""
    mine, other = host.ticket(phone=BY_HAND), host.ticket("Secret", phone=BY_HAND)
    vik = host.user("vik", *CALLS, agent="+919000000104")
    address = Browser(asha).button_of(mine)["data-exotel-place"]

    assert Browser(asha).press(changed(address, ticket=str(other.pk))).status_code == 404
    assert Browser(vik).press(address).status_code == 404
    assert CallRecord.objects.count() == 0


@pytest.mark.parametrize("name", ["host:pages", "host:pages:", "host:pages:forged", "xhost:pages:a:b:c"])
def test_unsigned_page_shows_nothing(asha: Any, host: Any, in_real_time: Any, name: str) -> None:
    address = Browser(asha).button_of(host.ticket(phone=BY_HAND))["data-exotel-place"]

    assert Browser(asha).press(changed(address, adapter=name)).status_code == 404


def test_page_of_yesterday_calls_nobody(asha: Any, host: Any, in_real_time: Any) -> None:
    browser = Browser(asha)
    yesterday = timezone.now() - datetime.timedelta(days=1, minutes=1)
    ticket = host.ticket(phone=BY_HAND)
    with time_machine.travel(yesterday, tick=False):
        address = browser.button_of(ticket)["data-exotel-place"]

    assert browser.press(address).status_code == 404


def test_permission_is_asked_again_at_the_press(asha: Any, host: Any, in_real_time: Any) -> None:
    browser = Browser(asha)
    address = browser.button_of(host.ticket(phone=BY_HAND))["data-exotel-place"]
    asha.user_permissions.filter(codename="view_ticket").delete()

    assert Browser(asha).press(address).status_code == 404


def test_logged_out_user_comes_to_the_login_page(asha: Any, host: Any, client: Any, settings: Any) -> None:
    settings.LOGIN_URL = "/login/"
    address = Browser(asha).button_of(host.ticket())["href"]

    response = client.get(address)

    assert response.status_code == 302
    assert response["Location"] == f"/login/?{urlencode({'next': address}, safe='/')}"
