""" "Apply again" in the admin, and the confirmation that it shares with "Try now"."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.admin import confirmed_action
from django_exotel_ccm.admin import events as events_admin
from django_exotel_ccm.choices import Authentication, EventReason
from django_exotel_ccm.models import CallEvent, CallRecord
from tests.admin.pages import LEDGER, SEES_CALLS, Page, Session
from tests.factories import SID, body_of

CHANGES = "exotel_ccm.change_callevent"


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("meera", SEES_CALLS, CHANGES, *LEDGER, agent=None))


@pytest.fixture
def looker(host: Any) -> Session:
    """The session of a user who may see events and not apply them."""
    return Session(host.user("vik", SEES_CALLS, *LEDGER, agent=None))


def known_call(**fields: Any) -> CallRecord:
    return CallRecord.objects.create(**{"account": "default", "created_at": timezone.now(), **fields})


def stored_event(raw: bytes = b"", **fields: Any) -> CallEvent:
    given = {"kind": "callback", "event": "terminal", "authentication": Authentication.SIGNED_URL, **fields}
    given.setdefault("fingerprint", uuid.uuid4().hex)
    return CallEvent.objects.create(raw=raw, received_at=timezone.now(), **given)


def unapplied(call: CallRecord | None = None, sid: str = SID, **fields: Any) -> CallEvent:
    """An event from before its call was known."""
    given = {"reference": call.reference if call else uuid.uuid4(), "reason": EventReason.UNKNOWN_CALL, **fields}
    return stored_event(body_of(sid=sid, call_status="busy"), **given)


def choose(session: Session, *events: CallEvent, query: str = "", **extra: Any) -> Page:
    """Choose events in the list and run "Apply again"."""
    form = session.changelist(query, "exotel_ccm_callevent").of_id("changelist-form")
    chosen = {"action": ["apply_again"], "index": ["0"], "_selected_action": [str(one.pk) for one in events]}
    return session.post(session.url("exotel_ccm_callevent_changelist") + query, form.data | chosen | extra)


def press(session: Session, page: Page) -> Page:
    """Press the page's button."""
    [form] = page.of_class("exotel-confirm")
    return session.post(form.attributes["action"], form.data)


def open_event(session: Session, event: CallEvent) -> Page:
    return session.get(session.url("exotel_ccm_callevent_change", event.pk))


def target() -> str:
    return reverse("admin:exotel_ccm_callevent_apply_again")


# One event.


def test_event_is_applied_from_its_page(session: Session) -> None:
    call = known_call()
    event = unapplied(call)

    answer = press(session, open_event(session, event))

    assert answer.messages == "1 event was applied."
    assert session.where == session.url("exotel_ccm_callevent_change", event.pk)
    assert answer.of_class("exotel-confirm") == []
    call.refresh_from_db()
    assert (call.state, call.outcome) == ("ended", "busy")
    [entry] = LogEntry.objects.all()
    assert (entry.user_id, entry.object_id, entry.change_message) == (
        session.user.pk,
        str(event.pk),
        "Applied again: applied.",
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reason": EventReason.UNREADABLE}, "unreadable body"),
        ({"reason": EventReason.ANOTHER_CALL, "facts": {"call_sid": "x"}, "purged_at": timezone.now()}, "another call"),
    ],
)
def test_unapplied_event_says_why(fields: dict[str, Any], message: str, session: Session) -> None:
    call = known_call(call_sid=SID)
    stored_event(kind="answer", verdict="active", facts={"call_sid": SID}, call=call)
    event = stored_event(b"" if "purged_at" in fields else b"<html>", call=call, reference=call.reference, **fields)

    answer = press(session, open_event(session, event))

    assert message in answer.messages
    assert CallEvent.objects.get(pk=event.pk).reason == fields["reason"]
    assert message in LogEntry.objects.get().change_message


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": ""},
        {"reason": EventReason.UNVERIFIED, "authentication": Authentication.ACCOUNT_URL},
        {"reason": EventReason.UNREADABLE, "authentication": Authentication.ACCOUNT_URL},
    ],
)
def test_ineligible_event_has_no_button(fields: dict[str, str], session: Session) -> None:
    call = known_call()
    event = stored_event(body_of(), reference=call.reference, **fields)

    page = open_event(session, event)
    other = open_event(session, unapplied(call))
    forged = other.of_class("exotel-confirm")[0].data | {"exotel_row": [str(event.pk)]}
    answer = session.post(target(), forged)

    assert page.of_class("exotel-confirm") == []
    assert "left alone" in answer.messages
    assert CallRecord.objects.get().state == "requested"


# Many.


def test_preview_of_chosen_events(session: Session) -> None:
    call = known_call()
    known, unknown, unread = (
        unapplied(call),
        unapplied(sid="x"),
        stored_event(b"<", call=call, reason=EventReason.UNREADABLE),
    )
    unread.reference = call.reference
    unread.save()
    emptied = stored_event(call=call, reference=call.reference, reason=EventReason.NO_CALL, purged_at=timezone.now())
    foreign = stored_event(call=call, reference=call.reference, reason=EventReason.ANOTHER_CALL)
    unverified = stored_event(reason=EventReason.UNVERIFIED, authentication=Authentication.ACCOUNT_URL)

    page = choose(session, known, unknown, unread, emptied, foreign, unverified, stored_event())

    assert [
        message in page.text
        for message in (
            "no such call Its call is known now, so it is linked and applied.",
            "no such call Its call is still not known, so it stays as it is.",
            "unreadable body Its raw body is read again.",
            "no call in the body Its raw body was emptied, so nothing can be read, and it stays as it is.",
            "it names another call It is checked again whether it belongs to this call.",
            "1 event is applied already.",
            "1 event came to the account's own URL and is not verified".replace("'", "&#x27;"),
            "No, take me back",
        )
    ] == [True] * 8
    assert CallRecord.objects.get().state == "requested"
    assert len(page.of_class("exotel-confirm")[0].data["exotel_row"]) == 5


def test_result_is_shown_on_filtered_list(session: Session) -> None:
    calls = [known_call(), known_call()]
    events = [unapplied(calls[0], "one"), unapplied(calls[1], "two"), unapplied(sid="x")]
    query = "?reason__exact=unknown_call&kind__exact=callback"

    answer = press(session, choose(session, *events, query=query))

    assert answer.messages == "2 events were applied. 1 event was not applied: no such call."
    assert session.where == session.url("exotel_ccm_callevent_changelist") + query
    assert [call.state for call in CallRecord.objects.all()] == ["ended", "ended"]
    assert LogEntry.objects.count() == 3


def test_cancel_leads_back_to_list(session: Session) -> None:
    page = choose(session, unapplied(), query="?reason__exact=unknown_call")

    back = session.get(page.links["No, take me back"].replace("&amp;", "&"))

    assert "1 event" in back.text
    assert session.where.endswith("?reason__exact=unknown_call")
    assert CallEvent.objects.get().reason == EventReason.UNKNOWN_CALL


def test_whole_search_up_to_limit(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmed_action, "MAX_AT_ONCE", 3)
    events = [unapplied(known_call(), f"sid{n}") for n in range(3)]
    applied = [stored_event() for _n in range(5)]

    page = choose(session, applied[0], select_across="1")
    assert "5 events are applied already." in page.text
    assert len(page.of_class("exotel-confirm")[0].data["exotel_row"]) == 3
    assert "3 events were applied." in press(session, page).messages

    CallEvent.objects.filter(pk__in=[event.pk for event in events]).update(reason=EventReason.UNKNOWN_CALL)
    unapplied()
    assert "Choose at most 3 events" in choose(session, applied[0], select_across="1").messages
    forged = open_event(session, events[0]).of_class("exotel-confirm")[0].data
    pks = [str(event.pk) for event in CallEvent.objects.exclude(reason="")]
    assert len(pks) == 4
    session.post(target(), forged | {"exotel_row": pks})
    assert LogEntry.objects.count() == 3 + 3


def test_nothing_to_apply(session: Session) -> None:
    page = choose(session, stored_event())

    assert "There is nothing to do for what you chose." in page.text
    assert page.of_class("exotel-confirm") == []


def test_time_limit_of_action(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [unapplied(known_call(), f"sid{n}") for n in range(3)]
    page = choose(session, *events)
    reprocess = events_admin.reprocess

    def slow(event: CallEvent) -> CallEvent:
        monkeypatch.setattr(events_admin.time, "monotonic", lambda: float("inf"))
        return reprocess(event)

    monkeypatch.setattr(events_admin, "reprocess", slow)

    assert "1 event was applied. It took too long: 2 events were not begun." in press(session, page).messages


def test_preview_queries_do_not_grow(session: Session) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            choose(session, *CallEvent.objects.all())
        return len(queries)

    for n in range(2):
        unapplied(known_call(), f"sid{n}")
    cost()
    few = cost()
    for n in range(2, 20):
        unapplied(known_call(), f"sid{n}")

    assert cost() == few


# Who may, and how.


def test_apply_again_needs_permission(looker: Session, session: Session) -> None:
    event = unapplied(known_call())

    listed = looker.changelist(model="exotel_ccm_callevent")
    assert looker.response.status_code == 200
    assert "apply_again" not in listed.html
    assert open_event(looker, event).of_class("exotel-confirm") == []

    token = open_event(looker, event).html.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    looker.post(target(), {"csrfmiddlewaretoken": token, "exotel_row": str(event.pk)})
    assert looker.response.status_code == 403
    assert CallRecord.objects.get().state == "requested"


def test_apply_again_needs_login_and_post(session: Session) -> None:
    event = unapplied(known_call())
    data = {"exotel_row": str(event.pk)}

    anonymous = Client().post(target(), data)
    without_token = session.client.post(target(), data)
    linked = session.get(f"{target()}?exotel_row={event.pk}")

    assert (anonymous.status_code, "/login/" in anonymous["Location"]) == (302, True)
    assert without_token.status_code == 403
    assert session.where == "/admin/exotel_ccm/callevent/"
    assert "Nothing was done. Press again." in linked.messages
    assert CallRecord.objects.get().state == "requested"


def test_invalid_keys_are_ignored(session: Session) -> None:
    data = open_event(session, unapplied()).of_class("exotel-confirm")[0].data

    session.post(target(), data | {"exotel_row": ["", "x", "-1", "9" * 30, "१", "0"]})

    assert session.response.status_code == 200
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("back", ["https://evil.example.com/", "//evil.example.com", "javascript:alert(1)"])
def test_back_stays_on_host(back: str, session: Session) -> None:
    data = open_event(session, unapplied()).of_class("exotel-confirm")[0].data

    session.post(target(), data | {"exotel_back": [back]})

    assert session.where == session.url("exotel_ccm_callevent_changelist")


def test_apply_again_under_atomic_requests(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    call = known_call()

    answer = press(session, open_event(session, unapplied(call)))

    assert answer.messages == "1 event was applied."
    call.refresh_from_db()
    assert call.state == "ended"


def atomic_middleware(get_response: Any) -> Any:
    def respond(request: Any) -> Any:
        with transaction.atomic():
            return get_response(request)

    return respond


def test_middleware_transaction_is_named(session: Session, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.atomic_middleware"]

    answer = press(session, open_event(session, unapplied(known_call())))

    assert "A middleware of this site has a transaction open" in answer.messages
    assert CallRecord.objects.get().state == "requested"


def test_popup_has_no_button(session: Session) -> None:
    page = session.get(session.url("exotel_ccm_callevent_change", unapplied().pk) + "?_popup=1")

    assert session.response.status_code == 200
    assert page.of_class("exotel-confirm") == []
