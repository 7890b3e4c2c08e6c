"""Where a call stands, as JSON: for whom, in which words, and at what cost."""

from __future__ import annotations

import datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallEvent, CallRecord
from django_exotel_ccm.panel import NO_CALL
from django_exotel_ccm.services import move_calls
from django_exotel_ccm.services.privacy import erase
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS, Session
from tests.helpdesk.models import Order, Ticket

pytestmark = pytest.mark.django_db


def call_of(user: Any, *, age: float = 5, **fields: Any) -> CallRecord:
    """Return a call of the user's agent that was placed ``age`` seconds ago."""
    fields = {
        "agent": Agent.objects.filter(user=user).first(),
        "agent_label": "Asha",
        "customer_number": BY_HAND,
        "customer_label": "Meera Nair",
        **fields,
    }
    now = timezone.now()
    return CallRecord.objects.create(
        account="default", placed_by=user, created_at=now - datetime.timedelta(seconds=age), **fields
    )


def url_of(call: CallRecord, query: str = "") -> str:
    return reverse("exotel_ccm:status", args=[call.reference]) + query


def told(session: Session, call: CallRecord) -> dict[str, Any]:
    response = session.client.get(url_of(call))
    assert response.status_code == 200
    return dict(response.json())


@pytest.fixture
def asha(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK))


@pytest.mark.parametrize(
    ("fields", "step", "headline", "hint"),
    [
        (
            {"state": "requested"},
            "requested",
            "Calling Meera Nair. Your phone rings first: pick up.",
            "Then we dial the customer.",
        ),
        (
            {"state": "active"},
            "accepted",
            "Calling Meera Nair. Your phone rings first: pick up.",
            "Then we dial the customer.",
        ),
        (
            {"state": "active", "answered": True, "ticket_label": "Fan", "custom_field": "ticket_"},
            "answered",
            "In progress with Meera Nair: a phone was picked up",
            "About Fan",
        ),
        (
            {"state": "ended", "outcome": "completed", "talk_time": 192},
            "ended",
            "Talked with Meera Nair for 3 min 12 s",
            "",
        ),
        (
            {"state": "ended", "outcome": "completed", "talk_time": 42, "customer_label": "100% Fans"},
            "ended",
            "Talked with 100% Fans for 42 s",
            "",
        ),
        ({"state": "ended", "outcome": "completed", "talk_time": 0}, "ended", "Ended: nobody talked", ""),
        ({"state": "ended", "outcome": "completed", "talk_time": None}, "ended", "Ended", ""),
        (
            {"state": "active", "origin": "external", "agent": None, "agent_label": ""},
            "accepted",
            "Exotel knows of a call of the agent to Meera Nair",
            "",
        ),
        (
            {"state": "active", "agent": None, "agent_label": ""},
            "accepted",
            "Calling Meera Nair. First the agent's phone rings.",
            "Then we dial the customer.",
        ),
        (
            {"state": "ended", "outcome": "agent_unanswered", "agent": None, "agent_label": ""},
            "ended",
            "The agent did not pick up",
            "",
        ),
        ({"state": "ended", "outcome": "agent_unanswered"}, "ended", "You did not pick up", ""),
        ({"state": "ended", "outcome": "customer_unanswered"}, "ended", "No answer", ""),
        ({"state": "ended", "outcome": "busy"}, "ended", "Busy", ""),
        ({"state": "ended", "outcome": "unknown"}, "ended", "Ended; Exotel did not say how", ""),
        (
            {"state": "unconfirmed"},
            "unconfirmed",
            "We don't know whether this call went out (",
            "If your phone does not ring within a minute, call again.",
        ),
        (
            {"state": "unconfirmed", "gave_up": True},
            "never_confirmed",
            "We don't know how the call to Meera Nair ended",
            "Exotel did not say how it ended. We stopped asking at ",
        ),
    ],
)
def test_steps(asha: Session, fields: dict[str, Any], step: str, headline: str, hint: str) -> None:
    if fields.pop("answered", False):
        fields["answered_at"] = timezone.now()
    if fields.pop("gave_up", False):
        fields["gave_up_at"] = timezone.now()

    status = told(asha, call_of(asha.user, **fields))

    assert (status["step"], status["is_over"]) == (step, step in ("ended", "refused", "never_confirmed"))
    assert status["headline"].partition(headline)[0] == ""
    assert status["hint"].partition(hint or "nothing")[0] == ""
    assert (status["poll_after"] is None) == status["is_over"]
    assert set(status) == {
        *("reference", "step", "headline", "hint", "is_over", "outcome", "talk_time", "seconds", "poll_after")
    }


def test_every_outcome_has_words(asha: Session) -> None:
    from django_exotel_ccm.choices import Outcome

    for outcome in Outcome:
        for agent in (Agent.objects.get(), None):
            status = told(asha, call_of(asha.user, state="ended", outcome=outcome, agent=agent))
            assert status["headline"]
            assert "%" not in status["headline"]


def test_phone_of_another_agent(asha: Session, host: Any) -> None:
    vik = host.agent("Vik", "+919000000105")

    status = told(asha, call_of(asha.user, agent=vik, agent_label="Vik", state="active"))

    assert status["headline"] == "Calling Meera Nair. First Vik's phone rings."


def test_refusal_says_why(host: Any, exotel: Any, asha: Session) -> None:
    exotel.agent("+919000000101").device = "off"
    asha.press_button(host.ticket(phone=BY_HAND))

    status = told(asha, CallRecord.objects.get())

    assert (status["step"], status["headline"]) == ("refused", "Not called: Ravi")
    assert status["hint"] == "Your phone is switched off in Exotel. Turn the device on, then call again."


def test_number_is_masked(asha: Session) -> None:
    status = told(asha, call_of(asha.user, state="active", customer_label=""))

    assert BY_HAND[-6:] not in str(status)
    assert "Calling +•••" in status["headline"]


def test_erased_customer_has_no_name(asha: Session) -> None:
    call = call_of(asha.user)
    list(erase(BY_HAND, apply=True))

    assert told(asha, call)["headline"].startswith("Calling the customer.")


@pytest.mark.parametrize(
    ("age", "state", "poll_after"),
    [(5, "active", 1), (120, "active", 2), (3590, "active", 2), (3700, "active", 10), (90, "unconfirmed", 2)],
)
def test_fewer_questions_about_old_calls(asha: Session, age: float, state: str, poll_after: int) -> None:
    assert told(asha, call_of(asha.user, state=state, age=age))["poll_after"] == poll_after


def test_seconds_since_the_step_began(asha: Session) -> None:
    answered_at = timezone.now() - datetime.timedelta(seconds=42)

    assert told(asha, call_of(asha.user, state="active", age=20))["seconds"] in (20, 21)
    assert told(asha, call_of(asha.user, state="active", age=60, answered_at=answered_at))["seconds"] in (42, 43)


@pytest.mark.parametrize("query", ["", "?exotel_adapter=admin"])
def test_unchanged_is_304_at_one_query(asha: Session, query: str) -> None:
    call = call_of(asha.user, state="active", age=100)
    etag = asha.client.get(url_of(call, query))["ETag"]

    with CaptureQueriesContext(connection) as queries:
        response = asha.client.get(url_of(call, query), headers={"If-None-Match": etag})

    ours = [query["sql"] for query in queries if "exotel_ccm_" in query["sql"]]
    assert (response.status_code, response.content, len(ours)) == (304, b"", 1)
    assert len(queries) <= 3  # session and user are the host's
    assert response["Cache-Control"] == "private, no-cache"
    CallRecord.objects.update(state="ended", outcome="busy")
    assert asha.client.get(url_of(call), headers={"If-None-Match": etag}).json()["headline"] == "Busy"


# Who sees it.


def test_logged_out_user_is_told_so(asha: Session) -> None:
    response = Client().get(url_of(call_of(asha.user)))

    assert (response.status_code, response.json()["code"]) == (401, "logged_out")
    assert "Log in again" in response.json()["advice"]


@pytest.mark.parametrize("query", ["", "?exotel_adapter=admin", "?exotel_adapter=nowhere", "?exotel_adapter=%00"])
def test_strangers_see_nothing(asha: Session, host: Any, query: str) -> None:
    stranger = Session(host.user("vik", *AGENT_WORK, agent=None))

    assert stranger.client.get(url_of(call_of(asha.user), query)).status_code == 404
    assert stranger.client.get(reverse("exotel_ccm:status", args=[uuid4()])).status_code == 404


def test_colleague_needs_the_permission_and_the_ticket(asha: Session, host: Any) -> None:
    call = call_of(asha.user, ticket=host.ticket(), state="active")
    colleague = Session(host.user("vik", "helpdesk.view_ticket", SEES_CALLS, agent=None))
    without_ticket = Session(host.user("ola", SEES_CALLS, agent=None))

    assert colleague.client.get(url_of(call, "?exotel_adapter=admin")).status_code == 200
    assert colleague.client.get(url_of(call)).status_code == 404
    assert without_ticket.client.get(url_of(call, "?exotel_adapter=admin")).status_code == 404


def test_moved_call_does_not_name_its_new_ticket(asha: Session, host: Any) -> None:
    old, secret = host.ticket("Fan"), host.ticket("Dismissal of Asha")
    call = call_of(asha.user, ticket=old, ticket_label="Fan", custom_field=f"ticket_{old.pk}", state="active")
    assert told(asha, call)["hint"].startswith("About Fan.")

    move_calls(old, secret)

    assert "Dismissal" not in str(told(asha, call))


def test_moved_call_does_not_name_a_row_of_another_model_with_its_key(asha: Session, host: Any, settings: Any) -> None:
    types = {**settings.EXOTEL_CCM["TICKETS"], "helpdesk.Order": {"prefix": "order", "phone": "phone"}}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": types}
    ticket = host.ticket("Fan")
    secret = Order.objects.create(pk=ticket.pk, number="Order of a lawyer", customer=ticket.customer)
    call = call_of(asha.user, ticket=ticket, ticket_label="Fan", custom_field=f"ticket_{ticket.pk}", state="active")

    move_calls(ticket, secret)

    assert CallRecord.objects.get().ticket_label == "Order of a lawyer"
    assert "lawyer" not in str(told(asha, call))


def test_long_name_of_a_ticket_is_shortened(asha: Session, host: Any) -> None:
    ticket = host.ticket("F" * 90)
    call = call_of(asha.user, ticket=ticket, ticket_label=str(ticket), custom_field=f"ticket_{ticket.pk}")

    assert told(asha, call)["hint"] == f"About {'F' * 49}…. Then we dial the customer."


@pytest.mark.parametrize("name", ["nowhere", "", "%00"])
def test_unknown_adapter_shows_nothing(asha: Session, name: str) -> None:
    assert asha.client.get(url_of(call_of(asha.user), f"?exotel_adapter={name}")).status_code == 404


def test_caller_sees_their_call_without_its_ticket(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    call = call_of(asha.user, ticket=ticket, state="active")
    Ticket.objects.filter(pk=ticket.pk).delete()

    assert asha.client.get(url_of(call, "?exotel_adapter=admin")).status_code == 200
    assert asha.client.get("/exotel/calls/no-uuid/status/").status_code == 404
    assert asha.client.put(url_of(call)).status_code == 403  # CSRF
    assert Client().post(url_of(call)).status_code == 405


def test_status_needs_no_event(asha: Session) -> None:
    call = call_of(asha.user, state="refused", refusal_code="1012")
    CallEvent.objects.all().delete()

    assert told(asha, call)["hint"] == ""


# A page without a call looks for one.


def find(session: Session, ticket: Ticket | None = None, **query: str) -> Any:
    if ticket is not None:
        query = {"exotel_type": "helpdesk.ticket", "exotel_ticket": str(ticket.pk), **query}
    return session.client.get(reverse("exotel_ccm:status", args=[NO_CALL]), query)


@pytest.mark.parametrize("query", [{}, {"exotel_adapter": "admin"}])
def test_own_call_is_found_at_one_query(asha: Session, host: Any, query: dict[str, str]) -> None:
    ticket = host.ticket()
    call = call_of(asha.user, ticket=ticket, state="active")
    find(asha, ticket)

    with CaptureQueriesContext(connection) as queries:
        response = find(asha, ticket, **query)

    assert len([one for one in queries if "exotel_ccm_" in one["sql"]]) == 1
    found = response.json()
    assert found["status"] == told(asha, call)
    assert asha.client.get(found["url"]).json()["reference"] == str(call.reference)
    assert found["after"] == str(call.pk)
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(
    ("fields", "on_its_ticket", "elsewhere"),
    [
        ({"state": "requested"}, True, True),
        ({"state": "unconfirmed"}, True, True),
        ({"state": "ended", "outcome": "busy", "ended": 60}, True, False),
        ({"state": "ended", "outcome": "busy", "ended": 150, "age": 200}, False, False),
        ({"state": "refused"}, True, False),
        ({"state": "active", "age": 5 * 3600}, False, False),
    ],
)
def test_call_is_found_where_a_loaded_page_would_show_it(
    asha: Session, host: Any, fields: dict[str, Any], on_its_ticket: bool, elsewhere: bool
) -> None:
    ticket, other = host.ticket(), host.ticket("Another")
    if "ended" in fields:
        ended_at = timezone.now() - datetime.timedelta(seconds=fields["ended"])
        fields = {name: value for name, value in fields.items() if name != "ended"} | {"ended_at": ended_at}
    call_of(asha.user, ticket=ticket, **fields)

    answers = [find(asha, ticket), find(asha, other), find(asha)]

    assert [answer.status_code == 200 for answer in answers] == [on_its_ticket, elsewhere, elsewhere]
    assert {answer.status_code for answer in answers} <= {200, 204}
    # A press on the other ticket's page means another call, whatever its panel shows.
    assert [answer.json()["after"] for answer in answers[1:] if elsewhere] == [""] * 2 * elsewhere


def test_call_in_progress_about_the_ticket_is_found_first(asha: Session, host: Any) -> None:
    ticket, other = host.ticket(), host.ticket("Another")
    own = call_of(asha.user, ticket=ticket, state="active", age=20)
    call_of(asha.user, ticket=other, state="active")

    assert find(asha, ticket).json()["status"]["reference"] == str(own.reference)


def test_nobody_finds_the_call_of_somebody_else(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    call_of(asha.user, ticket=ticket, state="active")
    stranger = Session(host.user("vik", *AGENT_WORK, SEES_CALLS, agent=None))

    assert (find(stranger, ticket).status_code, find(stranger).status_code) == (204, 204)
    assert Client().get(reverse("exotel_ccm:status", args=[NO_CALL])).status_code == 401


@pytest.mark.parametrize("label", ["helpdesk.customer", "helpdesk.nothing", "nothing", "\0", "a.b.c"])
def test_unknown_kind_of_ticket_finds_nothing(asha: Session, label: str) -> None:
    assert find(asha, exotel_type=label, exotel_ticket="1").status_code == 404


@pytest.mark.parametrize(
    "key",
    [
        "0",
        "x",
        "\0",
        "1" * 500,
    ],
)
def test_unknown_ticket_finds_nothing(asha: Session, host: Any, key: str) -> None:
    call_of(asha.user, ticket=host.ticket(), state="ended", ended_at=timezone.now())

    assert find(asha, exotel_type="helpdesk.ticket", exotel_ticket=key).status_code == 204
