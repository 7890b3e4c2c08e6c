"""The account's own URL is signed and never expires; reports to it are stored, and change no facts."""

from __future__ import annotations

import datetime
import io
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core.signing import Signer
from django.db import connection, connections
from django.db.utils import OperationalError
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import callback_urls, signals
from django_exotel_ccm.choices import Authentication, EventKind, EventReason, State, UnverifiedReason
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.services.transactions import MAX_ATTEMPTS
from django_exotel_ccm.webhooks.views import MAX_BODY_BYTES, AccountCallbackView
from tests.factories import SID, Calls, body_of, raw_of
from tests.webhooks.test_authentication import Unreadable
from tests.webhooks.test_bodies import READ, UNREAD
from tests.webhooks.test_not_committed import failing
from tests.webhooks.test_repetition import at_once
from tests.webhooks.test_statements import LOCK

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
    """Return all columns of a call except those that say when it is checked."""
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


@pytest.mark.parametrize("kind", tokens())
def test_other_urls_are_refused_before_anything_is_read(
    kind: str, calls: Calls, django_assert_num_queries: Any, caplog: pytest.LogCaptureFixture
) -> None:
    request: Any = RequestFactory().post("/", b"x" * 100, content_type=JSON)
    request._stream = Unreadable()
    token = tokens()[kind]

    with django_assert_num_queries(0):
        response = AccountCallbackView.as_view()(request, token=token)

    assert response.status_code == 403
    assert not CallEvent.objects.exists()
    assert not UnverifiedCall.objects.exists()
    assert "was refused" in caplog.text
    assert token not in caplog.text


def test_tokens_of_calls_and_accounts_are_not_exchangeable(calls: Calls) -> None:
    call = calls.accepted()
    mine, the_account_s = callback_urls.sign(call.reference, "terminal"), callback_urls.sign_account("default")
    before = columns(call)

    to_account = calls.client.post(reverse("exotel_ccm:account-callback", args=[mine]), body_of(), content_type=JSON)
    to_call = calls.client.post(reverse("exotel_ccm:callback", args=[the_account_s]), body_of(), content_type=JSON)

    assert (to_account.status_code, to_call.status_code) == (403, 403)
    assert columns(call) == before
    assert not CallEvent.objects.filter(kind=EventKind.CALLBACK).exists()


def test_url_does_not_expire(calls: Calls) -> None:
    path = account_url()

    with time_machine.travel(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2000)):
        response = calls.client.post(path, body_of(), content_type=JSON)

    assert response.status_code == 200


def test_url_survives_a_key_rotation_with_fallbacks(calls: Calls, settings: Any) -> None:
    path = account_url()

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", [settings.SECRET_KEY]
    kept = calls.client.post(path, body_of(), content_type=JSON)
    settings.SECRET_KEY_FALLBACKS = []
    forgotten = calls.client.post(path, body_of("answered"), content_type=JSON)

    assert (kept.status_code, forgotten.status_code, len(stored())) == (200, 403, 1)


@pytest.mark.parametrize(("method", "signed"), [("GET", True), ("OPTIONS", False), ("PUT", True), ("FOO", False)])
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


def test_csrf_and_atomic_requests_do_not_apply(real_calls: Calls, monkeypatch: Any) -> None:
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
        event.delete()  # two of these bodies say the same
    assert UnverifiedCall.objects.get().call_sid == SID


def test_unreadable_bodies_are_stored_with_their_reason(calls: Calls) -> None:
    for body, content_type, reason in UNREAD.values():
        assert calls.client.generic("POST", account_url(), body, content_type).status_code == 200

        event = stored()[-1]
        assert (raw_of(event), event.reason, event.facts) == (body, reason, {})
    assert not UnverifiedCall.objects.exists()


@pytest.mark.parametrize("sid", [None, "null", 5 * [1], "s" * 65, "..", "a b", "../x"])
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


def test_largest_and_chunked_bodies_are_accepted(calls: Calls) -> None:
    chunked: dict[str, Any] = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}

    assert report(calls, body_of("answered").ljust(MAX_BODY_BYTES)).status_code == 200
    assert report(calls, **{**chunked, "wsgi.input": io.BytesIO(body_of())}).status_code == 200
    assert raw_of(stored()[-1]) == body_of()


# A call in the records.


def test_known_call_is_checked_in_two_minutes(calls: Calls) -> None:
    call = calls.accepted()
    before = columns(call)
    assert call.details_check_at is not None
    assert call.details_check_at > timezone.now() + 2 * TWO_MINUTES

    assert report(calls, body_of("terminal", call_status="completed")).status_code == 200

    assert columns(call) == before
    [event] = stored()
    assert (event.call, event.reason) == (call, EventReason.UNVERIFIED)
    record = calls.reread(call)
    assert record.details_check_at is not None
    assert abs(record.details_check_at - timezone.now() - TWO_MINUTES) < 5 * SECOND
    assert record.next_check_at == record.details_check_at
    assert not UnverifiedCall.objects.exists()


def test_earlier_check_stays_planned(calls: Calls) -> None:
    call = calls.accepted()
    soon = timezone.now() + datetime.timedelta(seconds=20)
    CallRecord.objects.filter(pk=call.pk).update(details_check_at=soon, next_check_at=soon)
    planned = calls.reread(call).details_check_at

    report(calls)

    assert calls.reread(call).details_check_at == planned


def test_complete_call_is_not_checked(calls: Calls) -> None:
    call = calls.accepted()
    end = {"call_status": "completed", "total_talk_time": 42, "end_time": "2026-02-11 11:14:58+05:30"}
    calls.deliver(call, body_of("terminal", **end))
    assert calls.reread(call).details_check_at is None

    report(calls, body_of("terminal", call_status="failed"))

    record = calls.reread(call)
    assert (record.details_check_at, record.next_check_at, record.outcome) == (None, None, "completed")
    assert stored()[0].call == call


def test_same_sid_in_another_account_is_another_call(calls: Calls, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "EXOTEL_URL", "sales": "EXOTEL_SALES"}}
    call = calls.accepted(account="sales")
    plan = call.details_check_at

    report(calls)

    assert stored()[0].call is None
    assert UnverifiedCall.objects.get().account == "default"
    assert calls.reread(call).details_check_at == plan


def test_report_is_not_joined_by_a_rebuild(calls: Calls) -> None:
    call = calls.accepted()
    report(calls, body_of("terminal", call_status="completed", total_talk_time=42))

    # Another sid has all of the call's events joined anew.
    calls.deliver(call, body_of("answered", "b" * 32), "answered")

    record = calls.reread(call)
    assert (record.state, record.outcome, record.talk_time) == (State.ACTIVE, "", None)
    assert stored()[0].reason == EventReason.UNVERIFIED
    assert not Announcement.objects.filter(key="ended").exists()


# A customer who was erased.


@pytest.mark.parametrize("erased", ["the call", "the unverified call"])
def test_report_about_an_erased_customer_is_redacted(erased: str, calls: Calls) -> None:
    if erased == "the call":
        calls.accepted(erased_at=timezone.now())
    else:
        report(calls, body_of("answered"))
        UnverifiedCall.objects.update(code=UnverifiedReason.ERASED, next_check_at=None, gave_up_at=timezone.now())

    report(calls, body_of("terminal", customer_details={"number": "+919000001001"}, call_status="completed"))

    event = stored()[-1]
    assert (raw_of(event), event.facts.get("customer_number"), event.facts["status"]) == (b"", None, "completed")
    assert event.purged_at is not None
    assert not UnverifiedCall.objects.exclude(next_check_at=None).exists()


# Statements, concurrency and failures.


def statements(calls: Calls, body: bytes) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert report(calls, body).status_code == 200
    words = [query["sql"].split()[0] for query in captured.captured_queries]
    assert (words[0], words[-1]) == ("BEGIN", "COMMIT")
    return words[1:-1]


def test_statements_for_an_unknown_call(real_calls: Calls) -> None:
    assert statements(real_calls, body_of("answered")) == [*LOCK, *["SELECT"] * 3, "INSERT", "INSERT", "SELECT"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, *["SELECT"] * 3, "INSERT"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, "SELECT"]


def test_statements_for_a_known_call(real_calls: Calls) -> None:
    real_calls.accepted()

    assert statements(real_calls, body_of("answered")) == [*LOCK, "SELECT", "SELECT", "INSERT", "UPDATE"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, "SELECT", "SELECT", "INSERT"]


def test_concurrent_reports_are_one_unverified_call(live_server: Any, real_calls: Calls) -> None:
    bodies = [body_of("terminal", custom_field=str(number // 2)) for number in range(16)]

    statuses = at_once(*((live_server.url + account_url(), body) for body in bodies))

    assert statuses == [200] * 16
    assert len(stored()) == 8
    assert UnverifiedCall.objects.get().call_sid == SID


def test_passing_failure_is_retried(real_calls: Calls) -> None:
    with failing(OperationalError("database is locked"), MAX_ATTEMPTS - 1):
        response = report(real_calls)

    assert response.status_code == 200
    assert (len(stored()), UnverifiedCall.objects.count()) == (1, 1)


def test_lasting_failure_is_answered_503(real_calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    with failing(OperationalError("disk full"), 99):
        response = report(real_calls)

    assert (response.status_code, response.json()) == (503, {"detail": "Not stored; send it again."})
    assert (stored(), UnverifiedCall.objects.count()) == ([], 0)
    assert "account 'default'" in caplog.text


@pytest.mark.parametrize("gave_up", [True, False])
def test_call_given_up_is_checked_after_another_report(calls: Calls, *, gave_up: bool) -> None:
    report(calls, body_of("answered"))
    then = timezone.now() - datetime.timedelta(days=2)
    UnverifiedCall.objects.update(next_check_at=None, gave_up_at=then if gave_up else None, reported_at=then)

    report(calls, body_of("terminal"))

    unverified = UnverifiedCall.objects.get()
    assert unverified.gave_up_at is None
    assert unverified.next_check_at is not None
    assert unverified.reported_at == then
