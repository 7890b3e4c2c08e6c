"""Which requests the callback URL accepts: every kind of token, under every method, at every kind of host."""

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

#: The token of a request, the status of its POST, and the state of the call afterwards.
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
#: Refused before the token is verified, without a database query.
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


class CallbackAccess:
    """Two calls that Exotel accepted, and the tokens that a client may send to the first."""

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
        """Return the path of the callback URL with this token, below the mount path."""
        clear_script_prefix()
        token, path = self.token(kind), reverse("exotel_ccm:callback", args=["token"])
        return path.replace("token/", f"{token}/" if token else "")

    def stored(self) -> list[CallEvent]:
        """Return the stored callbacks."""
        return list(CallEvent.objects.filter(kind=EventKind.CALLBACK))

    def state(self) -> tuple[str, str]:
        """Return the states of the call and of the other one."""
        calls = (self.call, self.other)
        return tuple(CallRecord.objects.get(pk=call.pk).state for call in calls)  # type: ignore[return-value]


@pytest.fixture
def access(calls: Calls, settings: Any) -> Iterator[CallbackAccess]:
    yield CallbackAccess(calls, settings)
    clear_script_prefix()


def client_of(host: Host, settings: Any) -> Client:
    """Return a client of a site with the host's settings, that checks CSRF tokens too."""
    for name, value in host.settings.items():
        setattr(settings, name, [*settings.MIDDLEWARE, *value] if name == "MIDDLEWARE" else value)
    return Client(enforce_csrf_checks=True, headers=host.headers)


#: A host's settings change no decision: its two edges are enough there.
CASES = [(kind, "bare") for kind in TOKENS]
CASES += [(kind, host) for kind in ("a wrong signature", "its own") for host in HOSTS if host != "bare"]


@pytest.mark.parametrize(("kind", "host"), CASES)
def test_access(kind: str, host: str, access: CallbackAccess, settings: Any, django_assert_num_queries: Any) -> None:
    client, path, (status, state) = client_of(HOSTS[host], settings), access.path(kind), TOKENS[kind]
    if kind == "its own, once more":
        client.post(path, body_of(), content_type=JSON)
    before, was = len(access.stored()), access.state()

    with django_assert_num_queries(0):
        answers = [client.generic(method, path, body_of(), JSON) for method in OTHER_METHODS]
    assert {answer.status_code for answer in answers} == {404 if kind == "none" else 405}
    assert (len(access.stored()), access.state()) == (before, was)

    if status != 200:
        with django_assert_num_queries(0):
            assert client.post(path, body_of(), content_type=JSON).status_code == status
    else:
        assert client.post(path, body_of(), content_type=JSON).json() == {"status": "stored"}
    assert len(access.stored()) == int(status == 200)
    assert access.state() == (state, State.ACTIVE)


def test_other_calls_token_stores_for_other_call(access: CallbackAccess) -> None:
    Client().post(access.path("another call's"), body_of(sid=SID), content_type=JSON)

    (event,) = access.stored()
    assert (event.call, event.reason) == (access.other, EventReason.ANOTHER_CALL)


@pytest.mark.parametrize("kind", ["none", "its own"])
def test_plain_http_is_redirected_where_the_host_requires_tls(
    kind: str, access: CallbackAccess, settings: Any, django_assert_num_queries: Any
) -> None:
    client, path = client_of(Host(TLS), settings), access.path(kind)

    with django_assert_num_queries(0):
        answers = [client.generic(method, path, body_of(), JSON) for method in ["POST", *OTHER_METHODS]]

    assert {(answer.status_code, answer["Location"]) for answer in answers} == {(301, f"https://testserver{path}")}
    assert (access.stored(), access.state()) == ([], (State.ACTIVE, State.ACTIVE))


@pytest.mark.parametrize(("append_slash", "status"), [(True, 301), (False, 404)])
def test_url_without_trailing_slash(
    status: int, access: CallbackAccess, settings: Any, django_assert_num_queries: Any, *, append_slash: bool
) -> None:
    client, path = client_of(Host({"APPEND_SLASH": append_slash}), settings), access.path("its own").rstrip("/")

    with django_assert_num_queries(0):
        answers = [client.generic(method, path, body_of(), JSON) for method in ["POST", *OTHER_METHODS]]

    assert {answer.status_code for answer in answers} == {status}
    assert (access.stored(), access.state()) == ([], (State.ACTIVE, State.ACTIVE))
