"""Promise 1 at the button: a double click, a second tab, a reloaded form place one call."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connections, transaction

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from tests.admin.desk import BY_HAND, OTHER, Desk, Form
from tests.views.conftest import orders


def hang_up(exotel: Any) -> None:
    """Let the call end before anybody answers, and its callbacks arrive."""
    [sid] = [call.sid for call in exotel.book.calls.values() if call.state != "terminal"]
    exotel.press(sid, "agent", "decline")
    exotel.speed = 500.0
    exotel.wait_until_quiet(timeout=20)
    exotel.speed = 1.0


def button(desk: Desk, ticket: Any) -> Form:
    [form] = desk.change_form(ticket).of_class("exotel-call-form")
    return form


def test_a_double_click_is_one_call_and_one_line_of_history(host: Any, exotel: Any, desk: Desk) -> None:
    form = button(desk, host.ticket(phone=BY_HAND))

    desk.post(form.attributes["action"], form.data)
    page = desk.post(form.attributes["action"], form.data)

    assert len(orders(exotel)) == CallRecord.objects.count() == LogEntry.objects.count() == 1
    assert "Exotel accepted the request" in page.messages


def test_eight_clicks_at_the_same_moment_are_one_call(host: Any, exotel: Any, desk: Desk, live_server: Any) -> None:
    form = button(desk, host.ticket(phone=BY_HAND))
    barrier = threading.Barrier(8)
    statuses = []

    def click() -> None:
        mine = Desk(None)
        mine.client.cookies = desk.client.cookies
        barrier.wait(10)
        statuses.append(mine.client.post(form.attributes["action"], form.data).status_code)
        connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert statuses == [302] * 8
    assert len(orders(exotel)) == CallRecord.objects.count() == 1


def test_a_second_tab_means_the_same_call_wherever_it_was_opened(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)
    form, changelist = button(desk, ticket), desk.changelist()

    desk.post(form.attributes["action"], form.data)
    page = desk.press_row_of(changelist, ticket)

    assert len(orders(exotel)) == 1
    assert "Exotel accepted the request" in page.messages


def test_a_reloaded_page_may_call_once_more(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)

    desk.press_button(ticket)
    hang_up(exotel)
    desk.press_button(ticket)

    assert len(orders(exotel)) == CallRecord.objects.count() == 2


def test_an_old_page_is_told_of_the_newer_call_and_asked_again(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)
    first = button(desk, ticket)
    desk.press_button(ticket)
    hang_up(exotel)
    desk.press_button(ticket)

    page = desk.post(first.attributes["action"], first.data)
    assert len(orders(exotel)) == 2
    hang_up(exotel)
    desk.press_choice(page)

    assert "You have called this number since this page was loaded. Call again only if you mean to." in page.messages
    assert len(orders(exotel)) == 3


def test_coming_back_to_the_page_of_a_call_that_is_over_asks_too(host: Any, exotel: Any, desk: Desk) -> None:
    form = button(desk, host.ticket(phone=BY_HAND))
    desk.post(form.attributes["action"], form.data)
    hang_up(exotel)

    page = desk.post(form.attributes["action"], form.data)
    asked = len(orders(exotel))
    desk.press_choice(page)

    assert "You have called this number since this page was loaded." in page.messages
    assert "the agent did not pick up" in page.messages
    assert (asked, len(orders(exotel))) == (1, 2)


def test_after_a_refusal_an_old_page_can_still_be_used(host: Any, exotel: Any, desk: Desk) -> None:
    form = button(desk, host.ticket(phone=BY_HAND))
    exotel.agent("+919000000101").device = "off"
    desk.post(form.attributes["action"], form.data)
    exotel.agent("+919000000101").device = "on"

    page = desk.post(form.attributes["action"], form.data)
    desk.press_choice(page)

    assert list(CallRecord.objects.order_by("pk").values_list("state", flat=True)) == [State.REFUSED, State.ACTIVE]


def test_another_number_of_the_ticket_is_another_call(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    page = desk.press_button(ticket)

    desk.press_choice(page)
    hang_up(exotel)
    form = page.of_class("exotel-choose-form")[0]
    other = page.html.rpartition('name="exotel_number" value="')[2].partition('"')[0]
    desk.post(form.attributes["action"], form.data | {"exotel_number": other})

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}, {"number": OTHER}]


def test_the_same_press_as_another_agent_is_told_apart(host: Any, exotel: Any, desk: Desk) -> None:
    desk.user.user_permissions.add(Permission.objects.get(codename="place_call_for_others"))
    vik = host.agent("Vik", "sip:vik4c1d77e2")
    form = button(desk, host.ticket(phone=BY_HAND))
    desk.post(form.attributes["action"], form.data)

    page = desk.post(form.attributes["action"], form.data | {"exotel_agent": str(vik.pk)})

    assert "You have just called this number as another agent." in page.messages
    assert len(orders(exotel)) == 1


# A host whose requests run in transactions.


@pytest.fixture
def atomic_requests(settings: Any) -> Any:
    """Set ATOMIC_REQUESTS, as the handler reads it from the connection, for every thread."""
    databases = connections.settings
    databases["default"]["ATOMIC_REQUESTS"] = True
    yield
    databases["default"]["ATOMIC_REQUESTS"] = False


def test_a_host_with_atomic_requests_presses_the_button_and_it_works(
    host: Any, exotel: Any, atomic_requests: None, desk: Desk
) -> None:
    ticket = host.ticket(phone=BY_HAND)

    for press in (lambda: desk.press_row(ticket), lambda: desk.run_action([ticket]), lambda: desk.press_button(ticket)):
        assert "Exotel accepted the request" in press().messages
        hang_up(exotel)

    assert len(orders(exotel)) == 3
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ENDED}


def test_the_press_runs_outside_the_transactions_of_such_a_host(
    host: Any, atomic_requests: None, desk: Desk, settings: Any
) -> None:
    page = desk.change_form(host.ticket(phone=BY_HAND))
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "AGENT_FOR_USER": f"{__name__}.look_and_say_nobody"}
    looks.clear()

    desk.press_button_of(page)

    # The place view is outside, the page it leads to inside.
    assert looks == [False, True]


looks: list[bool] = []


def look_and_say_nobody(user: Any) -> None:
    looks.append(transaction.get_connection().in_atomic_block)
