"""Who may do what: each role, at each address, with each method."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from django_exotel_ccm.api import urls
from django_exotel_ccm.models import CallNote, CallRecord, Disposition, DoNotCall, FollowUp
from django_exotel_ccm.services import add_note, schedule_follow_up
from django_exotel_ccm.services.selection import number_token
from tests.admin.pages import OTHER
from tests.api.conftest import API, Api, placed
from tests.api.test_notes import tomorrow
from tests.conftest import LAST_SPEED
from tests.factories import record_callback

WORK = "place_call add_callnote"
ALL_WORK = f"{WORK} add_followup view_callrecord view_callevent view_followup view_customer_number"
KEEPING = "view_donotcall add_donotcall delete_donotcall"
ROLES = {
    "nobody": "",
    "agent": WORK,
    "reads": f"{WORK} view_callrecord view_callevent view_followup",
    "numbers": ALL_WORK,
    "team": ALL_WORK,  # may see tickets, but the admin site lists those of another team alone for them
    "blind": ALL_WORK,  # may see no tickets
    "chief": f"{ALL_WORK} view_all_calls",  # may see no tickets, but all calls
    "report": "view_callrecord view_callevent view_followup view_agent view_exophone view_disposition",
    "keeper": f"{KEEPING} view_customer_number",
    "masked": KEEPING,
}
# <call> was placed by somebody else about <ticket>, and <theirs> is their call-back; <own> and <mine> are those of who
# asks. A status is followed by the count of the rows, and by "+" where the answer has whole numbers, "." where it has
# masked ones.
MATRIX = """
                                     nobody  agent   reads   numbers team    blind   chief   report  keeper  masked
GET calls/                           403     200:1.  200:2.  200:2+  200:1+  200:1+  200:2+  200:2.  403     403
GET calls/?customer_number=<number>  403     403     403     200:2+  200:1+  200:1+  200:2+  403     403     403
GET calls/?ticket=<ticket>           403     200:1.  200:2.  200:2+  200:0   200:0   200:2+  200:2.  403     403
GET calls/status/?reference=<call>   403     200:0   200:1   200:1   200:0   200:0   200:1   200:1   403     403
GET calls/status/?reference=<own>    403     200:1   200:1   200:1   200:1   200:1   200:1   200:1   403     403
GET calls/<call>/                    403     404     200.    200+    404     404     200+    200.    403     403
GET calls/<own>/                     403     200.    200.    200+    200+    200+    200+    200.    403     403
GET calls/<call>/events/             403     403     200:1.  200:1+  404     404     200:1+  200:1.  403     403
GET calls/<own>/events/              403     403     200:1.  200:1+  404     404     200:1+  200:1.  403     403
GET calls/<call>/notes/              403     404     200:1.  200:1+  404     404     200:1+  200:1.  403     403
GET calls/<own>/notes/               403     200:1.  200:1.  200:1+  200:1+  200:1+  200:1+  200:1.  403     403
GET follow-ups/                      403     200:1.  200:2.  200:2+  200:1+  200:1+  200:2+  200:2.  403     403
GET follow-ups/?ticket=<ticket>      403     200:1.  200:2.  200:2+  200:0   200:0   200:2+  200:2.  403     403
GET agents/                          403     200:1   200:1   200:1   200:1   200:1   200:1   200:2   403     403
GET exophones/                       403     200:1   200:1   200:1   200:1   200:1   200:1   200:1   403     403
GET dispositions/                    403     200:1   200:1   200:1   200:1   200:1   200:1   200:1   403     403
GET do-not-call/                     403     403     403     403     403     403     403     403     200:2+  200:2.
GET do-not-call/?number=<listed>     403     403     403     403     403     403     403     403     200:1+  403
POST calls/ one_of_two               403     409.    409.    409+    404     404     404     403     403     403
POST calls/ token                    403     201.    201.    201+    404     404     404     403     403     403
POST calls/ number                   403     403     403     201+    404     404     404     403     403     403
POST calls/ stranger                 403     403     403     403     404     404     404     403     403     403
POST calls/<call>/notes/ note        403     404     201.    201+    404     404     201+    403     403     403
POST calls/<own>/notes/ note         403     201.    201.    201+    201+    201+    201+    403     403     403
POST follow-ups/ call_back           403     201.    201.    201+    404     404     404     403     403     403
POST follow-ups/<theirs>/done/       403     404     404     404     404     404     404     403     403     403
POST follow-ups/<mine>/done/         403     200.    200.    200+    200+    200+    200+    403     403     403
POST do-not-call/ listed             403     403     403     403     403     403     403     403     200+    204
POST do-not-call/ unlisted           403     403     403     403     403     403     403     403     201+    204
DELETE do-not-call/ listed           403     403     403     403     403     403     403     403     204     403
DELETE do-not-call/<entry>/          403     403     403     403     403     403     403     403     204     204
"""
HEAD, *LINES = (line.rsplit(None, len(ROLES)) for line in MATRIX.strip().splitlines())
ACTIONS = [action for action, *_cells in LINES]
EVERY_METHOD = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}


class World:
    """A ticket with two numbers, and two rows of each kind about it: one of ``user``, whose role it is, and another."""

    number, listed = "+919000001001", "+919000001017"

    def __init__(self, host: Any, role: str) -> None:
        self.ticket = host.ticket(phone=self.number, other=OTHER)
        permissions = [f"exotel_ccm.{name}" for name in ROLES[role].split()]
        sees_tickets = ["helpdesk.view_ticket"] if role not in ("blind", "chief") else []
        self.user = host.user("asha", *sees_tickets, *permissions, last_name="north" if role == "team" else "")
        Disposition.objects.create(code="reached", label="Reached")
        _listed, entry = (DoNotCall.objects.create(number=one) for one in (self.listed, OTHER))
        self.names = {"number": self.number[3:], "listed": self.listed[3:], "ticket": f"ticket_{self.ticket.pk}"}
        self.names |= {"entry": str(entry.pk)}
        self._add_rows(host.user("owner", agent="+919000000109"), "call", "theirs")
        self._add_rows(self.user, "own", "mine")
        text = f"Ring {self.number} again"
        self.bodies: dict[str, dict[str, Any]] = {
            "one_of_two": {"ticket": self.names["ticket"]},
            "token": {"ticket": self.names["ticket"], "to": number_token(self.ticket, OTHER)},
            "number": {"ticket": self.names["ticket"], "to": OTHER},
            "stranger": {"ticket": self.names["ticket"], "to": "+919000001002"},
            "note": {"text": text},
            "call_back": {"ticket": self.names["ticket"], "due_at": tomorrow().isoformat(), "text": text},
            "listed": {"number": self.listed},
            "unlisted": {"number": "+919000001008"},
        }

    def _add_rows(self, user: Any, call_name: str, follow_up_name: str) -> None:
        call = placed(user, self.ticket, customer_number=self.number)
        record_callback(call, "terminal", status="completed", customer_number=self.number)
        add_note(call, author=user, text=f"Ring {self.number} again")
        text = f"Ring {self.number} again"
        row = schedule_follow_up(ticket=self.ticket, due_at=tomorrow(), assigned_to=user, text=text)
        self.names |= {call_name: str(call.reference), follow_up_name: str(row.pk)}

    def send(self, client: Client, action: str, *, method: str = "", **headers: str) -> Any:
        """Send an action of the matrix; ``method`` takes the place of its own."""
        own_method, path, body = f"{action} ".split(" ")[:3]
        for name, value in self.names.items():
            path = path.replace(f"<{name}>", value)
        text = json.dumps(self.bodies.get(body, {}))
        return client.generic(method or own_method, API + path, text, content_type="application/json", headers=headers)


def cell(response: Any) -> str:
    """What the matrix says of an answer."""
    text = response.content.decode()
    rows = response.json().get("results") if text else None
    numbers = ("+" if re.search("90000010[0-9]{2}", text) else "") + ("." if "••" in text else "")
    return f"{response.status_code}{'' if rows is None else f':{len(rows)}'}{numbers}"


def fingerprint() -> list[Any]:
    """What the API can change."""
    return [list(model.objects.order_by("pk").values()) for model in (CallRecord, CallNote, FollowUp, DoNotCall)]


@pytest.mark.books_differ(reason="the calls of the host are in the database alone")
@pytest.mark.parametrize("role", ROLES)
def test_each_role_at_each_address(host: Any, exotel: Any, role: str) -> None:
    exotel.speed = LAST_SPEED
    world, client = World(host, role), Client()
    client.force_login(world.user)
    found = {}

    for action in ACTIONS:  # those that change something come last
        found[action] = cell(world.send(client, action))
        exotel.wait_until_quiet(timeout=20)  # or the agent's phone would be busy with the call before

    assert found == {action: cells[HEAD.index(role)] for action, *cells in LINES}


def addresses() -> dict[str, set[str]]:
    """The methods of each address in the matrix."""
    found: dict[str, set[str]] = {}
    for action in ACTIONS:
        method, path = action.split(" ")[:2]
        found.setdefault(path.partition("?")[0], set()).add(method)
    return found


def test_every_address_and_method_is_in_the_matrix() -> None:
    """The last address is that of everything else."""
    there_are = {
        re.sub("<[^>]*>", "<>", str(one.pattern)): set(one.callback.cls.needs)
        for one in urls.urlpatterns[:-1]
        if one.name != "api-schema"
    }
    in_it: dict[str, set[str]] = {}
    for path, methods in addresses().items():
        in_it.setdefault(re.sub("<[^>]*>", "<>", path), set()).update(methods)

    assert in_it == there_are
    assert list(ROLES) == HEAD


@pytest.mark.parametrize("role", ["nobody", "numbers"])
def test_methods_that_are_not_in_the_matrix(host: Any, role: str) -> None:
    """HEAD is GET without a body. OPTIONS says to all who are logged in which methods there are, and no more."""
    world, client = World(host, role), Client()
    client.force_login(world.user)
    before = fingerprint()

    for path, methods in addresses().items():
        query = f"?reference={world.names['own']}" if path == "calls/status/" else ""
        for method in EVERY_METHOD - methods:
            response = world.send(client, f"GET {path}{query}", method=method)
            if method == "OPTIONS":
                assert response.status_code == 200
                assert set(response.json()) == {"name", "description", "renders", "parses"}
            elif method == "HEAD" and "GET" in methods:
                assert response.status_code == world.send(client, f"GET {path}{query}").status_code
                assert response.content == b""
            else:
                assert response.status_code == 405, (method, path)
    assert fingerprint() == before


# Who is nobody, or was somebody.


def leave(user: User) -> None:
    user.is_active = False
    user.save()


def lose_permissions(user: User) -> None:
    user.user_permissions.clear()


@pytest.mark.parametrize("was", ["never logged in", "inactive"])
def test_who_is_not_logged_in_is_told_so(host: Any, was: str) -> None:
    world, client = World(host, "numbers"), Client()
    if was == "inactive":
        client.force_login(world.user)
        leave(world.user)
    before = fingerprint()

    for action in ACTIONS:
        for method in EVERY_METHOD:
            response = world.send(client, action, method=method)
            assert response.status_code == 401, (method, action)
            assert response["WWW-Authenticate"]
            assert method == "HEAD" or response.json()["code"] == "not_authenticated"
    assert fingerprint() == before


@pytest.mark.parametrize("change", [leave, lose_permissions])
@pytest.mark.parametrize("has", ["session", "token"])
def test_who_may_do_nothing_any_more(host: Any, has: str, change: Any) -> None:
    """The class that reads the token looks at nothing but the token, as a host's may."""
    world, client = World(host, "numbers"), Client()
    if has == "session":
        client.force_login(world.user)
    change(world.user)
    before = fingerprint()
    theirs = {"DEFAULT_AUTHENTICATION_CLASSES": ["tests.api.test_hosts.TokenOfTheHost"]} if has == "token" else {}

    with override_settings(REST_FRAMEWORK=theirs):
        for action in ACTIONS:
            response = world.send(client, action, Authorization="Token asha")
            is_logged_in = has == "token" or change is lose_permissions
            assert response.status_code == (403 if is_logged_in else 401), action
    assert fingerprint() == before


def test_everything_is_refused_in_one_shape(host: Any) -> None:
    world, client = World(host, "nobody"), Client()
    client.force_login(world.user)

    for action in ACTIONS:
        answer = world.send(client, action).json()
        assert answer["code"] == "permission_denied"
        assert "exotel_ccm." in answer["advice"]


def test_answers_stay_out_of_shared_caches(host: Any) -> None:
    response = Api(host.user("asha", "exotel_ccm.place_call")).get("calls/")

    assert "private" in response["Cache-Control"]
    assert {"Cookie", "Authorization"} <= {one.strip() for one in response["Vary"].split(",")}
