"""A refusal is recorded with its reason and announced once, and nothing more is dialled."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind, State
from django_exotel_ccm.exceptions import CallRefused, ExotelCCMError
from django_exotel_ccm.models import Announcement, CallRecord, ExoPhone
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator

Posts = Callable[[], list[Any]]
Connect = Callable[..., None]


@pytest.fixture
def refused(receivers: Connect) -> list[Any]:
    """The calls of each call_refused."""
    announced: list[Any] = []
    receivers(signals.call_refused, lambda call, **kwargs: announced.append(call))
    return announced


def assert_refused(raised: pytest.ExceptionInfo[CallRefused], code: str, kind: EventKind, announced: list[Any]) -> None:
    refusal = raised.value
    call = CallRecord.objects.get()
    event = call.events.get()
    assert refusal.call == call
    assert (refusal.call.state, refusal.call.refusal_code) == (State.REFUSED, code)
    assert (call.state, call.refusal_code, call.outcome) == (State.REFUSED, code, "")
    assert refusal.code == event.code == code
    assert refusal.advice
    assert refusal.advice == event.advice
    assert str(refusal) == f"{refusal.advice} [{code}]"
    assert (event.kind, event.verdict, event.reason) == (kind, State.REFUSED, "")
    assert call.next_check_at is None
    assert announced == [call]
    assert [(one.signal, one.state) for one in Announcement.objects.all()] == [("call_refused", "done")]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (1012, "Your phone is switched off in Exotel. Turn the device on, then call again."),
        (10708, "None of your phones is on in Exotel"),
        (10724, "asked too often within a minute"),
    ],
)
def test_refusals_by_exotel(
    host: Any, exotel: Simulator, posts: Posts, refused: list[Any], code: int, advice: str
) -> None:
    exotel.options.refuse_with = code

    with pytest.raises(CallRefused, match=advice) as raised:
        place_call(agent=host.agent(), ticket=host.ticket())

    assert_refused(raised, str(code), EventKind.ANSWER, refused)
    assert len(posts()) == 1
    event = raised.value.call.events.get()
    assert event.request_id == exotel.book.requests[0].request_id
    assert event.http_status == exotel.book.requests[0].status
    assert str(code).encode() in bytes(event.raw)


def test_unreadable_body_is_retried_with_the_other_key(
    host: Any, exotel: Simulator, posts: Posts, refused: list[Any]
) -> None:
    exotel.options.refuse_with = 10725

    with pytest.raises(CallRefused, match="could not read") as raised:
        place_call(agent=host.agent(), ticket=host.ticket())

    assert_refused(raised, "10725", EventKind.ANSWER, refused)
    assert [set(body["to"]) for body in posts()] == [{"number"}, {"customer_contact_uri"}]
    assert raised.value.call.events.get().tries == 2


@pytest.mark.books_differ(reason="the request goes where no Exotel is")
def test_unreachable_exotel(host: Any, exotel: Simulator, refused: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_URL", "exotel://K:T@127.0.0.1:1/acme1?tls=off")

    with pytest.raises(CallRefused, match="could not be reached, so nothing was dialled") as raised:
        place_call(agent=host.agent(), ticket=host.ticket())

    assert_refused(raised, "unreachable", EventKind.ANSWER, refused)


def never_in_the_evening(call: Any) -> str:
    assert call.pk is None
    return f"{call.agent.name} does not call in the evening."


def no_objection(call: Any) -> None:
    return None


def broken_policy(call: Any) -> None:
    raise LookupError("the calendar is gone")


def exophone_without_number() -> ExoPhone:
    return ExoPhone.objects.create(number="080-DUMMY")


def foreign_account_exophone() -> ExoPhone:
    return ExoPhone.objects.create(number="+918000000701", account="sales")


def idle_exophone() -> ExoPhone:
    return ExoPhone.objects.create(number="+918000000701", is_active=False)


def configured(**keys: Any) -> Callable[[Any], dict[str, Any]]:
    def change(settings: Any) -> dict[str, Any]:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, **keys}
        return {}

    return change


def without_variable(settings: Any) -> dict[str, Any]:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "SALES_URL"}}
    del os.environ["SALES_URL"]  # the fixture had set it to the simulator
    return {}


def without_urls(settings: Any) -> dict[str, Any]:
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    return {}


def without_exophone(settings: Any) -> dict[str, Any]:
    ExoPhone.objects.all().delete()
    return {}


HERE = "tests.services.test_placing_refusals"


@pytest.mark.parametrize(
    ("code", "advice", "arrange", "agent", "ticket"),
    [
        ("not_configured", "CALLBACK_BASE_URL", configured(CALLBACK_BASE_URL=None), {}, {}),
        ("not_configured", "CALLBACK_BASE_URL", configured(CALLBACK_BASE_URL="http://crm.example.com"), {}, {}),
        (
            "not_configured",
            "There is no Exotel account 'default'",
            configured(ACCOUNTS={"sales": "EXOTEL_URL"}),
            {},
            {},
        ),
        (
            "not_configured",
            "SALES_URL is empty. Write: SALES_URL=",
            without_variable,
            {},
            {},
        ),
        ("not_configured", r'include\("django_exotel_ccm.urls"\)', without_urls, {}, {}),
        ("agent_inactive", "not active", dict, {"is_active": False}, {}),
        ("agent_without_device", "no phone", dict, {"contact_uri": None}, {}),
        ("agent_phone_invalid", "cannot be called. .* Letters", dict, {"contact_uri": "98765-DUMMY"}, {}),
        ("agent_phone_invalid", "not a SIP address", dict, {"contact_uri": "sip:a b"}, {}),
        ("exophone_invalid", "not one valid", lambda _: {"exophone": exophone_without_number()}, {}, {}),
        ("no_exophone", "no ExoPhone", without_exophone, {}, {}),
        ("no_exophone", "no ExoPhone", lambda _: {"exophone": idle_exophone()}, {}, {}),
        (
            "exophone_of_another_account",
            "another account",
            lambda _: {"exophone": foreign_account_exophone()},
            {},
            {},
        ),
        ("invalid_number", "country code", dict, {}, {"phone": "ask Ravi"}),
        ("invalid_number", "Letters", dict, {}, {"phone": "98765-DUMMY"}),
        ("invalid_number", "Letters", lambda _: {"to": "98XXXXXX10"}, {}, {}),
        ("invalid_number", "Other words", lambda _: {"to": "90000 01001 (wife)"}, {}, {}),
        ("no_number", "no phone number", dict, {}, {"phone": "  "}),
        ("several_numbers", "several", dict, {}, {"phone": "9000001001 / 9000001002"}),
        ("several_numbers", "several", dict, {}, {"other": "+919000001002"}),
        (
            "never_in_the_evening",
            "Asha does not call in the evening.",
            configured(POLICIES=[f"{HERE}.no_objection", f"{HERE}.never_in_the_evening", f"{HERE}.broken_policy"]),
            {},
            {},
        ),
    ],
)
def test_refusals_before_dialling(  # noqa: PLR0917 - the table
    host: Any,
    exotel: Simulator,
    posts: Posts,
    refused: list[Any],
    settings: Any,
    code: str,
    advice: str,
    arrange: Callable[..., dict[str, Any]],
    agent: dict[str, Any],
    ticket: dict[str, Any],
) -> None:
    arguments = {
        "agent": host.agent(**agent),
        "ticket": host.ticket(**ticket),
        **({} if arrange is dict else arrange(settings)),
    }

    with pytest.raises(CallRefused, match=advice) as raised:
        place_call(**arguments)

    assert_refused(raised, code, EventKind.POLICY, refused)
    assert posts() == []
    assert isinstance(raised.value, ExotelCCMError)


def test_unreadable_account_is_refused_and_not_quoted(
    host: Any, exotel: Simulator, refused: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXOTEL_URL", "zebra:walrus@mumbai/acme1")

    with pytest.raises(CallRefused, match="EXOTEL_URL does not begin with exotel://") as raised:
        place_call(agent=host.agent(), ticket=host.ticket())

    assert_refused(raised, "not_configured", EventKind.POLICY, refused)
    assert "walrus" not in f"{raised.value!r} {raised.value} {vars(raised.value.call.events.get())}"


def test_failing_policy_stops_the_call(host: Any, exotel: Simulator, posts: Posts, settings: Any) -> None:
    configured(POLICIES=[f"{HERE}.broken_policy"])(settings)

    with pytest.raises(LookupError, match="the calendar is gone"):
        place_call(agent=host.agent(), ticket=host.ticket())

    assert posts() == []
    assert not CallRecord.objects.exists()


def test_passing_policy_lets_the_call_through(host: Any, exotel: Simulator, posts: Posts, settings: Any) -> None:
    configured(POLICIES=[f"{HERE}.no_objection"])(settings)

    place_call(agent=host.agent(), ticket=host.ticket())

    assert len(posts()) == 1


def test_base_url_of_each_call(host: Any, exotel: Simulator, posts: Posts, settings: Any) -> None:
    configured(CALLBACK_BASE_URL=f"{HERE}.base_url_of_account")(settings)

    place_call(agent=host.agent(), ticket=host.ticket())

    urls = [callback["url"] for callback in posts()[0]["status_callback"]]
    assert all(url.startswith("https://default.example.com/exotel/callbacks/") for url in urls)


def base_url_of_account(call: Any) -> str:
    return f"https://{call.account}.example.com/"
