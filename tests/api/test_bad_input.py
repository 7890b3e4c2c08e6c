"""What no client should send: each is refused in words, in one shape, and nothing rings."""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission
from django.core.signals import got_request_exception
from django.test import Client, modify_settings, override_settings

from django_exotel_ccm.api import calls
from django_exotel_ccm.models import CallRecord, Disposition, DoNotCall, ExoPhone
from django_exotel_ccm.services import add_note, schedule_follow_up
from tests.admin.pages import AGENT_WORK
from tests.api.conftest import API, Api, placed
from tests.api.test_notes import tomorrow
from tests.factories import record_callback


def assert_refused(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    answer: dict[str, Any] = response.json()
    assert answer["code"] == code
    assert answer["advice"].strip()
    assert not CallRecord.objects.exists()
    return answer


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tikcet": "ticket_1"}, "tikcet"),
        ({"custom_field": "ticket_9"}, "custom_field"),
        ({"placed_by": 1}, "placed_by"),
        ({"ticket": None}, "ticket"),
        ({"ticket": ""}, "ticket"),
        ({"ticket": ["ticket_1"]}, "ticket"),
        ({"ticket": {"a": 1}}, "ticket"),
        ({"ticket": "ticket_\x00"}, "ticket"),
        ({"ticket": "ticket_\ud800"}, "ticket"),
        ({"ticket": "t" * 129}, "ticket"),
        ({"agent": "Asha"}, "agent"),
        ({"agent": True}, "agent"),
        ({"agent": "7"}, "agent"),
        ({"ticket": 7}, "ticket"),
        ({"recording": "true"}, "recording"),
        ({"recording": 1}, "recording"),
        ({"agent": -1}, "agent"),
        ({"agent": 10**4000}, "agent"),
        ({"agent": [1]}, "agent"),
        ({"exophone": 1.5}, "exophone"),
        ({"recording": "perhaps"}, "recording"),
        ({"recording_channels": "three"}, "recording_channels"),
        ({"wait_audio_url": "file:///etc/passwd"}, "wait_audio_url"),
        ({"wait_audio_url": "ftp://example.com/wait.wav"}, "wait_audio_url"),
        ({"wait_audio_url": "//example.com/wait.wav"}, "wait_audio_url"),
        ({"wait_audio_url": 7}, "wait_audio_url"),
        ({"max_time_limit": 0}, "max_time_limit"),
        ({"attempt_time_out": 10**9}, "attempt_time_out"),
        ({"to": 5.5}, "to"),
        ({"to": "1" * 65}, "to"),
        ({"override_reason": "x" * 201}, "override_reason"),
        ({"\x00\ud800": 1}, ""),
    ],
)
def test_wrong_fields(asha: Api, host: Any, change: dict[str, Any], field: str) -> None:
    body = {"ticket": f"ticket_{host.ticket().pk}", **change}

    answer = assert_refused(asha.send("POST", "calls/", json.dumps(body)), 400, "invalid")

    assert list(answer["fields"]) == [field]
    assert all(isinstance(one, str) for one in answer["fields"][field])


def test_an_error_has_a_bounded_length(asha: Api) -> None:
    many = {f"field_{number}": 1 for number in range(10_000)}
    long = {"ticket": "ticket_1", "recording_channels": "x" * 200_000}
    answers = [
        asha.send("POST", "calls/", json.dumps(many)),
        asha.send("POST", "calls/", json.dumps(long)),
        asha.get(f"calls/?state={'x' * 50_000}"),
        asha.get("calls/?" + "&".join(f"field_{number}=1" for number in range(900))),
    ]

    for one in answers:
        assert_refused(one, 400, "invalid")
        assert len(one.content) < 12_000
    assert list(answers[0].json()["fields"]) == [f"field_{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid"),
        (b"{", 400, "parse_error"),
        (b"\xff\xfe\x00", 400, "parse_error"),
        (b'{"ticket": "\xff"}', 400, "parse_error"),
        (b'{"agent": NaN}', 400, "parse_error"),
        (b'{"ticket": "ticket_1", "ticket": "ticket_2"}', 400, "parse_error"),
        (b'{"agent": ' + b"9" * 5000 + b"}", 400, "parse_error"),
        (b'{"agent": 1e999}', 400, "invalid"),
        (b"[" * 100_000 + b"]" * 100_000, 400, "parse_error"),
        (b'{"ticket":' * 20_000 + b"1" + b"}" * 20_000, 400, "parse_error"),
        (b"[]", 400, "invalid"),
        (b'"ticket_1"', 400, "invalid"),
        (b"null", 400, "invalid"),
        (b'{"to": "' + b"x" * 1_000_000 + b'"}', 413, "too_large"),
    ],
)
def test_bodies_that_are_none(asha: Api, body: bytes, status: int, code: str) -> None:
    asha.user.user_permissions.add(*Permission.objects.filter(codename="add_callnote"))

    for path in ("calls/", "follow-ups/"):
        assert_refused(asha.send("POST", path, body), status, code)


@pytest.mark.parametrize("length", [str(256 * 1024 + 1), "9" * 40])
def test_a_body_is_refused_by_the_length_that_is_said(asha: Api, length: str) -> None:
    """Before it is sent, where the client waits for that."""
    response = asha.client.generic("POST", f"{API}calls/", b"{}", "application/json", CONTENT_LENGTH=length)

    assert_refused(response, 413, "too_large")


def test_no_more_of_a_body_is_read_whatever_length_is_said(asha: Api) -> None:
    body = b'{"to": "' + b"x" * 300_000 + b'"}'
    response = asha.client.generic("POST", f"{API}calls/", body, "application/json", CONTENT_LENGTH=f"+{len(body)}")

    assert_refused(response, 413, "too_large")


class BrokenOff(io.BytesIO):
    """A connection that the client closes while it sends."""

    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError


def test_a_body_that_does_not_arrive_whole(asha: Api) -> None:
    broken_off = {"wsgi.input": BrokenOff(), "CONTENT_LENGTH": "20"}

    response = asha.client.generic("POST", f"{API}calls/", b"{", "application/json", **broken_off)

    assert_refused(response, 400, "parse_error")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"]
)
def test_other_kinds_of_body(asha: Api, kind: str) -> None:
    answer = assert_refused(asha.send("POST", "calls/", b"ticket=ticket_1", kind), 415, "unsupported_media_type")
    assert "Content-Type: application/json" in answer["advice"]


def test_a_large_form_is_not_read(asha: Api) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(asha.user)
    strict.cookies["csrftoken"] = "a" * 32  # then Django looks for its pair in the form

    response = strict.generic("POST", f"{API}calls/", b"a=" + b"x" * 3_000_000, "application/x-www-form-urlencoded")

    assert_refused(response, 415, "unsupported_media_type")


def test_a_session_needs_the_csrf_token(asha: Api) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(asha.user)

    assert_refused(strict.post(f"{API}calls/", {}, content_type="application/json"), 403, "permission_denied")


def test_wrong_credentials(host: Any) -> None:
    token = base64.b64encode(b"asha:wrong").decode()

    response = Client().get(f"{API}calls/", headers={"Authorization": f"Basic {token}"})

    assert_refused(response, 401, "authentication_failed")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "FOO"])
def test_methods_that_there_are_not(asha: Api, method: str) -> None:
    response = asha.send(method, "calls/")
    assert "The header Allow" in assert_refused(response, 405, "method_not_allowed")["advice"]
    assert {"GET", "POST"} <= set(response["Allow"].split(", "))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing/",
        "nothing/?a=1",
        "calls/7/",
        "calls/not-a-uuid/events/",
        "calls",
        "follow-ups/x/done/",
        f"do-not-call/{'9' * 5000}/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_addresses_where_nothing_is(asha: Api, path: str, method: str) -> None:
    assert_refused(asha.send(method, path), 404, "not_found")


def test_accept_without_pages_for_people(asha: Api) -> None:
    with modify_settings(INSTALLED_APPS={"remove": "rest_framework"}):
        assert_refused(asha.get("calls/", Accept="text/html"), 406, "not_acceptable")
        browser = asha.get("calls/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert (browser.status_code, browser["Content-Type"]) == (200, "application/json")


def test_accept_with_pages_for_people(asha: Api) -> None:
    page = asha.get("calls/", Accept="text/html")
    assert (page.status_code, page["Content-Type"].partition(";")[0]) == (200, "text/html")

    only_json = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}
    with override_settings(REST_FRAMEWORK=only_json):
        assert_refused(asha.get("calls/", Accept="text/html"), 406, "not_acceptable")


def test_kinds_that_there_are_not(asha: Api) -> None:
    refused = assert_refused(asha.get("calls/", Accept="application/xml"), 406, "not_acceptable")
    assert "Accept: application/json" in refused["advice"]
    assert_refused(asha.get("calls/?format=xml"), 404, "not_found")


def cursor(**tokens: str) -> str:
    return base64.b64encode(urlencode(tokens).encode()).decode()


@pytest.mark.parametrize(
    "tokens",
    [
        {"p": "7"},
        {"p": "2026-03-01 12:00:00+00:00"},
        {"p": "callrecord"},
        {"p": "callrecord 0 1"},
        {"p": "callrecord 0 1 7"},
        {"p": "callrecord 0 1 yesterday"},
        {"p": "callrecord 0 1 \0"},
        {"p": "callrecord 0 1 2026-03-01 12:00:00"},
        {"p": "callrecord 0 1 1026-03-01 12:00:00+00:00"},
        {"p": "callrecord 0 1 9999-12-31T23:59:59-14:00"},
        {"p": "callrecord 0 1 2026-02-30 12:00:00+00:00", "r": "1"},
        {"p": "callrecord 0 x 2026-03-01 12:00:00+00:00"},
        {"p": f"callrecord 0 {'7' * 30} 2026-03-01 12:00:00+00:00"},
        {"p": "callrecord 1 1 2026-03-01 12:00:00+00:00"},
        {"p": "callrecord -1 1 2026-03-01 12:00:00+00:00"},
        {"o": "7"},
        {"o": "x"},
        {"r": "x"},
        {"\N{BELL}": "1"},
    ],
)
def test_cursors_from_elsewhere(asha: Api, tokens: dict[str, str]) -> None:
    assert_refused(asha.get(f"calls/?cursor={cursor(**tokens)}"), 400, "invalid_cursor")


def test_the_cursors_above_would_be_right_with_a_moment(asha: Api) -> None:
    call = placed(asha.user)

    answer = asha.get(f"calls/?cursor={cursor(p='callrecord 0 1 2099-03-01 12:00:00+00:00')}").json()

    assert [one["reference"] for one in answer["results"]] == [str(call.reference)]


@pytest.mark.parametrize("key", ["7" * 30, "-1" * 30, "x", ""])
def test_cursors_of_a_list_by_number(asha: Api, key: str) -> None:
    assert asha.get(f"agents/?cursor={cursor(p='agent 0 0 0')}").status_code == 200
    assert_refused(asha.get(f"agents/?cursor={cursor(p=f'agent 0 0 {key}')}"), 400, "invalid_cursor")


LISTS = [
    "calls/",
    "follow-ups/",
    "do-not-call/",
    "agents/",
    "exophones/",
    "dispositions/",
    "<call>events/",
    "<call>notes/",
]


def test_the_cursor_of_another_list(host: Any) -> None:
    """A moment or a number is in the cursors of several lists: what follows it is nothing that was asked for."""
    every = ("view_agent", "view_callevent", "view_donotcall")
    chief = Api(host.user("chief", *AGENT_WORK, *(f"exotel_ccm.{name}" for name in every)))
    for number in range(2):
        call = placed(chief.user)
        for _time in range(2):
            record_callback(call, "answered", customer_number=f"+9190000010{number}0")
            add_note(call, author=chief.user, text="x")
        schedule_follow_up(ticket=host.ticket(), due_at=tomorrow(), assigned_to=chief.user)
        DoNotCall.objects.create(number=f"+91900000100{number}")
        host.agent(f"Agent {number}", f"sip:a{number}")
        ExoPhone.objects.create(number=f"+91800000070{number + 1}")
        Disposition.objects.create(code=f"d{number}", label="x", position=number)
    paths = [path.replace("<call>", f"calls/{call.reference}/") for path in LISTS]
    queries = [chief.get(f"{path}?page_size=1").json()["next"].partition("?")[2] for path in paths]

    for row, path in enumerate(paths):
        statuses = [chief.get(f"{path}?{query}").status_code for query in queries]
        assert statuses == [200 if row == column else 400 for column in range(len(paths))]


@pytest.mark.parametrize("text", ["%00", "%FF", "A" * 5000, "=", "%F0%9F%98%80"])
def test_cursors_that_are_none(asha: Api, text: str) -> None:
    assert asha.get(f"calls/?cursor={text}").status_code == 400


def test_parameters_where_there_are_none(asha: Api) -> None:
    call = placed(asha.user)

    response = asha.get(f"calls/{call.reference}/?fields=state")

    assert (response.status_code, list(response.json()["fields"])) == (400, ["fields"])


def test_more_parameters_than_django_reads(asha: Api) -> None:
    assert_refused(asha.get(f"calls/?{'a=1&' * 1001}"), 400, "bad_request")


def test_a_bug_is_said_in_the_same_shape(
    asha: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the host's monitoring hears of it, by the log or by Django's signal."""
    heard: list[Any] = []

    def hear(sender: Any, **of: Any) -> None:
        heard.append(sys.exc_info()[1])

    got_request_exception.connect(hear)

    def fail(*arguments: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(calls, "calls_as_shown", fail)
    asha.client.raise_request_exception = False

    answer = assert_refused(asha.get("calls/"), 500, "server_error")

    got_request_exception.disconnect(hear)
    assert [str(one) for one in heard] == ["secret detail"]
    assert "secret" not in json.dumps(answer)
    assert "secret detail" in caplog.text
