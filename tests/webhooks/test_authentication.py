"""Only signed URLs are accepted. The signature is verified before any query and before the body is read."""

from __future__ import annotations

import datetime
import io
import uuid
from typing import Any

import pytest
import time_machine
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory

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


def test_forged_urls_are_refused_unread(
    calls: Calls, django_assert_num_queries: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for kind, token in forged_tokens().items():
        request: WSGIRequest = RequestFactory().post("/", b"x" * 100, content_type="application/json")
        request._stream = Unreadable()
        caplog.clear()

        with django_assert_num_queries(0):
            response = CallbackView.as_view()(request, token=token)

        assert response.status_code == 403, kind
        assert "not signed by us" in caplog.text, kind
        assert token not in caplog.text, kind
    assert not CallEvent.objects.exists()


@pytest.mark.parametrize(
    ("url", "body", "state"),
    [("answered", "terminal", State.ENDED), ("terminal", "answered", State.ACTIVE)],
)
def test_event_of_the_body_wins_over_the_urls(url: str, body: str, state: State, calls: Calls) -> None:
    call = calls.accepted()

    calls.deliver(call, body_of(body), url)

    assert calls.reread(call).state == state
    assert CallEvent.objects.get(kind=EventKind.CALLBACK).event == body


@pytest.mark.parametrize(("url", "state"), [("answered", State.ACTIVE), ("terminal", State.ENDED)])
def test_event_of_the_url_is_the_fallback(url: str, state: State, calls: Calls) -> None:
    call = calls.requested()

    calls.deliver(call, b'{"CallSid": "%s"}' % SID.encode(), url)

    assert calls.reread(call).state == state
    assert CallEvent.objects.get().event == url


def test_callback_of_unknown_call_is_stored(calls: Calls) -> None:
    call = calls.accepted()
    path, body = url_of(call), body_of()
    call.delete()

    response = calls.client.post(path, body, content_type="application/json")

    event = CallEvent.objects.get()
    assert response.status_code == 200
    assert (event.call, event.reason, event.reference) == (None, EventReason.UNKNOWN_CALL, call.reference)
    assert (raw_of(event), event.authentication) == (body, Authentication.SIGNED_URL)
    assert event.facts["call_sid"] == SID
