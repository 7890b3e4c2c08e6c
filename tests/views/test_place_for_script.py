"""A press from our script: the same rules as for a form, and an answer that says what to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db.models.signals import post_save
from django.http import Http404
from django.urls import reverse

from django_exotel_ccm.models import Agent, CallRecord
from tests.admin.conftest import urls_of
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS, Session, orders
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.django_db


def place(session: Session, ticket: Any, after: str = "0", accept: str = "application/json", **given: str) -> Any:
    """Post as our script does."""
    session.client.handler.enforce_csrf_checks = False
    values = {"adapter": "admin", "type": "helpdesk.ticket", "ticket": ticket.pk, "after": after, **given}
    data = {f"exotel_{name}": value for name, value in values.items()}
    return session.client.post(reverse("exotel_ccm:place"), data, headers={"Accept": accept})


@pytest.fixture
def asha(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK))


def test_placed_call_is_followed(host: Any, exotel: Any, asha: Session) -> None:
    response = place(asha, host.ticket(phone=BY_HAND))

    call, told = CallRecord.objects.get(), response.json()
    assert (response.status_code, told["level"], told["after"]) == (200, "success", str(call.pk))
    assert told["status"]["headline"] == "Calling Ravi. Your phone rings first: pick up."
    assert told["status"] == asha.client.get(told["url"]).json() | {"seconds": told["status"]["seconds"]}
    assert (told["correction_url"], told["notice"]) == ("", "")
    assert list(get_messages(response.wsgi_request)) == []


def test_links_need_their_permissions(host: Any, exotel: Any) -> None:
    lead = Session(host.user("lead", *AGENT_WORK, SEES_CALLS, "exotel_ccm.change_agent"))
    Agent.objects.update(contact_uri="")

    told = place(lead, host.ticket(phone=BY_HAND)).json()

    assert (told["level"], told["status"]["step"]) == ("error", "refused")
    assert (
        told["status"]["hint"]
        == "This agent has no phone. An administrator can add a contact URI or an Exotel user id."
    )
    assert told["correction_url"] == lead.url("exotel_ccm_agent_change", Agent.objects.get().pk)
    assert orders(exotel) == []


def test_what_is_open_is_asked_elsewhere(host: Any, exotel: Any, asha: Session) -> None:
    ticket = host.ticket(phone=BY_HAND, other="+919000001001")

    told = place(asha, ticket).json()

    assert told["text"] == "Choose whom to call."
    assert asha.get(told["ask_url"]).of_class("exotel-choose-form")
    assert orders(exotel) == []


def test_call_in_progress_is_asked_about(host: Any, exotel: Any, asha: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    first = place(asha, ticket).json()

    told = place(asha, ticket, first["after"]).json()

    assert told["text"].startswith("A call to this number is still going on.")
    assert f"exotel_confirmed={first['after']}" in told["ask_url"]
    assert told["text"] in asha.get(told["ask_url"]).text
    assert len(orders(exotel)) == 1


def test_same_press_twice_is_one_call(host: Any, exotel: Any, asha: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)

    told = [place(asha, ticket).json() for _press in range(2)]

    assert told[0]["status"]["reference"] == told[1]["status"]["reference"]
    assert len(orders(exotel)) == 1


def test_same_press_as_another_agent(host: Any, exotel: Any) -> None:
    lead = Session(host.user("lead", *AGENT_WORK, "exotel_ccm.place_call_for_others"))
    vik, ticket = host.agent("Vik", "+919000000105"), host.ticket(phone=BY_HAND)
    place(lead, ticket)

    told = place(lead, ticket, agent=str(vik.pk)).json()

    assert told["notice"].startswith("You have just called this number with another agent")
    assert told["status"]["reference"] == str(CallRecord.objects.get().reference)


def test_ticket_that_may_not_be_called(host: Any, exotel: Any, asha: Session, settings: Any) -> None:
    ticket_type = {"prefix": "ticket", "phone": "customer.phone", "can_call": lambda user, ticket: False}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": ticket_type}}

    told = place(asha, host.ticket(phone=BY_HAND)).json()

    assert told == {"level": "error", "text": "This ticket is not yours to call."}
    assert orders(exotel) == []


@pytest.mark.parametrize(
    "accept",
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "*/*", "", "text/html, application/json"],
)
def test_browsers_get_a_page(host: Any, exotel: Any, asha: Session, accept: str) -> None:
    response = place(asha, host.ticket(phone=BY_HAND), accept=accept)

    assert response.status_code == 302
    assert len(list(get_messages(response.wsgi_request))) == 1


def test_rules_are_those_of_a_form(host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    may_not_call = Session(host.user("meera", *AGENT_WORK[:-1]))
    may_not_see = Session(host.user("ola", "exotel_ccm.place_call", agent="+919000000103"))
    nobody = Session(None)

    answers = [place(session, ticket).status_code for session in (may_not_call, may_not_see, nobody)]

    assert answers == [403, 404, 302]
    assert orders(exotel) == []


# What fails in the host's code once the call was placed does not deny it.

REFUSING = [PermissionDenied, Http404, SuspiciousOperation, ValueError]


def raising(error: type[Exception]) -> Any:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error("of the host's")

    return fail


@pytest.fixture
def crm(settings: Any) -> Callable[..., Session]:
    """Return a user's session on a site whose ticket admin has these methods."""

    def session_of(user: Any, *, agents: Any = None, **methods: Any) -> Session:
        site = admin.AdminSite(name="admin")
        site.register(Ticket, type("TicketAdmin", (admin.ModelAdmin,), methods))
        if agents is not None:
            site.register(Agent, agents)
        settings.ROOT_URLCONF = urls_of(site)
        session = Session(user)
        session.site_admin = site
        return session

    return session_of


@pytest.mark.parametrize("error", REFUSING)
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_failing_log_of_changes_does_not_deny_the_call(
    host: Any, exotel: Any, crm: Callable[..., Session], caplog: Any, error: type[Exception], accept: str
) -> None:
    asha, ticket = crm(host.user("asha", *AGENT_WORK), log_change=raising(error)), host.ticket(phone=BY_HAND)

    response = place(asha, ticket, accept=accept)

    call = CallRecord.objects.get()
    assert (call.state, len(orders(exotel))) == ("active", 1)
    assert "The log of changes failed after a call was placed." in caplog.text
    if accept == "application/json":
        assert response.json()["status"]["headline"] == "Calling Ravi. Your phone rings first: pick up."
    else:
        assert response.status_code == 302
        assert "Your phone rings first: pick up." in asha.changelist().messages


@pytest.mark.books_differ("the answer could not be saved")
@pytest.mark.parametrize("error", REFUSING[:2])
def test_failing_receiver_of_saved_rows_does_not_deny_the_call(
    host: Any, exotel: Any, asha: Session, caplog: Any, error: type[Exception]
) -> None:
    def fail(sender: Any, created: bool, **kwargs: Any) -> None:
        if not created:
            raise error("of the host's")

    post_save.connect(fail, sender=CallRecord)
    try:
        told = place(asha, host.ticket(phone=BY_HAND)).json()
    finally:
        post_save.disconnect(fail, sender=CallRecord)

    assert told["status"]["headline"] == "Calling Ravi. Your phone rings first: pick up."
    assert len(orders(exotel)) == 1
    assert "could not be saved" in caplog.text


class FullStorage(FallbackStorage):
    def add(self, level: int, message: str, extra_tags: str = "") -> None:
        raise PermissionDenied("of the host's")


def test_failing_messages_do_not_deny_the_call(host: Any, exotel: Any, asha: Session, settings: Any) -> None:
    settings.MESSAGE_STORAGE = f"{__name__}.FullStorage"

    response = place(asha, host.ticket(phone=BY_HAND), accept="text/html")

    assert (response.status_code, response["Location"]) == (302, "/admin/helpdesk/ticket/")
    assert len(orders(exotel)) == 1


def test_failing_permission_keeps_the_reason_of_a_refusal(host: Any, exotel: Any, crm: Callable[..., Session]) -> None:
    methods = {"has_change_permission": raising(PermissionDenied)}
    asha = crm(host.user("asha", *AGENT_WORK), agents=type("AgentAdmin", (admin.ModelAdmin,), methods))
    Agent.objects.update(contact_uri="")

    told = place(asha, host.ticket(phone=BY_HAND)).json()

    assert told["status"]["hint"].startswith("This agent has no phone.")
    assert (told["correction_url"], orders(exotel)) == ("", [])
