"""``exotel_erase``: a customer's number and recordings go from everywhere, and the calls still count."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import AnnouncementState, Authentication, EventReason, HintReason, State
from django_exotel_ccm.management import progress
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord, Hint
from django_exotel_ccm.phone_numbers import pattern_of
from django_exotel_ccm.services import erasing, place_call
from django_exotel_ccm.services.hints import record_hint
from django_exotel_ccm.services.telling import take_up, tell_call
from tests.admin.desk import LEDGER, SEES_CALLS, SEES_NUMBERS, Desk
from tests.ledger.conftest import CUSTOMER, Printed, record
from tests.services.telling import tell
from tests.webhooks.conftest import SID, Calls, body_of

Run = Callable[..., Printed]
Story = Callable[..., CallRecord]

OTHER = "+919000001002"
RECORDING = "https://recordings.exotel.com/exotelrecordings/acme/secret.mp3"
KEPT = ("state", "outcome", "call_sid", "started_at", "answered_at", "ended_at", "total_duration", "talk_time")
differs = pytest.mark.books_differ("the customer is erased")


def everything() -> str:
    """Return all that is in our tables, as text."""
    found = []
    for model in apps.get_app_config("exotel_ccm").get_models():
        for row in model._base_manager.order_by("pk").values():
            found += [bytes(one).decode() if isinstance(one, bytes | memoryview) else str(one) for one in row.values()]
    return "\n".join(found)


def is_somewhere(number: str = CUSTOMER) -> bool:
    return pattern_of(number).search(everything()) is not None


def quote_all(call: CallRecord, **news: Any) -> None:
    raise RuntimeError(f"{call.customer_number} cannot hear {call.recording_url}")


@differs
def test_number_and_recordings_go_from_everywhere_and_the_calls_still_count(
    host: Any, exotel: Any, story: Story, run: Run, receivers: Callable[..., None]
) -> None:
    receivers(signals.call_ended, quote_all)
    ticket = host.ticket(subject=f"Ravi {CUSTOMER}", phone=CUSTOMER)
    calls = [story(ticket=ticket), story(custom_field="lead_+91 90000 01001")]
    other = story(to=OTHER)
    recording = calls[0].recording_url
    before, others = [record(call) for call in calls], [record(other), *other.events.order_by("pk").values()]
    assert recording.rpartition("/")[2] in everything()

    dry = run("exotel_erase", CUSTOMER)

    count = "+••••••••••01: 2 calls, 2 with a recording; 6 events of theirs; 0 other events."
    assert dry.lines[0] == f"{count} Nothing is changed."
    assert [record(call) for call in calls] == before

    applied = run("exotel_erase", CUSTOMER, "--apply")

    assert applied.lines[0] == f"{count} Erased."
    assert not is_somewhere()
    assert recording.rpartition("/")[2] not in everything()
    assert "Ravi" not in everything()
    after = [record(call) for call in calls]
    assert [[row[name] for name in KEPT] for row in after] == [[row[name] for name in KEPT] for row in before]
    assert [(row["customer_number"], row["recording_url"], row["ticket_label"]) for row in after] == [("", "", "")] * 2
    assert [row["custom_field"] for row in after] == [f"ticket_{ticket.pk}", "lead_+•• ••••• •••••"]
    assert [row["ticket_object_id"] for row in after] == [str(ticket.pk), ""]
    assert all(row["erased_at"] for row in after)
    assert [record(other), *other.events.order_by("pk").values()] == others
    assert "cannot hear" in Announcement.objects.filter(state="failed").order_by("pk")[0].receivers[0]["error"]
    assert run("exotel_replay").status == 0


@differs
def test_it_says_what_it_cannot_erase_and_prints_no_number(story: Story, run: Run) -> None:
    story()

    for printed in (run("exotel_erase", CUSTOMER), run("exotel_erase", CUSTOMER, "--apply")):
        for beyond in ("Exotel's own copy", "backups", "Your own ticket"):
            assert beyond in printed.out
        assert CUSTOMER[3:-2] not in printed.out
    assert "--apply" in run("exotel_erase", CUSTOMER).out


@pytest.mark.parametrize("typed", ["09000001001", "90000 01001", "+91 (90000) 01001", "0091 9000001001"])
def test_the_number_may_be_typed_as_people_write_it(typed: str, real_calls: Calls, run: Run) -> None:
    real_calls.accepted(customer_number=CUSTOMER)

    run("exotel_erase", typed, "--apply")

    assert not is_somewhere()


def test_what_is_no_number_is_answered_with_what_to_type(run: Run, db: None) -> None:
    printed = run("exotel_erase", "Ravi")

    assert (printed.status, "with its country code" in printed.err) == (1, True)


def test_an_agent_stays_an_agent(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER, agent_label="Asha")
    tell(call, "terminal", agent_uri="+919000000101", agent_id="7d1f", customer_number="09000001001")

    run("exotel_erase", CUSTOMER, "--apply")

    event = CallEvent.objects.get(kind="callback")
    assert event.facts == {"agent_uri": "+919000000101", "agent_id": "7d1f"}
    assert CallRecord.objects.get().agent_label == "Asha"


def test_a_sid_that_holds_the_digits_stays(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted("a9000001001b", customer_number=CUSTOMER)

    run("exotel_erase", CUSTOMER, "--apply")

    assert record(call)["call_sid"] == "a9000001001b"
    assert run("exotel_replay").status == 0


# Events that are of no call to this number.


def kept(raw: bytes = b"", **fields: Any) -> CallEvent:
    now = timezone.now()
    given = {"kind": "callback", "fingerprint": uuid.uuid4().hex, "received_at": now, "raw": raw, **fields}
    return CallEvent.objects.create(**given)


NOBODYS: dict[str, dict[str, Any]] = {
    "in the facts": {"facts": {"customer_number": "09000001001", "recordings": [RECORDING], "talk_time": 5}},
    "as text in the facts": {"facts": {"agent_uri": "sip:+919000001001@pbx", "talk_time": 5}},
    "in a form": {"raw": urlencode({"To": "+91 90000 01001", "RecordingUrl": RECORDING}).encode()},
    "in JSON": {"raw": json.dumps({"to": "09000001001", "url": RECORDING}).encode()},
    "in what cannot be read": {"raw": b"\xff 9000001001 " + RECORDING.encode(), "reason": EventReason.UNREADABLE},
}


@pytest.mark.parametrize("place", NOBODYS)
def test_an_event_of_no_call_is_erased_wherever_it_holds_the_number(place: str, run: Run, db: None) -> None:
    event = kept(**{"reason": EventReason.UNKNOWN_CALL, "reference": uuid.uuid4(), **NOBODYS[place]})
    others = kept(json.dumps({"to": OTHER}).encode(), reason=EventReason.UNKNOWN_CALL)

    counted = "+••••••••••01: 0 calls, 0 with a recording; 0 events of theirs; 1 other event."
    assert run("exotel_erase", CUSTOMER).lines[0] == f"{counted} Nothing is changed."
    assert run("exotel_erase", CUSTOMER, "--apply").lines[0] == f"{counted} Erased."

    assert not is_somewhere()
    assert "secret" not in everything()
    stored = CallEvent.objects.get(pk=event.pk)
    assert (stored.reason, stored.facts.get("talk_time")) == (event.reason, event.facts.get("talk_time"))
    assert (stored.purged_at is not None) is bool(event.raw)
    assert OTHER in bytes(CallEvent.objects.get(pk=others.pk).raw).decode()


def test_a_hint_of_the_customer_is_not_asked_about_any_more(run: Run, db: None) -> None:
    account = {"account": "default", "authentication": Authentication.ACCOUNT_URL, "reason": EventReason.HINT}
    kept(facts={"call_sid": SID, "customer_number": CUSTOMER}, **account)
    due = {"account": "default", "heard_at": timezone.now(), "next_check_at": timezone.now()}
    Hint.objects.create(call_sid=SID, **due)
    Hint.objects.create(call_sid="other", **due)

    run("exotel_erase", CUSTOMER, "--apply")

    hints = {hint.call_sid: hint for hint in Hint.objects.all()}
    assert (hints[SID].next_check_at, hints[SID].code) == (None, HintReason.ERASED)
    assert hints[SID].gave_up_at is not None
    assert hints["other"].next_check_at is not None


def test_what_the_account_s_own_url_tells_of_them_later_is_kept_without_them(run: Run, db: None) -> None:
    told = {"call_sid": SID, "customer_number": CUSTOMER, "recordings": [RECORDING]}

    def tell_hint(raw: bytes) -> CallEvent:
        hint = CallEvent(
            kind="callback", authentication=Authentication.ACCOUNT_URL, account="default", event="terminal"
        )
        hint.facts, hint.raw, hint.received_at = told, raw, timezone.now()
        return record_hint(hint)

    tell_hint(CUSTOMER.encode())
    run("exotel_erase", CUSTOMER, "--apply")
    tell_hint(CUSTOMER.encode() + b" again")

    assert CallEvent.objects.count() == 2
    assert not is_somewhere()
    assert "secret" not in everything()


def test_an_event_of_another_customer_s_call_that_names_a_stranger_is_erased_alone(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=OTHER)
    stranger = {"customer_details": {"contact_uri": CUSTOMER}, "recordings": [RECORDING]}
    real_calls.deliver(call, body_of(sid="stranger", **stranger))
    before = record(call)

    assert "0 calls" in run("exotel_erase", CUSTOMER, "--apply").out

    assert not is_somewhere()
    assert record(call) == before
    assert run("exotel_replay").status == 0


def test_a_call_whose_number_could_not_be_read_is_erased_by_its_events(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number="", ticket_label="Ravi")
    for talk_time in (41, 42):
        tell(call, "terminal", customer_number="0 9000001001 x", talk_time=talk_time, recordings=(RECORDING,))

    counted = "1 call, 1 with a recording; 3 events of theirs; 0 other events."
    assert counted in run("exotel_erase", CUSTOMER).out
    assert counted in run("exotel_erase", CUSTOMER, "--apply").out

    assert not is_somewhere()
    assert (record(call)["ticket_label"], record(call)["talk_time"]) == ("", 42)
    assert record(call)["recording_url"] == ""


def test_a_call_of_unknown_number_is_erased_by_what_the_host_wrote_into_it(real_calls: Calls, run: Run) -> None:
    for number, field in (("", "custom_field"), ("", "ticket_label"), (OTHER, "custom_field")):
        real_calls.accepted(uuid.uuid4().hex, customer_number=number, **{field: f"lead_{CUSTOMER}"})

    counted = "2 calls, 0 with a recording; 2 events of theirs; 0 other events."
    assert counted in run("exotel_erase", CUSTOMER).out
    assert counted in run("exotel_erase", CUSTOMER, "--apply").out

    assert [bool(call.erased_at) for call in CallRecord.objects.order_by("pk")] == [True, True, False]


def test_a_number_that_is_the_ticket_s_key_goes_and_the_call_stays_about_a_ticket(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER, ticket_object_id=CUSTOMER, custom_field=f"lead_{CUSTOMER}")

    run("exotel_erase", CUSTOMER, "--apply")

    assert not is_somewhere()
    assert record(call)["ticket_object_id"]
    assert run("exotel_replay").status == 0


def test_a_traceback_that_quotes_an_encoded_number_loses_it(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    refused = "Max retries exceeded with url: /send?to=%2B91+90000+01001&json=%7B%22to%22:%20%229000001001%22%7D"
    identity = "https://crm.example.com/receivers/sms"
    fate = {"receiver": identity, "told": False, "error": refused, "traceback": refused, "attempts": 17}
    Announcement.objects.filter(call=call).update(state=AnnouncementState.FAILED, receivers=[fate | {"given_up": True}])

    run("exotel_erase", CUSTOMER, "--apply")

    [kept_fate] = Announcement.objects.get(call=call).receivers
    assert (kept_fate["receiver"], kept_fate["error"]) == (identity, kept_fate["traceback"])
    assert kept_fate["error"].startswith("Max retries exceeded with url: /send?to=")
    assert "9000" not in kept_fate["error"]
    assert "01001" not in kept_fate["error"]


# Events that name a call to this number without being linked to it: these may hold the way to its recording.

AT_THE_ACCOUNT_S_URL = {
    "account": "default",
    "authentication": Authentication.ACCOUNT_URL,
    "reason": EventReason.HINT,
}


@pytest.mark.parametrize("how", ["hint", "restored", "another call's"])
def test_an_event_that_names_an_erased_call_is_erased_without_the_number(how: str, real_calls: Calls, run: Run) -> None:
    """The second row is a stranger's, and stays."""
    raw = json.dumps({"sid": SID, "url": RECORDING}).encode()
    facts, others = ({"call_sid": sid, "recordings": [RECORDING], "talk_time": 5} for sid in (SID, "other"))
    call = real_calls.accepted(customer_number=CUSTOMER)
    if how == "hint":
        rows = [kept(raw, facts=one, **AT_THE_ACCOUNT_S_URL) for one in (facts, others)]
    elif how == "restored":
        restored = {"facts": {"recordings": [RECORDING], "talk_time": 5}, "reason": EventReason.UNKNOWN_CALL}
        rows = [kept(raw, reference=reference, **restored) for reference in (call.reference, uuid.uuid4())]
    else:
        stranger = real_calls.accepted("strangers", customer_number=OTHER)
        linked = {"call": stranger, "reference": stranger.reference, "reason": EventReason.ANOTHER_CALL}
        rows = [kept(raw, facts=one, **linked) for one in (facts, others)]

    counted = "1 call, 0 with a recording; 1 event of theirs; 1 other event."
    assert counted in run("exotel_erase", CUSTOMER).out
    assert counted in run("exotel_erase", CUSTOMER, "--apply").out

    theirs, other = (CallEvent.objects.get(pk=row.pk) for row in rows)
    assert (bytes(theirs.raw), "recordings" in theirs.facts, theirs.facts["talk_time"]) == (b"", False, 5)
    assert (bytes(other.raw), "recordings" in other.facts) == (raw, True)
    assert "0 other events" in run("exotel_erase", CUSTOMER, "--apply").out
    # A restored event is linked, which is all that a replay finds to do.
    assert run("exotel_replay", *(["--apply"] if how == "restored" else [])).status == 0


def test_a_run_that_was_killed_after_the_calls_is_gone_on_with(real_calls: Calls, run: Run) -> None:
    real_calls.accepted(customer_number=CUSTOMER)
    run("exotel_erase", CUSTOMER, "--apply")
    kept(RECORDING.encode(), facts={"call_sid": SID, "recordings": [RECORDING]}, **AT_THE_ACCOUNT_S_URL)

    assert "0 calls" in run("exotel_erase", CUSTOMER, "--apply").out

    assert "secret" not in everything()


# What comes later.


def test_what_comes_later_is_kept_without_the_customer(
    real_calls: Calls, run: Run, receivers: Callable[..., None]
) -> None:
    heard: list[str] = []
    for name in ("call_ended", "recording_ready"):
        receivers(getattr(signals, name), lambda name=name, **news: heard.append(name), dispatch_uid=name)
    call = real_calls.accepted(customer_number=CUSTOMER)
    run("exotel_erase", CUSTOMER, "--apply")
    telling = {
        "customer_details": {"contact_uri": CUSTOMER},
        "recordings": [RECORDING],
        "custom_field": f"lead_{CUSTOMER}",
        "total_talk_time": 42,
        "call_status": "completed",
    }

    for _twice in range(2):
        assert real_calls.deliver(call, body_of(**telling)).status_code == 200

    assert not is_somewhere()
    assert "secret" not in everything()
    assert CallEvent.objects.filter(kind="callback").count() == 1
    assert CallEvent.objects.get(kind="callback").purged_at is not None
    stored = CallRecord.objects.get()
    assert (stored.state, stored.outcome, stored.talk_time) == ("ended", "completed", 42)
    assert (stored.customer_number, stored.recording_url) == ("", "")
    assert heard == ["call_ended"]
    assert run("exotel_replay").status == 0


def test_a_receiver_that_fails_later_brings_nothing_back(
    real_calls: Calls, run: Run, receivers: Callable[..., None]
) -> None:
    def quote_the_ticket(**news: Any) -> None:
        raise RuntimeError(f"{CUSTOMER} has not bought {RECORDING}")

    identity = "https://crm.example.com/receivers/20260211"
    receivers(signals.call_ended, quote_the_ticket, dispatch_uid=identity)
    call = real_calls.accepted(customer_number=CUSTOMER)
    run("exotel_erase", CUSTOMER, "--apply")
    tell(call, "terminal", status="completed")

    announced = Announcement.objects.get(signal="call_ended")
    tell_call(take_up(announced.pk))

    [fate] = Announcement.objects.get(pk=announced.pk).receivers
    assert (fate["receiver"], fate["attempts"]) == (identity, 2)
    assert "has not bought https://recordings.exotel.com/[…]" in fate["error"]
    assert not is_somewhere()
    assert "secret" not in everything()


def test_the_same_callback_once_more_is_known_after_the_erasure(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    body = body_of(customer_details={"contact_uri": CUSTOMER}, recordings=[RECORDING])
    real_calls.deliver(call, body)
    run("exotel_erase", CUSTOMER, "--apply")

    assert real_calls.deliver(call, body).status_code == 200

    assert CallEvent.objects.filter(kind="callback").count() == 1
    assert not is_somewhere()


def test_an_event_that_is_linked_later_is_linked_without_the_customer(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    run("exotel_erase", CUSTOMER, "--apply")
    raw = body_of(customer_details={"contact_uri": CUSTOMER}, recordings=[RECORDING], total_talk_time=42)
    kept(raw, reference=call.reference, event="terminal", reason=EventReason.UNKNOWN_CALL)

    run("exotel_replay", "--apply")

    assert not is_somewhere()
    assert "secret" not in everything()
    assert CallRecord.objects.get().talk_time == 42


def test_a_recording_that_was_still_to_be_announced_is_not(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    tell(call, "terminal", status="completed", recordings=(RECORDING,))
    Announcement.objects.filter(signal__in=["recording_ready", "call_ended"]).update(state=AnnouncementState.FAILED)

    run("exotel_erase", CUSTOMER, "--apply")

    states = dict(Announcement.objects.values_list("signal", "state"))
    assert (states["recording_ready"], states["call_ended"]) == ("superseded", "failed")


@differs
def test_the_customer_can_be_called_again_and_the_old_press_still_means_the_old_call(
    host: Any, exotel: Any, run: Run
) -> None:
    exotel.speed = 500.0
    agent = host.agent()
    once = place_call(agent=agent, to=CUSTOMER, request_key="reminder 1")
    exotel.wait_until_quiet(timeout=20)
    run("exotel_erase", CUSTOMER, "--apply")

    again = place_call(agent=agent, to=CUSTOMER, request_key="reminder 1")
    new = place_call(agent=agent, to=CUSTOMER, request_key="reminder 2")

    assert again.pk == once.pk
    assert (new.pk != once.pk, new.state, new.customer_number) == (True, State.ACTIVE, CUSTOMER)
    assert len(exotel.book.calls) == 2


# The command itself.


def test_a_run_that_is_broken_off_is_gone_on_with(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [real_calls.accepted(f"sid{n}", customer_number=CUSTOMER) for n in range(3)]
    for call in calls:
        tell(call, "terminal", customer_number=CUSTOMER, recordings=(RECORDING,))
    rebuild, left = erasing.rebuild, iter([None, KeyboardInterrupt])

    def break_off(*arguments: Any) -> Any:
        changed = rebuild(*arguments)
        if stop := next(left):
            raise stop
        return changed

    monkeypatch.setattr(erasing, "rebuild", break_off)
    printed = run("exotel_erase", CUSTOMER, "--apply")
    monkeypatch.undo()

    assert (printed.status, "run it again to go on" in printed.err) == (130, True)
    assert [record(call)["customer_number"] for call in calls] == ["", CUSTOMER, CUSTOMER]
    assert [record(call)["recording_url"] for call in calls] == ["", RECORDING, RECORDING]
    assert "2 calls, 2 with" in run("exotel_erase", CUSTOMER, "--apply").out
    assert not is_somewhere()


def test_a_long_run_says_how_far_it_is(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "BATCH", 1)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    for n in range(2):
        real_calls.accepted(f"sid{n}", customer_number=CUSTOMER)

    printed = run("exotel_erase", CUSTOMER)

    assert printed.err.splitlines()[0] == ("So far: 1 call, 0 with a recording; 1 event of theirs; 0 other events.")


# The admin.


@differs
def test_the_admin_says_that_the_customer_was_erased(host: Any, story: Story, run: Run) -> None:
    call = story(ticket=host.ticket(phone=CUSTOMER))
    run("exotel_erase", CUSTOMER, "--apply")
    may = ("helpdesk.view_ticket", SEES_CALLS, SEES_NUMBERS, *LEDGER)
    desk = Desk(host.user("meera", *may, agent=None))

    listed = desk.get(reverse("admin:exotel_ccm_callrecord_changelist"))
    page = desk.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))
    event = desk.get(reverse("admin:exotel_ccm_callevent_change", args=[call.events.order_by("-pk")[0].pk]))

    assert "erased" in listed.html.partition("<tbody>")[2]
    assert "erased" in page.text
    assert "0:42 minutes of conversation" in page.text
    assert "emptied on" in event.text
