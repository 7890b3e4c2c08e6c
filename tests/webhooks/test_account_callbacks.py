"""The account's own URL: signed, never expiring, and all that comes to it is only a hint."""

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
from tests.webhooks.conftest import SID, Calls, body_of, raw_of
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


def tell(calls: Calls, body: bytes | None = None, **extra: Any) -> Any:
    """Deliver a body to the default account's URL."""
    return calls.client.generic("POST", account_url(), body_of() if body is None else body, JSON, **extra)


def heard() -> list[CallEvent]:
    return list(CallEvent.objects.filter(authentication=Authentication.ACCOUNT_URL).order_by("pk"))


def everything(call: CallRecord) -> dict[str, Any]:
    """All columns of a call but those that say when it is looked after."""
    record = CallRecord.objects.get(pk=call.pk)
    names = {field.attname for field in CallRecord._meta.concrete_fields} - {"details_check_at", "next_check_at"}
    return {name: getattr(record, name) for name in names}


# Who is let in.


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
def test_any_other_url_is_refused_without_a_query_and_with_the_body_unread(
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


def test_the_token_of_a_call_opens_no_account_and_the_account_s_no_call(calls: Calls) -> None:
    call = calls.accepted()
    mine, the_account_s = callback_urls.sign(call.reference, "terminal"), callback_urls.sign_account("default")
    before = everything(call)

    to_account = calls.client.post(reverse("exotel_ccm:account-callback", args=[mine]), body_of(), content_type=JSON)
    to_call = calls.client.post(reverse("exotel_ccm:callback", args=[the_account_s]), body_of(), content_type=JSON)

    assert (to_account.status_code, to_call.status_code) == (403, 403)
    assert everything(call) == before
    assert not CallEvent.objects.filter(kind=EventKind.CALLBACK).exists()


def test_the_url_opens_for_years(calls: Calls) -> None:
    path = account_url()

    with time_machine.travel(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2000)):
        response = calls.client.post(path, body_of(), content_type=JSON)

    assert response.status_code == 200


def test_a_rotation_of_the_secret_key_keeps_the_url_as_long_as_the_old_key_is_kept(calls: Calls, settings: Any) -> None:
    path = account_url()

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", [settings.SECRET_KEY]
    kept = calls.client.post(path, body_of(), content_type=JSON)
    settings.SECRET_KEY_FALLBACKS = []
    forgotten = calls.client.post(path, body_of("answered"), content_type=JSON)

    assert (kept.status_code, forgotten.status_code, len(heard())) == (200, 403, 1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "FOO"])
@pytest.mark.parametrize("signed", [True, False])
def test_other_methods_are_not_allowed_and_ask_nothing(
    method: str, calls: Calls, django_assert_num_queries: Any, *, signed: bool
) -> None:
    path = account_url() if signed else reverse("exotel_ccm:account-callback", args=["x"])

    with django_assert_num_queries(0):
        response = calls.client.generic(method, path, body_of(), JSON)

    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert not CallEvent.objects.exists()


def test_each_account_of_the_settings_has_its_own(calls: Calls, settings: Any) -> None:
    alias = "sales/north é"
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {alias: "EXOTEL_SALES"}}

    known = calls.client.post(account_url(alias), body_of(), content_type=JSON)
    unknown = calls.client.post(account_url("default"), body_of(), content_type=JSON)

    assert (known.status_code, unknown.status_code) == (200, 403)
    assert (heard()[0].account, UnverifiedCall.objects.get().account) == (alias, alias)


def test_neither_csrf_nor_the_host_s_transactions_reach_it(real_calls: Calls, monkeypatch: Any) -> None:
    real_calls.client = Client(enforce_csrf_checks=True)
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)

    assert tell(real_calls).status_code == 200

    assert UnverifiedCall.objects.count() == 1


# What is kept.


def test_what_is_told_is_kept_raw_and_changes_nothing(calls: Calls, receivers: Callable[..., None]) -> None:
    told: list[Any] = []
    for name in ("call_accepted", "call_ended"):
        receivers(getattr(signals, name), lambda **news: told.append(news), dispatch_uid=name)

    response = tell(calls)

    [event] = heard()
    assert (response.status_code, response.json()) == (200, {"status": "stored"})
    assert (event.kind, event.account, event.reference, event.call) == (EventKind.CALLBACK, "default", None, None)
    assert (event.event, event.reason, raw_of(event)) == ("terminal", EventReason.UNVERIFIED, body_of())
    assert event.facts["call_sid"] == SID
    assert not CallRecord.objects.exists()
    assert told == []


def test_of_a_call_that_is_not_known_there_is_a_hint_due_in_two_minutes(calls: Calls) -> None:
    tell(calls)

    hint = UnverifiedCall.objects.get()
    assert (hint.account, hint.call_sid, hint.checks, hint.call, hint.gave_up_at) == ("default", SID, 0, None, None)
    assert hint.reported_at == heard()[0].received_at
    assert hint.next_check_at is not None
    assert abs(hint.next_check_at - timezone.now() - TWO_MINUTES) < 5 * SECOND


def test_several_news_of_one_call_are_one_hint(calls: Calls) -> None:
    tell(calls, body_of("answered"))
    first = UnverifiedCall.objects.get()

    tell(calls, body_of("terminal"))
    tell(calls, body_of("terminal", call_status="completed"))

    again = UnverifiedCall.objects.get()
    assert len(heard()) == 3
    assert (again.pk, again.reported_at, again.next_check_at) == (first.pk, first.reported_at, first.next_check_at)


def test_what_is_told_twice_is_kept_once(calls: Calls) -> None:
    shuffled = json.dumps(dict(reversed(list(json.loads(body_of()).items()))), indent=2).encode()

    for body in (body_of(), body_of(), shuffled):
        assert tell(calls, body).status_code == 200

    assert len(heard()) == 1


def test_the_same_told_to_another_account_or_to_a_call_is_other_news(calls: Calls, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "EXOTEL_URL", "sales": "EXOTEL_SALES"}}
    call = calls.accepted("b" * 32)
    body = b'{"call_state": "active", "call_sid": "%s"}' % (b"b" * 32)

    calls.deliver(call, body)
    for alias in ("default", "sales"):
        calls.client.post(account_url(alias), body, content_type=JSON)

    assert CallEvent.objects.filter(kind=EventKind.CALLBACK).count() == 3
    assert [(event.account, event.call) for event in heard()] == [("default", call), ("sales", None)]
    assert UnverifiedCall.objects.get().account == "sales"


@pytest.mark.parametrize("name", READ)
def test_a_body_of_a_call_in_any_documented_shape_is_a_hint(name: str, calls: Calls) -> None:
    body, content_type = READ[name]

    response = calls.client.generic("POST", account_url(), body, content_type)

    [event] = heard()
    assert (response.status_code, raw_of(event), event.reason) == (200, body, EventReason.UNVERIFIED)
    assert UnverifiedCall.objects.get().call_sid == SID


@pytest.mark.parametrize("name", UNREAD)
def test_a_body_of_nothing_is_kept_with_its_own_reason(name: str, calls: Calls) -> None:
    body, content_type, reason = UNREAD[name]

    response = calls.client.generic("POST", account_url(), body, content_type)

    [event] = heard()
    assert (response.status_code, raw_of(event), event.reason, event.facts) == (200, body, reason, {})
    assert not UnverifiedCall.objects.exists()


@pytest.mark.parametrize("sid", [None, "", "null", 5 * [1], "s" * 65, ".", "..", "a b", "../x"])
def test_without_a_usable_sid_there_is_nothing_to_ask_about(sid: Any, calls: Calls) -> None:
    assert tell(calls, body_of("terminal", sid)).status_code == 200

    assert [event.reason for event in heard()] == [EventReason.UNVERIFIED]
    assert not UnverifiedCall.objects.exists()


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
def test_a_body_is_read_up_to_64_kilobytes(size: int, status: int, calls: Calls) -> None:
    assert tell(calls, body_of().ljust(size)).status_code == status
    assert len(heard()) == int(status == 200)


def test_half_a_body_and_one_of_unknown_length_are_asked_for_again(calls: Calls) -> None:
    half: dict[str, Any] = {"CONTENT_LENGTH": str(len(body_of()) + 1), "wsgi.input": io.BytesIO(body_of())}

    assert tell(calls, **half).status_code == 400
    assert tell(calls, CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked").status_code == 411

    assert heard() == []


def test_a_chunked_body_is_taken_from_a_server_that_hands_it_over(calls: Calls) -> None:
    chunked: dict[str, Any] = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}

    assert tell(calls, **{**chunked, "wsgi.input": io.BytesIO(body_of())}).status_code == 200
    assert raw_of(heard()[0]) == body_of()


# A call that we know.


def test_of_a_call_that_we_know_it_is_shown_and_has_exotel_asked_soon(calls: Calls) -> None:
    call = calls.accepted()
    before = everything(call)
    assert call.details_check_at is not None
    assert call.details_check_at > timezone.now() + 2 * TWO_MINUTES

    assert tell(calls, body_of("terminal", call_status="completed")).status_code == 200

    assert everything(call) == before
    [event] = heard()
    assert (event.call, event.reason) == (call, EventReason.UNVERIFIED)
    record = calls.reread(call)
    assert record.details_check_at is not None
    assert abs(record.details_check_at - timezone.now() - TWO_MINUTES) < 5 * SECOND
    assert record.next_check_at == record.details_check_at
    assert not UnverifiedCall.objects.exists()


def test_a_call_that_is_asked_about_sooner_anyway_keeps_its_plan(calls: Calls) -> None:
    call = calls.accepted()
    soon = timezone.now() + datetime.timedelta(seconds=20)
    CallRecord.objects.filter(pk=call.pk).update(details_check_at=soon, next_check_at=soon)
    planned = calls.reread(call).details_check_at

    tell(calls)

    assert calls.reread(call).details_check_at == planned


def test_of_a_call_that_has_told_all_nothing_more_is_asked(calls: Calls) -> None:
    call = calls.accepted()
    end = {"call_status": "completed", "total_talk_time": 42, "end_time": "2026-02-11 11:14:58+05:30"}
    calls.deliver(call, body_of("terminal", **end))
    assert calls.reread(call).details_check_at is None

    tell(calls, body_of("terminal", call_status="failed"))

    record = calls.reread(call)
    assert (record.details_check_at, record.next_check_at, record.outcome) == (None, None, "completed")
    assert heard()[0].call == call


def test_the_same_sid_in_another_account_is_another_call(calls: Calls, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "EXOTEL_URL", "sales": "EXOTEL_SALES"}}
    call = calls.accepted(account="sales")
    plan = call.details_check_at

    tell(calls)

    assert heard()[0].call is None
    assert UnverifiedCall.objects.get().account == "default"
    assert calls.reread(call).details_check_at == plan


def test_a_hint_is_never_joined_however_often_its_call_is_rebuilt(calls: Calls) -> None:
    call = calls.accepted()
    tell(calls, body_of("terminal", call_status="completed", total_talk_time=42))

    # Another sid has all of the call's events joined anew.
    calls.deliver(call, body_of("answered", "b" * 32), "answered")

    record = calls.reread(call)
    assert (record.state, record.outcome, record.talk_time) == (State.ACTIVE, "", None)
    assert heard()[0].reason == EventReason.UNVERIFIED
    assert not Announcement.objects.filter(key="ended").exists()


# A customer who was erased.


@pytest.mark.parametrize("erased", ["the call", "the hint"])
def test_what_is_told_of_an_erased_customer_is_kept_without_them(erased: str, calls: Calls) -> None:
    if erased == "the call":
        calls.accepted(erased_at=timezone.now())
    else:
        tell(calls, body_of("answered"))
        UnverifiedCall.objects.update(code=UnverifiedReason.ERASED, next_check_at=None, gave_up_at=timezone.now())

    tell(calls, body_of("terminal", customer_details={"number": "+919000001001"}, call_status="completed"))

    event = heard()[-1]
    assert (raw_of(event), event.facts.get("customer_number"), event.facts["status"]) == (b"", None, "completed")
    assert event.purged_at is not None
    assert not UnverifiedCall.objects.exclude(next_check_at=None).exists()


# What it costs, and at once.


def statements(calls: Calls, body: bytes) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert tell(calls, body).status_code == 200
    words = [query["sql"].split()[0] for query in captured.captured_queries]
    assert (words[0], words[-1]) == ("BEGIN", "COMMIT")
    return words[1:-1]


def test_seven_statements_for_a_new_hint_five_for_an_old_one_and_two_for_old_news(real_calls: Calls) -> None:
    assert statements(real_calls, body_of("answered")) == [*LOCK, *["SELECT"] * 3, "INSERT", "INSERT", "SELECT"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, *["SELECT"] * 3, "INSERT"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, "SELECT"]


def test_four_statements_for_a_call_that_we_know(real_calls: Calls) -> None:
    real_calls.accepted()

    assert statements(real_calls, body_of("answered")) == [*LOCK, "SELECT", "INSERT", "UPDATE"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, "SELECT", "INSERT"]


def test_sixteen_news_of_one_call_at_once_are_one_hint(live_server: Any, real_calls: Calls) -> None:
    bodies = [body_of("terminal", custom_field=str(number // 2)) for number in range(16)]

    statuses = at_once(*((live_server.url + account_url(), body) for body in bodies))

    assert statuses == [200] * 16
    assert len(heard()) == 8
    assert UnverifiedCall.objects.get().call_sid == SID


@pytest.mark.parametrize("failures", [1, MAX_ATTEMPTS - 1])
def test_a_failure_that_passes_is_not_seen_outside(failures: int, real_calls: Calls) -> None:
    with failing(OperationalError("database is locked"), failures):
        response = tell(real_calls)

    assert response.status_code == 200
    assert (len(heard()), UnverifiedCall.objects.count()) == (1, 1)


def test_a_failure_that_lasts_is_answered_503(real_calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    with failing(OperationalError("disk full"), 99):
        response = tell(real_calls)

    assert (response.status_code, response.json()) == (503, {"detail": "Not stored; send it again."})
    assert (heard(), UnverifiedCall.objects.count()) == ([], 0)
    assert "account 'default'" in caplog.text


# Message again after we gave up.


@pytest.mark.parametrize("gave_up", [True, False])
def test_news_of_a_call_that_was_given_up_has_it_asked_about_once_more(calls: Calls, *, gave_up: bool) -> None:
    tell(calls, body_of("answered"))
    then = timezone.now() - datetime.timedelta(days=2)
    UnverifiedCall.objects.update(next_check_at=None, gave_up_at=then if gave_up else None, reported_at=then)

    tell(calls, body_of("terminal"))

    hint = UnverifiedCall.objects.get()
    assert hint.gave_up_at is None
    assert hint.next_check_at is not None
    assert hint.reported_at == then
