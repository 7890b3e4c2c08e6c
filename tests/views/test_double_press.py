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
from tests.admin.pages import BY_HAND, OTHER, Form, Session, orders


def hang_up(exotel: Any) -> None:
    """Let the call end before anybody answers, and its callbacks arrive."""
    [sid] = [call.sid for call in exotel.book.calls.values() if call.state != "terminal"]
    exotel.press(sid, "agent", "decline")
    exotel.speed = 500.0
    exotel.wait_until_quiet(timeout=20)
    exotel.speed = 1.0


def button(session: Session, ticket: Any) -> Form:
    [form] = session.change_form(ticket).call_buttons
    return form


@pytest.fixture(params=[[], None], ids=["no rules", "default rules"])
def rules(request: pytest.FixtureRequest, settings: Any) -> None:
    """A second click means the same call, whatever a rule would say of another."""
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": request.param}


@pytest.mark.usefixtures("rules")
def test_double_click(host: Any, exotel: Any, session: Session) -> None:
    form = button(session, host.ticket(phone=BY_HAND))

    session.post(form.attributes["action"], form.data)
    page = session.post(form.attributes["action"], form.data)

    assert len(orders(exotel)) == CallRecord.objects.count() == LogEntry.objects.count() == 1
    assert "Exotel accepted the request" in page.messages


@pytest.mark.usefixtures("rules")
def test_eight_concurrent_clicks(host: Any, exotel: Any, session: Session, live_server: Any) -> None:
    form = button(session, host.ticket(phone=BY_HAND))
    barrier = threading.Barrier(8)
    statuses = []

    def click() -> None:
        mine = Session(None)
        mine.client.cookies = session.client.cookies
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


@pytest.mark.usefixtures("rules")
def test_second_tab(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    form, changelist = button(session, ticket), session.changelist()

    session.post(form.attributes["action"], form.data)
    page = session.press_row_of(changelist, ticket)

    assert len(orders(exotel)) == 1
    assert "Exotel accepted the request" in page.messages


def test_reloaded_page_may_call_again(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)

    session.press_button(ticket)
    hang_up(exotel)
    session.press_button(ticket)

    assert len(orders(exotel)) == CallRecord.objects.count() == 2


def test_old_page_shows_newer_call(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    first = button(session, ticket)
    session.press_button(ticket)
    hang_up(exotel)
    session.press_button(ticket)

    page = session.post(first.attributes["action"], first.data)
    assert len(orders(exotel)) == 2
    hang_up(exotel)
    session.press_choice(page)

    assert "A call to this number is still going on. Call again only if you mean to." in page.text
    assert len(orders(exotel)) == 3


@pytest.mark.usefixtures("rules")
def test_old_page_of_ended_call_needs_confirmation(host: Any, exotel: Any, session: Session) -> None:
    form = button(session, host.ticket(phone=BY_HAND))
    session.post(form.attributes["action"], form.data)
    hang_up(exotel)

    page = session.post(form.attributes["action"], form.data)
    before = len(orders(exotel))
    session.press_choice(page)

    assert "You have called this number since this page was loaded." in page.text
    assert "the agent did not pick up" in page.text
    assert (before, len(orders(exotel))) == (1, 2)


@pytest.mark.usefixtures("rules")
def test_old_page_after_refusal(host: Any, exotel: Any, session: Session) -> None:
    form = button(session, host.ticket(phone=BY_HAND))
    exotel.agent("+919000000101").device = "off"
    session.post(form.attributes["action"], form.data)
    exotel.agent("+919000000101").device = "on"

    page = session.post(form.attributes["action"], form.data)
    session.press_choice(page)

    assert list(CallRecord.objects.order_by("pk").values_list("state", flat=True)) == [State.REFUSED, State.ACTIVE]


def test_another_number_is_another_call(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    page = session.press_button(ticket)

    session.press_choice(page)
    hang_up(exotel)
    form = page.of_class("exotel-choose-form")[0]
    other = page.html.rpartition('name="exotel_number" value="')[2].partition('"')[0]
    session.post(form.attributes["action"], form.data | {"exotel_number": other})

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}, {"number": OTHER}]


def test_same_press_as_another_agent(host: Any, exotel: Any, session: Session) -> None:
    session.user.user_permissions.add(Permission.objects.get(codename="place_call_for_others"))
    vik = host.agent("Vik", "sip:vik4c1d77e2")
    form = button(session, host.ticket(phone=BY_HAND))
    session.post(form.attributes["action"], form.data)

    page = session.post(form.attributes["action"], form.data | {"exotel_agent": str(vik.pk)})

    assert "You have just called this number with another agent" in page.messages
    assert len(orders(exotel)) == 1


# A host whose requests run in transactions.


@pytest.fixture
def atomic_requests(settings: Any) -> Any:
    """Set ATOMIC_REQUESTS, as the handler reads it from the connection, for every thread."""
    databases = connections.settings
    databases["default"]["ATOMIC_REQUESTS"] = True
    yield
    databases["default"]["ATOMIC_REQUESTS"] = False


def test_press_under_atomic_requests(host: Any, exotel: Any, atomic_requests: None, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)

    for press in (
        lambda: session.press_row(ticket),
        lambda: session.run_action([ticket]),
        lambda: session.press_button(ticket),
    ):
        assert "Exotel accepted the request" in press().messages
        hang_up(exotel)

    assert len(orders(exotel)) == 3
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ENDED}


def test_press_is_exempt_from_atomic_requests(
    host: Any, atomic_requests: None, session: Session, settings: Any
) -> None:
    page = session.change_form(host.ticket(phone=BY_HAND))
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "AGENT_FOR_USER": f"{__name__}.look_and_say_nobody"}
    looks.clear()

    session.press_button_of(page)

    # The place view is outside, the page it leads to inside.
    assert looks == [False, True]


looks: list[bool] = []


def look_and_say_nobody(user: Any) -> None:
    looks.append(transaction.get_connection().in_atomic_block)
