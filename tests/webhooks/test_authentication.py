"""Only a signed URL lets a callback in; it is asked before the database and before the body."""

from __future__ import annotations

import datetime
import io
import uuid
from typing import Any

import pytest
import time_machine
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from django.urls import reverse

from django_exotel_ccm import callback_urls
from django_exotel_ccm.choices import Authentication, EventKind, EventReason, State
from django_exotel_ccm.models import CallEvent
from django_exotel_ccm.webhooks.views import CallbackView
from tests.factories import SID, Calls, body_of, raw_of, url_of

WEEK = datetime.timedelta(days=7, seconds=1)


class Unreadable(io.BytesIO):
    """A body that must not be touched."""

    def read(self, *size: Any) -> bytes:
        raise AssertionError("The body was read.")

    readline = read


def forged_tokens() -> dict[str, str]:
    token, other = (callback_urls.sign(uuid.uuid4(), "terminal") for _ in range(2))
    with time_machine.travel(datetime.datetime.now(datetime.UTC) - WEEK):
        expired = callback_urls.sign(uuid.uuid4(), "terminal")
    reference, signed_at, signature = token.split(".")
    return {
        "not signed": reference,
        "without its time": f"{reference}.{signature}",
        "wrongly signed": f"{reference}.{signed_at}.{signature[::-1]}",
        "signed for another call": f"{reference}.{other.partition('.')[2]}",
        "expired": expired,
        "a text": "é\udcff%00..",
        "long": "a" * 50_000,
    }


@pytest.mark.parametrize("kind", forged_tokens())
def test_a_forged_url_is_refused_without_a_query_and_with_the_body_unread(
    kind: str, calls: Calls, django_assert_num_queries: Any, caplog: pytest.LogCaptureFixture
) -> None:
    request: WSGIRequest = RequestFactory().post("/", b"x" * 100, content_type="application/json")
    request._stream = Unreadable()
    token = forged_tokens()[kind]

    with django_assert_num_queries(0):
        response = CallbackView.as_view()(request, token=token)

    assert response.status_code == 403
    assert not CallEvent.objects.exists()
    assert "not signed by us" in caplog.text
    assert token not in caplog.text


def test_a_forged_url_asks_no_database_through_the_whole_site(calls: Calls, django_assert_num_queries: Any) -> None:
    path = reverse("exotel_ccm:callback", args=[forged_tokens()["wrongly signed"]])

    with django_assert_num_queries(0):
        response = calls.client.post(path, body_of(), content_type="application/json")

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("url", "body", "state"),
    [("answered", "terminal", State.ENDED), ("terminal", "answered", State.ACTIVE)],
)
def test_the_event_in_the_body_decides_before_the_url_s(url: str, body: str, state: State, calls: Calls) -> None:
    call = calls.accepted()

    calls.deliver(call, body_of(body), url)

    assert calls.reread(call).state == state
    assert CallEvent.objects.get(kind=EventKind.CALLBACK).event == body


@pytest.mark.parametrize(("url", "state"), [("answered", State.ACTIVE), ("terminal", State.ENDED)])
def test_the_url_s_event_stands_in_for_the_body_s(url: str, state: State, calls: Calls) -> None:
    call = calls.requested()

    calls.deliver(call, b'{"CallSid": "%s"}' % SID.encode(), url)

    assert calls.reread(call).state == state
    assert CallEvent.objects.get().event == url


def test_a_signed_url_of_no_known_call_is_kept(calls: Calls) -> None:
    call = calls.accepted()
    path, body = url_of(call), body_of()
    call.delete()

    response = calls.client.post(path, body, content_type="application/json")

    event = CallEvent.objects.get()
    assert response.status_code == 200
    assert (event.call, event.reason, event.reference) == (None, EventReason.UNKNOWN_CALL, call.reference)
    assert (raw_of(event), event.authentication) == (body, Authentication.SIGNED_URL)
    assert event.facts["call_sid"] == SID
