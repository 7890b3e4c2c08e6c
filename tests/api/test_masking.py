"""What an answer hides: numbers, signed addresses, and tickets of others."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from django_exotel_ccm.models import CallEvent, DoNotCall, FollowUp
from django_exotel_ccm.services import add_note, move_calls, schedule_follow_up
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS, SEES_NUMBERS
from tests.api.conftest import Api, placed
from tests.factories import record_callback

ALL_CALLS = "exotel_ccm.view_all_calls"


def test_numbers_and_recordings_need_permissions(api: Callable[..., Api], ticket: Any) -> None:
    asha = api("asha", *AGENT_WORK)
    supervisor = api("meera", SEES_CALLS, ALL_CALLS, SEES_NUMBERS, "exotel_ccm.listen_recording")
    call = placed(asha.user, ticket, recording_url="https://recordings.exotel.com/a.mp3", customer_label="9000001009")

    hidden, seen = (one.get(f"calls/{call.reference}/").json() for one in (asha, supervisor))

    assert hidden["customer_number"] == "+••••••••••09"
    assert hidden["recording_url"] == ""
    assert "9000001009" not in str(hidden)
    assert seen["customer_number"] == BY_HAND
    assert seen["recording_url"] != ""


def test_no_text_has_a_number_that_one_may_not_see(host: Any, ticket: Any) -> None:
    """Each text has a number of its own, so that one is found that is not masked."""
    columns = ("customer_number", "customer_label", "ticket_label", "custom_field", "override_reason")
    names = [*columns, "event", "advice", "note", "call-back", "call-back's ticket", "entry", "reason"]
    numbers = {name: f"+9198765432{place}" for place, name in enumerate(names, 10)}
    work = ("view_callevent", "add_callnote", "view_followup", "view_donotcall")
    asha = host.user("asha", *AGENT_WORK, SEES_CALLS, *(f"exotel_ccm.{name}" for name in work))
    call = placed(asha, ticket, **{column: numbers[column] for column in columns})
    event = record_callback(call, "terminal", status="completed", talk_time=42, custom_field=numbers["event"])
    CallEvent.objects.filter(pk=event.pk).update(advice=numbers["advice"])
    add_note(call, author=asha, text=numbers["note"])
    soon = timezone.now() + datetime.timedelta(days=1)
    row = schedule_follow_up(ticket=ticket, due_at=soon, assigned_to=asha, text=numbers["call-back"])
    FollowUp.objects.filter(pk=row.pk).update(ticket_label=numbers["call-back's ticket"])
    DoNotCall.objects.create(number=numbers["entry"], reason=numbers["reason"])
    one = f"calls/{call.reference}/"
    paths = ("calls/", one, f"{one}events/", f"{one}notes/", "follow-ups/", "do-not-call/")

    def seen() -> dict[str, set[str]]:
        """The names of the numbers in each answer."""
        answers = {path: Api(User.objects.get(pk=asha.pk)).get(path).content.decode() for path in paths}
        answers["status/"] = Api(asha).get(f"calls/status/?reference={call.reference}").content.decode()
        return {path: {name for name in names if numbers[name][1:] in text} for path, text in answers.items()}

    assert set().union(*seen().values()) == set()
    asha.user_permissions.add(*_permissions("view_customer_number"))
    assert seen() == {
        "calls/": set(columns),
        one: set(columns),
        f"{one}events/": {"event", "advice"},
        f"{one}notes/": {"note"},
        "follow-ups/": {"call-back", "call-back's ticket"},
        "do-not-call/": {"entry", "reason"},
        "status/": {"customer_label"},
    }


def test_no_text_has_an_address_with_a_signature(host: Any, ticket: Any) -> None:
    """Also for who may see numbers and hear recordings: our own address asks who listens, and writes it down."""
    signed = "https://recordings.exotel.com/a.mp3?signature=secret"
    more = ("view_callevent", "view_followup", "listen_recording", "view_customer_number")
    asha = Api(host.user("asha", *AGENT_WORK, SEES_CALLS, *(f"exotel_ccm.{name}" for name in more)))
    call = placed(asha.user, ticket, recording_url=signed)
    record_callback(call, "terminal", status="completed", recordings=(signed,))
    add_note(call, author=asha.user, text=f"Listen to {signed}")
    soon = timezone.now() + datetime.timedelta(days=1)
    schedule_follow_up(ticket=ticket, due_at=soon, assigned_to=asha.user, text=f"Listen to {signed}")

    for path in ("calls/", f"calls/{call.reference}/events/", f"calls/{call.reference}/notes/", "follow-ups/"):
        text = asha.get(path).content.decode()
        assert "secret" not in text
        assert len(asha.get(path).json()["results"]) == 1
        assert path == "calls/" or "https://recordings.exotel.com" in text


def test_a_call_that_was_moved_does_not_name_the_other_ticket(asha: Api, host: Any, ticket: Any) -> None:
    call = placed(asha.user, ticket)
    secret = host.ticket("Secret matter")
    move_calls(ticket, secret)
    asha.user.user_permissions.clear()
    asha.user.user_permissions.add(*_permissions("place_call"))

    shown = asha.get(f"calls/{call.reference}/").json()

    assert (shown["ticket"], shown["ticket_label"]) == (None, "")


def _permissions(*names: str) -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.filter(codename__in=names)


def test_a_long_key_is_no_phone_number(asha: Api, host: Any) -> None:
    ticket = host.ticket(pk=7777952)
    call = placed(asha.user, ticket)

    shown = asha.get(f"calls/{call.reference}/").json()

    assert (shown["ticket"], shown["custom_field"]) == ("ticket_7777952", "ticket_7777952")
