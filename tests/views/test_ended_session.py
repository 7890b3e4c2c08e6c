"""A session that ends before the press: after the login the user reads that no call was placed, and can press."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session as StoredSession
from django.urls import reverse

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, BY_HAND, Page, Session
from tests.helpdesk.models import Ticket

NOT_PLACED = "No call was placed. Press again."


@pytest.fixture(params=[True, False])
def asha(request: Any, host: Any, settings: Any) -> Session:
    """An agent's session, with and without Django's middleware that has everybody log in."""
    if request.param:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
        settings.LOGIN_URL = "/admin/login/"
    return Session(host.user("asha", *AGENT_WORK))


@pytest.fixture
def ticket(host: Any) -> Ticket:
    found: Ticket = host.ticket(phone=BY_HAND)
    return found


def chosen(session: Session, *tickets: Ticket) -> Page:
    """Return the page that asks, as a list's action or a link without script leads to it."""
    if len(tickets) > 1:
        return session.run_action(tickets)
    [button] = session.change_form(tickets[0]).call_buttons
    return session.get(f"{reverse('exotel_ccm:choose')}?{button.attributes['action'].partition('?')[2]}")


def log_in_again(session: Session, press: Callable[[], Page]) -> Page:
    """Press after the session has ended, and log in where that leads."""
    StoredSession.objects.all().delete()
    form = press().of_id("login-form")
    return session.post(session.where, form.data | {"username": ["asha"], "password": ["pw"]})


def test_page_that_asks(asha: Session, ticket: Ticket) -> None:
    page = chosen(asha, ticket)

    page = log_in_again(asha, lambda: asha.press_choice(page))

    assert asha.where == f"/admin/helpdesk/ticket/{ticket.pk}/change/"
    assert page.messages == NOT_PLACED
    assert not CallRecord.objects.exists()


def test_page_that_asks_about_several(asha: Session, ticket: Ticket, host: Any) -> None:
    page = chosen(asha, ticket, host.ticket("Second"))
    address = asha.where

    page = log_in_again(asha, lambda: asha.press_choice(page, 1))

    assert asha.where == address
    assert page.messages == NOT_PLACED
    assert len(page.of_class("exotel-choose-form")) == 2


def test_button(asha: Session, ticket: Ticket) -> None:
    page = asha.change_form(ticket)

    page = log_in_again(asha, lambda: asha.press_button_of(page))

    assert asha.where == f"/admin/helpdesk/ticket/{ticket.pk}/change/"
    assert page.messages == NOT_PLACED


@pytest.mark.parametrize("wanted", ["", "https://evil.example/"])
def test_address_that_names_no_page(asha: Session, wanted: str) -> None:
    page = asha.get(f"{reverse('exotel_ccm:place')}?exotel_next={wanted}")

    assert asha.where.startswith(reverse("exotel_ccm:my-calls"))
    assert page.messages == NOT_PLACED


def test_user_who_may_not_call(host: Any) -> None:
    assert Session(host.user("ben")).client.get(reverse("exotel_ccm:place")).status_code == 403
