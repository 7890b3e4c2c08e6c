"""The account's own callback URL: which requests it accepts, and what it stores."""

from __future__ import annotations

import datetime
import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.signing import Signer
from django.db import connections
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import callback_urls, signals
from django_exotel_ccm.choices import Authentication, EventKind, EventReason
from django_exotel_ccm.models import CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.webhooks.views import MAX_BODY_BYTES, AccountCallbackView
from tests.factories import SID, Calls, body_of, raw_of
from tests.webhooks.test_authentication import Unreadable
from tests.webhooks.test_bodies import READ, UNREAD

JSON = "application/json"
TWO_MINUTES = datetime.timedelta(minutes=2)
SECOND = datetime.timedelta(seconds=1)


def account_url(alias: str = "default") -> str:
    """Return the path of an account's own URL."""
    return reverse("exotel_ccm:account-callback", args=[callback_urls.sign_account(alias)])


def report(calls: Calls, body: bytes | None = None, **extra: Any) -> Any:
    """Deliver a body to the default account's URL."""
    return calls.client.generic("POST", account_url(), body_of() if body is None else body, JSON, **extra)


def stored() -> list[CallEvent]:
    """Return the stored reports, the oldest first."""
    return list(CallEvent.objects.filter(authentication=Authentication.ACCOUNT_URL).order_by("pk"))


def columns(call: CallRecord) -> dict[str, Any]:
    """Return all columns of a call except the times of its checks."""
    record = CallRecord.objects.get(pk=call.pk)
    names = {field.attname for field in CallRecord._meta.concrete_fields} - {"details_check_at", "next_check_at"}
    return {name: getattr(record, name) for name in names}


# Which URLs are accepted.


def tokens() -> dict[str, str]:
    token = callback_urls.sign_account("default")
    alias, signature = token.split(".")
    return {
        "nothing signed": "nonsense",
        "an alias": "default",
        "without its signature": alias,
        "wrongly signed": f"{alias}.{signature[::-1]}",
        "signed for another account": f"{callback_urls.sign_account('sales').partition('.')[0]}.{signature}",
        "signed elsewhere by the same key": Signer(sep=".").sign_object("default"),
        "plainly signed": Signer(salt="django_exotel_ccm.account_callback", sep=".").sign("default"),
        "a call's, for its end": callback_urls.sign(uuid.uuid4(), "terminal"),
        "a call's, for its answer": callback_urls.sign(uuid.uuid4(), "answered"),
        "an account that is no more": callback_urls.sign_account("sales"),
        "a text": "é\udcff%00..",
        "long": "a" * 50_000,
    }


def test_forged_urls_are_refused_unread(
    calls: Calls, django_assert_num_queries: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for kind, token in tokens().items():
        request: Any = RequestFactory().post("/", b"x" * 100, content_type=JSON)
        request._stream = Unreadable()
        caplog.clear()

        with django_assert_num_queries(0):
            response = AccountCallbackView.as_view()(request, token=token)

        assert response.status_code == 403, kind
        assert "was refused" in caplog.text, kind
        assert token not in caplog.text, kind
    assert not CallEvent.objects.exists()
    assert not UnverifiedCall.objects.exists()


@pytest.mark.parametrize(("method", "signed"), [("GET", True), ("FOO", False)])
def test_other_methods_are_not_allowed(
    method: str, calls: Calls, django_assert_num_queries: Any, *, signed: bool
) -> None:
    path = account_url() if signed else reverse("exotel_ccm:account-callback", args=["x"])

    with django_assert_num_queries(0):
        response = calls.client.generic(method, path, body_of(), JSON)

    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert not CallEvent.objects.exists()


def test_each_account_has_its_own_url(calls: Calls, settings: Any) -> None:
    alias = "sales/north é"
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {alias: "EXOTEL_SALES"}}

    known = calls.client.post(account_url(alias), body_of(), content_type=JSON)
    unknown = calls.client.post(account_url("default"), body_of(), content_type=JSON)

    assert (known.status_code, unknown.status_code) == (200, 403)
    assert (stored()[0].account, UnverifiedCall.objects.get().account) == (alias, alias)


def test_csrf_and_atomic_requests_are_ignored(real_calls: Calls, monkeypatch: Any) -> None:
    real_calls.client = Client(enforce_csrf_checks=True)
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)

    assert report(real_calls).status_code == 200

    assert UnverifiedCall.objects.count() == 1


# What is stored.


def test_report_is_stored_raw_and_announces_nothing(calls: Calls, receivers: Callable[..., None]) -> None:
    announced: list[Any] = []
    for name in ("call_accepted", "call_ended"):
        receivers(getattr(signals, name), lambda **kwargs: announced.append(kwargs), dispatch_uid=name)

    response = report(calls)

    [event] = stored()
    assert (response.status_code, response.json()) == (200, {"status": "stored"})
    assert (event.kind, event.account, event.reference, event.call) == (EventKind.CALLBACK, "default", None, None)
    assert (event.event, event.reason, raw_of(event)) == ("terminal", EventReason.UNVERIFIED, body_of())
    assert event.facts["call_sid"] == SID
    assert not CallRecord.objects.exists()
    assert announced == []


def test_unknown_call_is_checked_in_two_minutes(calls: Calls) -> None:
    report(calls)

    unverified = UnverifiedCall.objects.get()
    assert (unverified.account, unverified.call_sid, unverified.checks) == ("default", SID, 0)
    assert (unverified.call, unverified.gave_up_at) == (None, None)
    assert unverified.reported_at == stored()[0].received_at
    assert unverified.next_check_at is not None
    assert abs(unverified.next_check_at - timezone.now() - TWO_MINUTES) < 5 * SECOND


def test_several_reports_are_one_unverified_call(calls: Calls) -> None:
    report(calls, body_of("answered"))
    first = UnverifiedCall.objects.get()

    report(calls, body_of("terminal"))
    report(calls, body_of("terminal", call_status="completed"))

    again = UnverifiedCall.objects.get()
    assert len(stored()) == 3
    assert (again.pk, again.reported_at, again.next_check_at) == (first.pk, first.reported_at, first.next_check_at)


def test_repeated_report_is_stored_once(calls: Calls) -> None:
    shuffled = json.dumps(dict(reversed(list(json.loads(body_of()).items()))), indent=2).encode()

    for body in (body_of(), body_of(), shuffled):
        assert report(calls, body).status_code == 200

    assert len(stored()) == 1


def test_same_body_at_another_url_is_another_event(calls: Calls, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "EXOTEL_URL", "sales": "EXOTEL_SALES"}}
    call = calls.accepted("b" * 32)
    body = b'{"call_state": "active", "call_sid": "%s"}' % (b"b" * 32)

    calls.deliver(call, body)
    for alias in ("default", "sales"):
        calls.client.post(account_url(alias), body, content_type=JSON)

    assert CallEvent.objects.filter(kind=EventKind.CALLBACK).count() == 3
    assert [(event.account, event.call) for event in stored()] == [("default", call), ("sales", None)]
    assert UnverifiedCall.objects.get().account == "sales"


def test_documented_bodies_are_reports_of_the_call(calls: Calls) -> None:
    for body, content_type in READ.values():
        assert calls.client.generic("POST", account_url(), body, content_type).status_code == 200

        [event] = stored()
        assert (raw_of(event), event.reason, event.facts["call_sid"]) == (body, EventReason.UNVERIFIED, SID)
        event.delete()  # two of these bodies are equal
    assert UnverifiedCall.objects.get().call_sid == SID


def test_unreadable_bodies_are_stored_with_their_reason(calls: Calls) -> None:
    for body, content_type, reason in UNREAD.values():
        assert calls.client.generic("POST", account_url(), body, content_type).status_code == 200

        event = stored()[-1]
        assert (raw_of(event), event.reason, event.facts) == (body, reason, {})
    assert not UnverifiedCall.objects.exists()


@pytest.mark.parametrize("sid", [None, "s" * 65, "..", "a b"])
def test_report_without_usable_sid_is_not_checked(sid: Any, calls: Calls) -> None:
    assert report(calls, body_of("terminal", sid)).status_code == 200

    assert [event.reason for event in stored()] == [EventReason.UNVERIFIED]
    assert not UnverifiedCall.objects.exists()


def test_incomplete_and_large_bodies_are_refused(calls: Calls) -> None:
    half: dict[str, Any] = {"CONTENT_LENGTH": str(len(body_of()) + 1), "wsgi.input": io.BytesIO(body_of())}

    assert report(calls, **half).status_code == 400
    assert report(calls, CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked").status_code == 411
    assert report(calls, body_of().ljust(MAX_BODY_BYTES + 1)).status_code == 413
    assert stored() == []
