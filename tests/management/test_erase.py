"""``exotel_erase`` deletes a number and its recordings everywhere; the calls still count in reports."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import AnnouncementState, Authentication, EventReason, UnverifiedReason
from django_exotel_ccm.exceptions import InvalidNote
from django_exotel_ccm.models import (
    Announcement,
    CallEvent,
    CallList,
    CallNote,
    CallRecord,
    Disposition,
    DoNotCall,
    FollowUp,
    UnverifiedCall,
)
from django_exotel_ccm.services import add_note, schedule_follow_up
from django_exotel_ccm.services.reconciliation.external_calls import record_account_event
from tests.factories import SID, Calls, body_of, record_callback
from tests.helpdesk.models import Ticket
from tests.management.conftest import CUSTOMER, Erase, Printed, assert_nothing_left, everything, record

Run = Callable[..., Printed]
Complete = Callable[..., CallRecord]
OTHER = "+919000001002"
RECORDING = "https://recordings.exotel.com/exotelrecordings/acme/secret.mp3"
NAMES_CUSTOMER = {
    "customer_details": {"contact_uri": CUSTOMER},
    "recordings": [RECORDING],
    "custom_field": CUSTOMER,
}
ACCOUNT_URL = {"account": "default", "authentication": Authentication.ACCOUNT_URL, "reason": EventReason.UNVERIFIED}
KEPT = ("state", "outcome", "call_sid", "started_at", "answered_at", "ended_at", "total_duration", "talk_time")
differs = pytest.mark.books_differ("the customer is erased")


def stored(raw: bytes = b"", **fields: Any) -> CallEvent:
    """Store an event and return it."""
    given = {"kind": "callback", "fingerprint": uuid.uuid4().hex, "received_at": timezone.now(), "raw": raw}
    return CallEvent.objects.create(**{**given, **fields})


def quote_all(call: CallRecord, **kwargs: Any) -> None:
    raise RuntimeError(f"{call.customer_number} cannot play {call.recording_url}")


@differs
def test_number_and_recordings_go_and_calls_still_count(
    host: Any, exotel: Any, complete_call: Complete, run: Run, erase: Erase, receivers: Callable[..., None]
) -> None:
    receivers(signals.call_ended, quote_all)
    ticket = host.ticket(subject=f"Ravi {CUSTOMER}", phone=CUSTOMER)
    calls = [complete_call(ticket=ticket), complete_call(custom_field="lead_+91 90000 01001")]
    other = complete_call(to=OTHER)
    recording = calls[0].recording_url.rpartition("/")[2]
    before, others = [record(call) for call in calls], [record(other), *other.events.order_by("pk").values()]
    assert recording in everything()

    run("exotel_erase", CUSTOMER)
    assert [record(call) for call in calls] == before

    assert erase() == "2 calls, 2 with a recording; 6 events of theirs; 0 other events."
    assert recording not in everything()
    assert "Ravi" not in everything()
    after = [record(call) for call in calls]
    assert [[row[name] for name in KEPT] for row in after] == [[row[name] for name in KEPT] for row in before]
    assert [(row["customer_number"], row["recording_url"], row["ticket_label"]) for row in after] == [("", "", "")] * 2
    assert [row["custom_field"] for row in after] == [f"ticket_{ticket.pk}", "lead_+•• ••••• •••01"]
    assert [row["ticket_object_id"] for row in after] == [str(ticket.pk), ""]
    assert all(row["erased_at"] for row in after)
    assert [record(other), *other.events.order_by("pk").values()] == others
    assert "cannot play" in Announcement.objects.filter(state="failed").order_by("pk")[0].receivers[0]["error"]


def test_notes_are_emptied_and_still_count(host: Any, real_calls: Calls, run: Run, erase: Erase) -> None:
    asha, ticket, later = host.user("asha"), host.ticket(phone=CUSTOMER), timezone.now() + timedelta(hours=1)
    reached = Disposition.objects.create(code="reached", label="Reached")
    call, other = (
        real_calls.requested(ticket=ticket, ticket_label="Ravi", customer_number=number) for number in (CUSTOMER, OTHER)
    )
    note = add_note(call, author=asha, text="Ravi is angry", disposition=reached, follow_up_at=later)
    kept = add_note(other, author=asha, text="His sister is not", follow_up_at=later)
    schedule_follow_up(ticket=ticket, due_at=later, assigned_to=asha, text="Ravi wants a fan")

    assert "; 3 notes and call-backs;" in run("exotel_erase", CUSTOMER).out
    assert FollowUp.objects.filter(text="Ravi wants a fan").exists()
    assert erase() == "1 call, 0 with a recording; 0 events of theirs; 3 notes and call-backs; 0 other events."

    note.refresh_from_db()
    assert (note.text, note.disposition, note.author) == ("", reached, asha)
    assert [(one.call, one.text, one.ticket_label, one.ticket) for one in FollowUp.objects.order_by("pk")] == [
        (call, "", "", ticket),
        (other, "His sister is not", "Ravi", ticket),
        (None, "", "", ticket),
    ]
    assert CallNote.objects.get(pk=kept.pk).text == "His sister is not"
    with pytest.raises(InvalidNote):
        add_note(call, author=asha, text="Ravi again")


def test_output_names_limits_and_no_number(real_calls: Calls, run: Run) -> None:
    real_calls.accepted(customer_number=CUSTOMER)

    dry, done = run("exotel_erase", "90000 01001"), run("exotel_erase", "90000 01001", "--apply")

    for beyond in ("Exotel's own copy", "backups", "Your own ticket"):
        assert beyond in dry.out
        assert beyond in done.out
    assert CUSTOMER[3:-2] not in dry.out + done.out
    assert "--apply" in dry.out
    assert_nothing_left()


def test_invalid_number(run: Run, db: None) -> None:
    printed = run("exotel_erase", "Ravi")

    assert (printed.status, "with its country code" in printed.err) == (1, True)


def test_agent_and_sid_stay(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted("a9000001001b", customer_number=CUSTOMER, agent_label="Asha")
    record_callback(call, "terminal", agent_uri="+919000000101", agent_id="7d1f", customer_number="09000001001")

    run("exotel_erase", CUSTOMER, "--apply")

    assert CallEvent.objects.get(kind="callback").facts == {"agent_uri": "+919000000101", "agent_id": "7d1f"}
    assert (record(call)["agent_label"], record(call)["call_sid"]) == ("Asha", "a9000001001b")
    assert run("exotel_replay").status == 0


# Events and calls that are not known to be of this number.

NAMING: dict[str, dict[str, Any]] = {
    "in the facts": {"facts": {"customer_number": "09000001001", "recordings": [RECORDING], "talk_time": 5}},
    "in a form": {"raw": urlencode({"To": "+91 90000 01001", "RecordingUrl": RECORDING}).encode()},
    "beside other digits": {"raw": b"2026-02-11 9000001001 " + RECORDING.encode()},
    "in JSON": {"raw": json.dumps({"to": "09000001001", "url": RECORDING}).encode()},
    "unreadable": {"raw": b"\xff 9000001001 " + RECORDING.encode(), "reason": EventReason.UNREADABLE},
}


@pytest.mark.parametrize("place", NAMING)
def test_event_of_no_call_that_names_the_number(place: str, erase: Erase, db: None) -> None:
    event = stored(**{"reason": EventReason.UNKNOWN_CALL, "reference": uuid.uuid4(), **NAMING[place]})
    # The second is of another country, with the same digits behind its code.
    others = [json.dumps({"to": to}).encode() for to in (OTHER, "+1 9000001001")]
    left = [stored(raw, reason=EventReason.UNKNOWN_CALL) for raw in others]

    assert erase() == "0 calls, 0 with a recording; 0 events of theirs; 1 other event."

    after = CallEvent.objects.get(pk=event.pk)
    assert (after.reason, after.facts.get("talk_time")) == (event.reason, event.facts.get("talk_time"))
    assert (after.purged_at is not None) is bool(event.raw)
    assert [bytes(CallEvent.objects.get(pk=one.pk).raw) for one in left] == others


def test_reported_call_is_not_checked_any_more(erase: Erase, db: None) -> None:
    def report(raw: str) -> None:
        facts = {"call_sid": SID, "customer_number": CUSTOMER, "recordings": [RECORDING]}
        given = {"kind": "callback", "event": "terminal", "received_at": timezone.now(), **ACCOUNT_URL}
        record_account_event(CallEvent(facts=facts, raw=f"{CUSTOMER} {raw}".encode(), **given))

    report("once")
    UnverifiedCall.objects.create(
        account="default", call_sid="other", reported_at=timezone.now(), next_check_at=timezone.now()
    )

    erase()
    report("again")

    assert CallEvent.objects.count() == 2
    assert_nothing_left()
    reported = {row.call_sid: row for row in UnverifiedCall.objects.all()}
    assert (reported[SID].next_check_at, reported[SID].code) == (None, UnverifiedReason.ERASED)
    assert reported[SID].gave_up_at is not None
    assert reported["other"].next_check_at is not None


def test_event_at_another_customers_call_goes_alone(real_calls: Calls, erase: Erase) -> None:
    call = real_calls.accepted(customer_number=OTHER)
    real_calls.deliver(call, body_of(sid="another", **NAMES_CUSTOMER))
    before = record(call)

    assert erase() == "0 calls, 0 with a recording; 0 events of theirs; 1 other event."
    assert record(call) == before


def test_call_of_unknown_number_is_found_by_its_events(real_calls: Calls, erase: Erase) -> None:
    call = real_calls.accepted(customer_number="", customer_label="Ravi", ticket_label="Ravi")
    for talk_time in (41, 42):
        record_callback(
            call, "terminal", customer_number="0 9000001001 x", talk_time=talk_time, recordings=(RECORDING,)
        )

    assert erase() == "1 call, 1 with a recording; 3 events of theirs; 0 other events."
    after = record(call)
    assert (after["customer_label"], after["ticket_label"], after["recording_url"]) == ("", "", "")
    assert after["talk_time"] == 42


def test_call_of_unknown_number_is_found_by_its_columns(real_calls: Calls, run: Run) -> None:
    for number, field in (("", "custom_field"), ("", "customer_label"), ("", "ticket_label"), (OTHER, "custom_field")):
        real_calls.accepted(uuid.uuid4().hex, customer_number=number, **{field: f"lead_{CUSTOMER}"})

    assert "3 calls, 0 with a recording; 3 events of theirs; 0 other" in run("exotel_erase", CUSTOMER, "--apply").out
    assert [bool(call.erased_at) for call in CallRecord.objects.order_by("pk")] == [True, True, True, False]


def test_ticket_key_that_is_the_number_is_masked(real_calls: Calls, erase: Erase) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER, ticket_object_id=CUSTOMER, custom_field=f"lead_{CUSTOMER}")

    erase()

    assert record(call)["ticket_object_id"] == "+••••••••••01"


def test_key_of_a_ticket_on_a_call_list_is_masked(real_calls: Calls, host: Any, erase: Erase) -> None:
    kind = ContentType.objects.get_for_model(Ticket)
    real_calls.accepted(customer_number=CUSTOMER, ticket_content_type=kind, ticket_object_id=CUSTOMER)
    call_list = CallList.objects.create(owner=host.user("asha"), name="Monday", created_at=timezone.now())
    for key in (CUSTOMER, OTHER):
        call_list.items.create(ticket_content_type=kind, ticket_object_id=key, position=1)

    erase()

    assert sorted(call_list.items.values_list("ticket_object_id", flat=True)) == ["+919000001002", "+••••••••••01"]


def test_key_of_a_ticket_about_which_nobody_called_is_masked(host: Any, run: Run, erase: Erase, db: None) -> None:
    """A host may have numbers for keys; these customers were put on a list, or are to be called, and never were."""
    kind, asha = ContentType.objects.get_for_model(Ticket), host.user("asha")
    call_list = CallList.objects.create(owner=asha, name="Monday", created_at=timezone.now())
    about = {"assigned_to": asha, "created_at": timezone.now(), "due_at": timezone.now(), "text": "wants a fan"}
    for key in ("90000 01001", OTHER):
        call_list.items.create(ticket_content_type=kind, ticket_object_id=key, position=1)
        FollowUp.objects.create(ticket_content_type=kind, ticket_object_id=key, ticket_label=f"Ravi {key}", **about)

    assert "; 1 note or call-back;" in run("exotel_erase", CUSTOMER).out
    erase()

    assert sorted(call_list.items.values_list("ticket_object_id", flat=True)) == [OTHER, "••••• •••01"]
    kept = FollowUp.objects.order_by("pk").values_list("ticket_object_id", "ticket_label", "text")
    assert list(kept) == [("••••• •••01", "", ""), (OTHER, f"Ravi {OTHER}", "wants a fan")]


def test_follow_up_after_no_call_that_names_the_number(host: Any, real_calls: Calls, run: Run) -> None:
    asha, later = host.user("asha"), timezone.now() + timedelta(hours=1)
    theirs, labelled, anothers = (host.ticket(subject=subject) for subject in ("Fan", f"Fan of {CUSTOMER}", "Lamp"))
    real_calls.requested(ticket=anothers, customer_number=OTHER)
    for ticket, text in ((theirs, "Ravi, 90000-01001"), (labelled, ""), (anothers, f"then his brother {CUSTOMER}")):
        schedule_follow_up(ticket=ticket, due_at=later, assigned_to=asha, text=text)

    counts = "0 calls, 0 with a recording; 0 events of theirs; 1 note or call-back;"
    assert counts in run("exotel_erase", CUSTOMER).out
    assert counts in run("exotel_erase", CUSTOMER, "--apply").out

    assert list(FollowUp.objects.order_by("pk").values_list("text", "ticket_label")) == [
        ("", ""),
        ("", ""),
        (f"then his brother {CUSTOMER}", "Lamp"),
    ]


def test_number_in_the_name_of_a_call_list_is_masked(host: Any, run: Run, erase: Erase) -> None:
    asha = host.user("asha")
    for name in ("Ravi 90000-01001", f"Not {OTHER}", "Monday"):
        CallList.objects.create(owner=asha, name=name, created_at=timezone.now())

    assert "; 1 name of a call list;" in run("exotel_erase", CUSTOMER).out
    assert CallList.objects.filter(name="Ravi 90000-01001").exists()
    erase()

    names = list(CallList.objects.order_by("pk").values_list("name", flat=True))
    assert names == ["Ravi •••••-•••01", f"Not {OTHER}", "Monday"]


def test_traceback_with_encoded_number_is_masked(real_calls: Calls, erase: Erase) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    text = "Max retries exceeded with url: /send?to=%2B91+90000+01001&json=%7B%22to%22:%20%229000001001%22%7D"
    identity = "https://crm.example.com/receivers/sms"
    delivery = {
        "receiver": identity,
        "delivered": False,
        "error": text,
        "traceback": text,
        "attempts": 17,
        "abandoned": True,
    }
    Announcement.objects.filter(call=call).update(state=AnnouncementState.FAILED, receivers=[delivery])

    erase()

    [after] = Announcement.objects.get(call=call).receivers
    assert (after["receiver"], after["error"]) == (identity, after["traceback"])
    assert after["error"].startswith("Max retries exceeded with url: /send?to=")
    assert "9000" not in after["error"]


@pytest.mark.parametrize("how", ["reported", "restored", "at another call"])
def test_event_that_names_an_erased_call(how: str, real_calls: Calls, run: Run) -> None:
    """The event contains the recording's address; the second row names another customer's call, and stays."""
    raw = json.dumps({"sid": SID, "url": RECORDING}).encode()
    facts, others = ({"call_sid": sid, "recordings": [RECORDING], "talk_time": 5} for sid in (SID, "other"))
    call = real_calls.accepted(customer_number=CUSTOMER)
    if how == "reported":
        rows = [stored(raw, facts=one, **ACCOUNT_URL) for one in (facts, others)]
    elif how == "restored":
        known = {"facts": {"recordings": [RECORDING], "talk_time": 5}, "reason": EventReason.UNKNOWN_CALL}
        rows = [stored(raw, reference=reference, **known) for reference in (call.reference, uuid.uuid4())]
    else:
        other_call = real_calls.accepted("of another", customer_number=OTHER)
        linked = {"call": other_call, "reference": other_call.reference, "reason": EventReason.ANOTHER_CALL}
        rows = [stored(raw, facts=one, **linked) for one in (facts, others)]

    counts = "1 call, 0 with a recording; 1 event of theirs; 1 other event."
    assert counts in run("exotel_erase", CUSTOMER).out
    assert counts in run("exotel_erase", CUSTOMER, "--apply").out

    theirs, other = (CallEvent.objects.get(pk=row.pk) for row in rows)
    assert (bytes(theirs.raw), "recordings" in theirs.facts, theirs.facts["talk_time"]) == (b"", False, 5)
    assert (bytes(other.raw), "recordings" in other.facts) == (raw, True)
    assert "0 other events" in run("exotel_erase", CUSTOMER, "--apply").out
    # A restored event is linked, which is all that a replay finds to do.
    assert run("exotel_replay", *(["--apply"] if how == "restored" else [])).status == 0


# The do-not-call list.


@pytest.mark.parametrize(("options", "stays"), [((), True), (("--do-not-call",), False)])
def test_number_stays_on_the_do_not_call_list(db: None, run: Run, options: tuple[str, ...], stays: bool) -> None:
    DoNotCall.objects.create(number=CUSTOMER, reason="Mail of Ravi, 3 May", source="typed")
    DoNotCall.objects.create(number=OTHER, reason="Mail of Meera")

    looked = run("exotel_erase", CUSTOMER, *options)
    assert DoNotCall.objects.get(number=CUSTOMER).reason == "Mail of Ravi, 3 May"
    erased = run("exotel_erase", CUSTOMER, "--apply", *options)

    assert list(DoNotCall.objects.filter(number=CUSTOMER).values_list("reason", "source")) == [("", "typed")] * stays
    assert DoNotCall.objects.get(number=OTHER).reason == "Mail of Meera"
    for printed in (looked, erased):
        assert ("stays on the do-not-call list" in printed.out) == stays


@differs
def test_reason_to_call_anyway_is_erased(
    exotel: Any, settings: Any, complete_call: Complete, run: Run, host: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": ["django_exotel_ccm.policies.DoNotCall"]}
    DoNotCall.objects.create(number=CUSTOMER)
    call = complete_call(override_reason="Ravi waits for us")
    assert call.override_reason

    run("exotel_erase", CUSTOMER, "--apply")

    call.refresh_from_db()
    assert (call.override_reason, call.overridden_rules) == ("", "DoNotCall")
