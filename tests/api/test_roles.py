"""Who may use which address: each role at each of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from django_exotel_ccm.api import urls
from django_exotel_ccm.models import Disposition, DoNotCall, FollowUp
from django_exotel_ccm.services import schedule_follow_up
from tests.admin.pages import BY_HAND
from tests.api.conftest import Api, placed
from tests.api.test_notes import tomorrow

ROLES: dict[str, tuple[str, ...]] = {
    "nobody": (),
    "agent": ("place_call", "add_callnote"),
    "agent who sees calls": ("place_call", "add_callnote", "view_callrecord"),
    "reader": ("view_callrecord", "view_callevent", "view_followup", "view_agent", "view_exophone", "view_disposition"),
    "keeper": ("view_donotcall", "add_donotcall", "delete_donotcall", "view_customer_number"),
}
# The status for nobody, agent, agent who sees calls, reader, keeper.
MATRIX = {
    "GET calls/": (403, 200, 200, 200, 403),
    "POST calls/": (403, 400, 400, 403, 403),
    "GET calls/status/?reference=<call>": (403, 200, 200, 200, 403),
    "GET calls/<call>/": (403, 404, 200, 200, 403),
    "GET calls/<call>/events/": (403, 403, 403, 200, 403),
    "GET calls/<call>/notes/": (403, 404, 200, 200, 403),
    "POST calls/<call>/notes/": (403, 404, 400, 403, 403),
    "GET follow-ups/": (403, 200, 200, 200, 403),
    "POST follow-ups/": (403, 400, 400, 403, 403),
    "POST follow-ups/<follow_up>/done/": (403, 404, 404, 403, 403),
    "GET agents/": (403, 200, 200, 200, 403),
    "GET exophones/": (403, 200, 200, 200, 403),
    "GET dispositions/": (403, 200, 200, 200, 403),
    "GET do-not-call/": (403, 403, 403, 403, 200),
    "POST do-not-call/": (403, 403, 403, 403, 400),
    "DELETE do-not-call/": (403, 403, 403, 403, 400),
    "DELETE do-not-call/<entry>/": (403, 403, 403, 403, 204),
}


@pytest.fixture
def filled(host: Any) -> dict[str, Any]:
    """A call of somebody else about a ticket, and a row of every kind."""
    ticket, owner = host.ticket(), host.user("owner", agent=None)
    Disposition.objects.create(code="reached", label="Reached")
    return {
        "call": placed(owner, ticket).reference,
        "follow_up": schedule_follow_up(ticket=ticket, due_at=tomorrow(), assigned_to=owner).pk,
        "entry": DoNotCall.objects.create(number=BY_HAND).pk,
    }


def send(client: Api, action: str, filled: dict[str, Any]) -> Any:
    method, path = action.split()
    for name, value in filled.items():
        path = path.replace(f"<{name}>", str(value))
    return client.send(method, path, b"{}")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_at_each_address(host: Any, filled: dict[str, Any], role: str) -> None:
    permissions = [f"exotel_ccm.{name}" for name in ROLES[role]]
    client = Api(host.user("asha", "helpdesk.view_ticket", *permissions))

    found = {action: send(client, action, filled).status_code for action in MATRIX}

    assert found == {action: statuses[list(ROLES).index(role)] for action, statuses in MATRIX.items()}


def test_every_address_is_in_the_matrix() -> None:
    """The last address is that of everything else."""
    addresses = {action.split()[1].partition("?")[0] for action in MATRIX}
    routes = {str(one.pattern) for one in urls.urlpatterns[:-1]} - {"schema/"}

    assert {re.sub("<[^>]*>", "<>", one) for one in addresses} == {re.sub("<[^>]*>", "<>", one) for one in routes}


def test_who_is_not_logged_in_is_told_so(filled: dict[str, Any]) -> None:
    for action in MATRIX:
        response = send(Api(None), action, filled)
        assert response.status_code == 401
        assert response.json()["code"] == "not_authenticated"
        assert response["WWW-Authenticate"]
    assert (FollowUp.objects.count(), DoNotCall.objects.count()) == (1, 1)


def test_everything_is_refused_in_one_shape(host: Any, filled: dict[str, Any]) -> None:
    client = Api(host.user("asha"))

    for action in MATRIX:
        answer = send(client, action, filled).json()
        assert answer["code"] == "permission_denied"
        assert "exotel_ccm." in answer["advice"]


def test_answers_stay_out_of_shared_caches(host: Any) -> None:
    response = Api(host.user("asha", "exotel_ccm.place_call")).get("calls/")

    assert "private" in response["Cache-Control"]
    assert {"Cookie", "Authorization"} <= {one.strip() for one in response["Vary"].split(",")}
