"""Who is let in: every kind of token, under every method, at every kind of host."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import clear_script_prefix, reverse

from django_exotel_ccm import callback_urls
from django_exotel_ccm.choices import EventKind, EventReason, State
from django_exotel_ccm.models import CallEvent, CallRecord
from tests.factories import SID, Calls, body_of

JSON = "application/json"
WEEK = datetime.timedelta(days=7)
NEW_KEY, OLD_KEY = "a key of today", "a key of before"

#: What somebody presents, what a POST of it is answered, and what becomes of the call.
TOKENS: dict[str, tuple[int, State]] = {
    "none": (404, State.ACTIVE),
    "the bare reference": (403, State.ACTIVE),
    "a wrong signature": (403, State.ACTIVE),
    "an account's": (403, State.ACTIVE),
    "another call's": (200, State.ACTIVE),
    "its own": (200, State.ENDED),
    "its own, once more": (200, State.ENDED),
    "the other event's": (200, State.ENDED),  # the event that the body names decides
    "almost seven days old": (200, State.ENDED),
    "expired": (403, State.ACTIVE),
    "signed with a fallback key": (200, State.ENDED),
    "signed with a key of before": (403, State.ACTIVE),
}
#: These are refused before anybody looks at the token, and with nothing asked of the database.
OTHER_METHODS = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]


@dataclass(frozen=True)
class Host:
    """Settings of a host, and what its proxy adds to a request."""

    settings: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


TLS = {
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
    "SECURE_SSL_REDIRECT": True,
    "SECURE_HSTS_SECONDS": 9,
}
FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7", "x-forwarded-host": "crm.example.com"}
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
HOSTS = {
    "bare": Host(),
    "behind a TLS proxy": Host(TLS, FORWARDED),
    "under a mount path": Host({"FORCE_SCRIPT_NAME": "/crm"}),
    "behind a login": Host({"MIDDLEWARE": [LOGIN]}),
    "all at once": Host({**TLS, "FORCE_SCRIPT_NAME": "/crm", "APPEND_SLASH": False, "MIDDLEWARE": [LOGIN]}, FORWARDED),
}  # fmt: skip


class Door:
    """A call that Exotel accepted, another one, and the tokens that somebody may have."""

    def __init__(self, calls: Calls, settings: Any) -> None:
        self.settings = settings
        self.other = calls.accepted("b" * 32)
        self.call = calls.accepted()
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW_KEY, []

    def token(self, kind: str) -> str:
        """Return a token of :data:`TOKENS`."""
        reference, now = self.call.reference, datetime.datetime.now(datetime.UTC)
        token = callback_urls.sign(reference, "terminal")
        name, moment, signature = token.split(".")
        made: dict[str, Callable[[], str]] = {
            "none": str,
            "the bare reference": lambda: name,
            "a wrong signature": lambda: f"{name}.{moment}.{signature[::-1]}",
            "an account's": lambda: callback_urls.sign_account("default"),
            "another call's": lambda: callback_urls.sign(self.other.reference, "terminal"),
            "the other event's": lambda: callback_urls.sign(reference, "answered"),
            "almost seven days old": lambda: self._signed_at(now - WEEK + datetime.timedelta(hours=1)),
            "expired": lambda: self._signed_at(now - WEEK - datetime.timedelta(seconds=1)),
            "signed with a fallback key": lambda: self._signed_with_the_old_key([OLD_KEY]),
            "signed with a key of before": lambda: self._signed_with_the_old_key([]),
        }
        return made.get(kind, lambda: token)()

    def _signed_at(self, moment: datetime.datetime) -> str:
        with time_machine.travel(moment):
            return callback_urls.sign(self.call.reference, "terminal")

    def _signed_with_the_old_key(self, fallbacks: list[str]) -> str:
        self.settings.SECRET_KEY = OLD_KEY
        token = callback_urls.sign(self.call.reference, "terminal")
        self.settings.SECRET_KEY, self.settings.SECRET_KEY_FALLBACKS = NEW_KEY, fallbacks
        return token

    def path(self, kind: str) -> str:
        """Return the path to which Exotel would send what is presented, below the mount path."""
        clear_script_prefix()
        token, path = self.token(kind), reverse("exotel_ccm:callback", args=["token"])
        return path.replace("token/", f"{token}/" if token else "")

    def kept(self) -> list[CallEvent]:
        """What came in."""
        return list(CallEvent.objects.filter(kind=EventKind.CALLBACK))

    def state(self) -> tuple[str, str]:
        """Return the states of the call and of the other one."""
        calls = (self.call, self.other)
        return tuple(CallRecord.objects.get(pk=call.pk).state for call in calls)  # type: ignore[return-value]


@pytest.fixture
def door(calls: Calls, settings: Any) -> Iterator[Door]:
    yield Door(calls, settings)
    clear_script_prefix()


def client_of(host: Host, settings: Any) -> Client:
    """Return a client of a site with the host's settings, that checks CSRF tokens too."""
    for name, value in host.settings.items():
        setattr(settings, name, [*settings.MIDDLEWARE, *value] if name == "MIDDLEWARE" else value)
    return Client(enforce_csrf_checks=True, headers=host.headers)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("kind", TOKENS)
def test_who_is_let_in(kind: str, host: str, door: Door, settings: Any, django_assert_num_queries: Any) -> None:
    client, path, (status, state) = client_of(HOSTS[host], settings), door.path(kind), TOKENS[kind]
    if kind == "its own, once more":
        client.post(path, body_of(), content_type=JSON)
    before, was = len(door.kept()), door.state()

    with django_assert_num_queries(0):
        answers = [client.generic(method, path, body_of(), JSON) for method in OTHER_METHODS]
    assert {answer.status_code for answer in answers} == {404 if kind == "none" else 405}
    assert (len(door.kept()), door.state()) == (before, was)

    if status != 200:
        with django_assert_num_queries(0):
            assert client.post(path, body_of(), content_type=JSON).status_code == status
    else:
        assert client.post(path, body_of(), content_type=JSON).json() == {"status": "stored"}
    assert len(door.kept()) == int(status == 200)
    assert door.state() == (state, State.ACTIVE)


def test_what_another_call_s_token_brings_is_kept_as_another_call_s(door: Door) -> None:
    Client().post(door.path("another call's"), body_of(sid=SID), content_type=JSON)

    (event,) = door.kept()
    assert (event.call, event.reason) == (door.other, EventReason.ANOTHER_CALL)


@pytest.mark.parametrize("kind", TOKENS)
def test_nobody_is_let_in_without_tls_where_the_host_wants_it(
    kind: str, door: Door, settings: Any, django_assert_num_queries: Any
) -> None:
    client, path = client_of(Host(TLS), settings), door.path(kind)

    with django_assert_num_queries(0):
        answers = [client.generic(method, path, body_of(), JSON) for method in ["POST", *OTHER_METHODS]]

    assert {(answer.status_code, answer["Location"]) for answer in answers} == {(301, f"https://testserver{path}")}
    assert (door.kept(), door.state()) == ([], (State.ACTIVE, State.ACTIVE))


@pytest.mark.parametrize(("append_slash", "status"), [(True, 301), (False, 404)])
@pytest.mark.parametrize("kind", [kind for kind in TOKENS if kind != "none"])
def test_nobody_is_let_in_without_the_slash_at_the_end(
    kind: str, status: int, door: Door, settings: Any, django_assert_num_queries: Any, *, append_slash: bool
) -> None:
    client, path = client_of(Host({"APPEND_SLASH": append_slash}), settings), door.path(kind).rstrip("/")

    with django_assert_num_queries(0):
        answers = [client.generic(method, path, body_of(), JSON) for method in ["POST", *OTHER_METHODS]]

    assert {answer.status_code for answer in answers} == {status}
    assert (door.kept(), door.state()) == ([], (State.ACTIVE, State.ACTIVE))
