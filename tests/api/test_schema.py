"""The OpenAPI schema: valid, whole, and each example in it is what the real thing takes and answers."""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, override_settings
from drf_spectacular.drainage import GENERATOR_STATS
from openapi_schema_validator import OAS30ReadValidator
from openapi_spec_validator import validate
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from django_exotel_ccm.api import schema, schema_view, urls
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallNote, CallRecord, Disposition, DoNotCall
from django_exotel_ccm.services import schedule_follow_up
from tests.api.conftest import API, Api, placed
from tests.api.test_notes import tomorrow
from tests.conftest import LAST_SPEED
from tests.factories import record_callback

NUMBER = "+919000001001"
METHODS = ("get", "post", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The schema, as everybody gets it."""
    return dict(Client().get(f"{API}schema/").json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


@pytest.fixture
def everything(host: Any, exotel: Any) -> dict[str, Any]:
    """A host with the ticket of the examples, a row of every kind, and a user who may do everything of ours."""
    ticket = host.ticket(pk=1, phone=NUMBER)
    user = host.user("asha", "helpdesk.view_ticket", *(str(one) for one in Permission if one != Permission.FOR_OTHERS))
    Disposition.objects.create(code="reached", label="Reached")
    call = placed(user, ticket, state="ended", outcome="completed", talk_time=42)
    record_callback(call, "terminal", status="completed", talk_time=42)
    follow_up = schedule_follow_up(ticket=ticket, due_at=tomorrow(), assigned_to=user, call=call, text="Again")
    CallNote.objects.create(call=call, author=user, text="x", created_at=call.created_at)
    entry = DoNotCall.objects.create(number="+919000001017", reason="Asked for it")
    return {"client": Api(user), "reference": call.reference, "done": follow_up.pk, "do-not-call": entry.pk}


def address(path: str, everything: dict[str, Any], **changed: Any) -> str:
    """The address of an operation, filled with the rows that there are."""
    key = everything["done"] if "follow-ups" in path else everything["do-not-call"]
    values = {"reference": everything["reference"], "key": key, **changed}
    found = path.strip("/").format(**values) + "/"
    return f"{found}?reference={values['reference']}" if path == "/calls/status/" else found


# The document.


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)

    assert document["openapi"].startswith("3.0")
    assert document["servers"] == [{"url": "http://testserver/exotel/api"}]


def test_nothing_in_it_is_guessed(document: dict[str, Any]) -> None:
    schema._document.cache_clear()

    Client().get(f"{API}schema/")

    assert (dict(GENERATOR_STATS._warn_cache), dict(GENERATOR_STATS._error_cache)) == ({}, {})


def test_every_address_and_method_is_in_it(document: dict[str, Any]) -> None:
    views = {f"/{one.pattern}": one.callback.cls for one in urls.urlpatterns[:-1] if one.name != "api-schema"}
    there_are = {
        (re.sub("<.*?:?([a-z]+)>", r"{\1}", path), method)
        for path, view in views.items()
        for method in METHODS
        if hasattr(view, method)
    }

    assert {(path, method) for method, path, _operation in operations(document)} == there_are


def test_every_operation_says_how_it_can_fail(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert {"401", "403", "429"} <= set(operation["responses"]), path
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= set(operation["responses"]), path
        for status, answer in operation["responses"].items():
            assert answer["description"], (path, status)
        assert operation["description"], (method, path)
    assert "409" in document["paths"]["/calls/"]["post"]["responses"]


def test_fields_are_described_with_units(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]

    assert "Seconds" in components["Call"]["properties"]["talk_time"]["description"]
    assert "Seconds" in components["PlaceCall"]["properties"]["max_time_limit"]["description"]
    assert not [name for name, one in components["Call"]["properties"].items() if not one.get("description")]


def test_settings_of_the_hosts_own_schema_change_nothing(document: dict[str, Any]) -> None:
    schema._document.cache_clear()
    strange = {"TITLE": "Ours", "CAMELIZE_NAMES": True, "COMPONENT_SPLIT_REQUEST": True, "SCHEMA_PATH_PREFIX": "/x"}

    with override_settings(SPECTACULAR_SETTINGS=strange):
        assert Client().get(f"{API}schema/").json() == document


def test_without_drf_spectacular(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_view, "is_installed", lambda: False)

    response = Client().get(f"{API}schema/")

    assert response.status_code == 404
    assert 'pip install "django-exotel-ccm[openapi]"' in response.json()["advice"]


def test_the_api_does_not_import_the_extras() -> None:
    from tests.subprocesses import python

    statement = (
        "import django; from django.conf import settings; from tests import settings as ours;"
        "settings.configure(**{name: value for name, value in vars(ours).items() if name.isupper()}); django.setup();"
        "import django_exotel_ccm.urls, sys;"
        "print([name for name in ('django_filters', 'drf_spectacular') if name in sys.modules])"
    )
    assert python("-c", statement).strip() == "[]"


# Each example.


@pytest.mark.books_differ(reason="a call of the host is in the database alone")
def test_each_body_is_taken(document: dict[str, Any], everything: dict[str, Any], exotel: Any) -> None:
    sent, exotel.speed = 0, LAST_SPEED
    client: Api = everything["client"]

    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for title, example in content.get("examples", {}).items():
            response = client.send(method.upper(), address(path, everything), json.dumps(example["value"]))
            assert response.status_code in (200, 201, 204), (path, title, response.content)
            exotel.wait_until_quiet(timeout=20)  # or the agent's phone would be busy with the next
            if response.content:
                assert_described(document, operation, response)
            sent += 1

    assert sent == sum(map(len, schema.BODIES.values())) - 1  # no body has no example


@pytest.mark.books_differ(reason="a call of the host is in the database alone")
def test_each_list_is_as_described(document: dict[str, Any], everything: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if method == "get":
            response = everything["client"].get(address(path, everything))
            assert response.status_code == 200
            assert response.json().get("results", True), path  # there is something to compare
            assert_described(document, operation, response)


def assert_described(document: dict[str, Any], operation: dict[str, Any], response: Any) -> None:
    """The body fits its schema, and has no member that the schema does not name."""
    described = operation["responses"][str(response.status_code)]["content"]["application/json"]["schema"]
    whole = {**described, "components": document["components"]}
    errors = [f"{list(one.path)}: {one.message}" for one in OAS30ReadValidator(whole).iter_errors(response.json())]
    assert errors == []
    name = described["$ref"].rpartition("/")[2]
    rows = response.json().get("results", [response.json()])
    if name.startswith("Paginated"):
        name = name.removeprefix("Paginated").removesuffix("List")
    if name != "CallStatuses":
        assert all(set(row) <= set(document["components"]["schemas"][name]["properties"]) for row in rows)


class Failing:
    """Makes each operation fail with a status, as its example says."""

    def __init__(self, everything: dict[str, Any], stranger: Api) -> None:
        self.everything = everything
        self.client: Api = everything["client"]
        self.stranger = stranger

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        text = json.dumps({} if body is None else body)
        return self.client.client.generic(method, API + path, text, content_type="application/json", headers=headers)

    def fail(self, status: int, method: str, path: str, operation: dict[str, Any]) -> Any:
        method, there = method.upper(), address(path, self.everything)
        senders: dict[int, Callable[[], Any]] = {
            400: lambda: self._misspelt(method, there),
            401: lambda: Client().generic(method, API + there),
            403: lambda: self.stranger.send(method, there, "{}"),
            404: lambda: self._nowhere(method, path, operation["operationId"]),
            406: lambda: self.send(method, there, Accept="application/xml"),
            409: lambda: self._refused(there),
            413: lambda: self.send(method, there, {"text": "x" * 1_000_000}),
            415: lambda: self.client.send(method, there, "x", "text/plain"),
            429: lambda: self._too_often(method, there),
        }
        return senders[status]()

    def _misspelt(self, method: str, there: str) -> Any:
        if method != "GET":
            return self.send(method, there, {"tikcet": "ticket_1"})
        return self.send(method, f"{there}{'&' if '?' in there else '?'}colour=red")

    def _nowhere(self, method: str, path: str, name: str) -> Any:
        bodies = {
            "place_call": {"ticket": "ticket_999999"},
            "schedule_follow_up": {"ticket": "ticket_999999", "due_at": "2030-01-15T10:00:00Z"},
            "remove_do_not_call": {"number": "+919876543219"},
        }
        nothing = address(path, self.everything, reference=uuid.UUID(int=0), key=999999)
        return self.send(method, nothing, bodies.get(name))

    def _refused(self, there: str) -> Any:
        DoNotCall.objects.create(number=NUMBER)
        return self.send("POST", there, {"ticket": "ticket_1"})

    def _too_often(self, method: str, path: str) -> Any:
        cache.clear()
        rates = {
            "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
            "DEFAULT_THROTTLE_RATES": {"user": "1/min"},
        }
        with override_settings(REST_FRAMEWORK=rates), pytest.MonkeyPatch.context() as patch:
            patch.setattr(SimpleRateThrottle, "THROTTLE_RATES", api_settings.DEFAULT_THROTTLE_RATES)
            self.client.send("OPTIONS", path)
            return self.client.send(method, path)


@pytest.mark.books_differ(reason="a call of the host is in the database alone")
def test_each_error_is_what_is_answered(
    document: dict[str, Any], everything: dict[str, Any], api: Callable[..., Api], settings: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": ["django_exotel_ccm.policies.DoNotCall"]}
    failing = Failing(everything, api("stranger"))
    compared = 0
    pairs = itertools.chain.from_iterable(
        (((method, path, operation), status) for status in operation["responses"])
        for method, path, operation in operations(document)
    )

    for (method, path, operation), status in pairs:
        if int(status) < 400:
            continue
        [example] = operation["responses"][status]["content"]["application/json"]["examples"].values()
        response = failing.fail(int(status), method, path, operation)
        assert response.status_code == int(status), (method, path, response.content)
        assert same(response.json()) == same(example["value"]), (method, path)
        assert_described(document, operation, response)
        compared += 1

    assert compared > 80
    assert CallRecord.objects.filter(state="refused").count() == 1


def same(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what is different each time: the call, and the seconds to wait."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<reference>", json.dumps(answer))
    if answer["code"] == "throttled":
        text = re.sub(r"\d+", "<seconds>", text)
    return dict(json.loads(text.replace("<seconds>", "0") if answer["code"] == "throttled" else text))
