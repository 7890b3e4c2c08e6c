"""The calls so far about a ticket, the newest first, each with its recording and a press that calls again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, Prefetch
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import TicketAdapter, call_query, page_url
from django_exotel_ccm.choices import NoRecording, Outcome, Permission, State, Step
from django_exotel_ccm.descriptions import (
    describe_customer,
    describe_length,
    describe_override,
    describe_result,
    describe_status,
    describe_time,
    step_of,
)
from django_exotel_ccm.exotel.redact import redact
from django_exotel_ccm.masking import shortened, visible_to
from django_exotel_ccm.models import CallNote, CallRecord, Disposition
from django_exotel_ccm.note_box import link_to_note
from django_exotel_ccm.policies import Denial, can_be_overridden, has_rules
from django_exotel_ccm.services.callers import Requirements
from django_exotel_ccm.services.placing import agents_for
from django_exotel_ccm.services.readiness import ask_rules
from django_exotel_ccm.services.recordings import missing_reason, new_page_view, recording_urls

SHOWN = 3
"""How many calls are shown at once; a fold has the others."""
LOADED = 20
"""How many calls the fold has at most; older ones are on the list of calls."""
MOST_COUNTED = 1_000
NOTES = 5
"""How many notes of a call are shown, the newest; the call's page has the others."""
LONGEST_NOTE = 1_000  # characters; the call's page shows all of it

ICONS = {
    Step.REQUESTED: "waiting",
    Step.ACCEPTED: "waiting",
    Step.ANSWERED: "talking",
    Step.REFUSED: "refused",
    Step.UNCONFIRMED: "unknown",
    Step.NEVER_CONFIRMED: "unknown",
}


@dataclass(frozen=True, slots=True)
class ShortNote:
    """A note, as the history shows it: the beginning of its text, and whether there is more."""

    text: str
    is_cut: bool
    disposition: Disposition | None
    author_label: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One call, as a line of the history shows it. ``icon`` is a name that ``exotel_ccm/icon.html`` knows."""

    call: CallRecord
    icon: str
    result: str
    detail: str
    override: str
    who: str
    when: str
    url: str
    recording: str
    again: str
    denial: Denial | None
    """Why a rule says no to another call."""
    notes: list[ShortNote]
    has_more_notes: bool
    anyway: str = ""
    """The page on which this user can give a reason to call although a rule says no."""
    note_url: str = ""
    """The box for a note, where there is no page of the call that has it."""


def timeline_of(
    request: HttpRequest,
    adapter: TicketAdapter,
    ticket: Model,
    *,
    next_url: str,
    after: int | None = None,
    listed: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """Return the context of ``exotel_ccm/timeline.html``; None for who may not see calls.

    The caller has made sure that the user may see ``ticket``. ``next_url`` is the page that shows the history.
    ``after`` is the key of the user's newest call about the ticket, 0 for none; with None nobody can call again.
    ``listed`` is what a press says of the ticket's item on the call list that shows the history.
    """
    if not Permission.VIEW_CALL.granted_to(request.user):
        return None
    about = CallRecord.objects.about(ticket).select_related("agent").with_advice()
    newest = CallNote.objects.select_related("disposition").order_by("-pk")[: NOTES + 1]
    notes = Prefetch("notes", newest, to_attr="newest_notes")
    calls = list(about.prefetch_related(notes).newest_first()[: LOADED + 1])
    has_more = len(calls) > LOADED
    shown = calls[:LOADED]
    recordings = players(request, adapter, shown)
    query = call_query(adapter, tickets.type_of(ticket), [str(ticket.pk)], next_url, **_after(after), **(listed or {}))
    again = "" if after is None else query
    repeatable = [call.customer_number for call in shown if again and _can_repeat(call)]
    denied = _denied(request.user, repeatable) if repeatable else {}
    entries = [_entry(request, adapter, call, recordings.get(call.pk, ""), again, denied) for call in shown]
    entries = [
        entry if entry.url else replace(entry, note_url=link_to_note(request, entry.call, adapter, next_url))
        for entry in entries
    ]
    if again and Permission.OVERRIDE_POLICY.granted_to(request.user):
        entries = [
            replace(entry, anyway=_anyway(request.user, entry, again, is_newest=place == 0))
            for place, entry in enumerate(entries)
        ]
    return {
        "newest": entries[:SHOWN],
        "older": entries[SHOWN:],
        "has_more": has_more,
        "all": _all_calls(_count(ticket) if has_more else len(shown)),
        "list_url": adapter.calls_url(request, ticket) if has_more else "",
        "url": _address("timeline", query),
        "choose_url": _address("choose", again) if again else "",
        "csrf": get_token(request) if again else "",
    }


def _denied(user: Any, numbers: Sequence[str]) -> dict[str, Denial]:
    """Return by number why a press that calls it again would be refused."""
    own = agents_for(user)
    missing = Requirements(user).missing(own[0]) if len(own) == 1 else None
    if missing is not None:
        return dict.fromkeys(numbers, Denial(missing.title, missing.refusal.advice, is_safety=True))
    return ask_rules(user, own, numbers) if has_rules() else {}


def _after(after: int | None) -> dict[str, str]:
    return {} if after is None else {"after": str(after)}


def _count(ticket: Model) -> int:
    return CallRecord.objects.about(ticket).order_by()[: MOST_COUNTED + 1].count()


def _all_calls(count: int) -> str:
    if count > MOST_COUNTED:
        return _("More than %(count)d calls") % {"count": MOST_COUNTED}
    return ngettext("%(count)d call", "All %(count)d calls", count) % {"count": count}


def _address(name: str, query: str) -> str:
    return f"{reverse(f'exotel_ccm:{name}')}?{query}"


def _can_repeat(call: CallRecord) -> bool:
    """Return whether no phone of the call may ring. Of one that may never have gone out the press asks."""
    return call.state == State.UNCONFIRMED or not call.is_in_progress


def _entry(
    request: HttpRequest,
    adapter: TicketAdapter,
    call: CallRecord,
    recording: str,
    again: str,
    denied: Mapping[str, Denial],
) -> Entry:
    can_repeat, denial = again and _can_repeat(call), denied.get(call.customer_number)
    notes: list[CallNote] = getattr(call, "newest_notes", [])
    return Entry(
        call=call,
        icon=icon_of(call),
        result=describe_result(call, request.user),
        detail=detail_of(call, request.user),
        override=describe_override(call, request.user),
        who=_who(call, request.user),
        when=describe_time(call.created_at),
        url=adapter.call_url(request, call),
        recording=recording,
        again=_address("place", f"{again}&{urlencode({'exotel_again': call.pk})}") if can_repeat and not denial else "",
        denial=denial if can_repeat else None,
        notes=[_short(note, request.user) for note in reversed(notes[:NOTES])],
        has_more_notes=len(notes) > NOTES,
    )


def _anyway(user: Any, entry: Entry, again: str, *, is_newest: bool) -> str:
    """Return where ``user`` calls although a rule says no, or has said no to their newest press; "" if nowhere."""
    call, denial = entry.call, entry.denial
    if denial is not None and denial.is_safety:
        return ""
    is_own = call.state == State.REFUSED and call.placed_by_id == user.pk
    if is_own and (denial is not None or (is_newest and can_be_overridden(call))):
        return _address("choose", f"{again}&{urlencode({'exotel_refused': call.pk})}")
    return _address("choose", again) if denial is not None else ""


def _short(note: CallNote, user: Any) -> ShortNote:
    text = shortened(note.text, LONGEST_NOTE, lambda text: visible_to(redact(text), user))
    return ShortNote(text, len(note.text) > LONGEST_NOTE, note.disposition, note.author_label)


def icon_of(call: CallRecord) -> str:
    """Return the name of the icon that says how far a call came, or how it ended."""
    if call.is_conversation:
        return "reached"
    is_unclear = call.outcome in ("", Outcome.COMPLETED, Outcome.UNKNOWN)
    return ICONS.get(step_of(call), "unknown" if is_unclear else "missed")


def detail_of(call: CallRecord, user: Any) -> str:
    """Return what there is to know besides the result: why there was no call and what to do, or how long it took.

    Why it was refused is known of calls that were loaded ``with_advice()``.
    """
    if step_of(call) in (Step.REFUSED, Step.UNCONFIRMED, Step.NEVER_CONFIRMED):
        return describe_status(call, user, advice=getattr(call, "advice", None) or "").hint
    if call.state == State.ENDED and not call.is_conversation and call.total_duration:
        return _("after %(length)s") % {"length": describe_length(call.total_duration)}
    return ""


def _who(call: CallRecord, user: Any) -> str:
    words = {"agent": call.agent_label or _("an agent"), "customer": describe_customer(call, user)}
    who = _("%(agent)s to %(customer)s") % words
    return _("%(who)s, placed elsewhere") % {"who": who} if call.is_external else who


# Recordings.


def players(request: HttpRequest, adapter: TicketAdapter, calls: Sequence[CallRecord]) -> dict[Any, str]:
    """Return by the call's key the HTML that plays its recording, or says why not yet, to those who may listen.

    Calls that were not recorded are left out. Asks the database at most once for each kind of ticket.
    """
    if not Permission.LISTEN.granted_to(request.user):
        return {}
    recorded = [call for call in calls if missing_reason(call) != NoRecording.NONE]
    seen = adapter.visible_calls(request, recorded)
    return {call.pk: player(adapter, call) for call in recorded if call.pk in seen}


def player(adapter: TicketAdapter, call: CallRecord, *, is_open: bool = False) -> str:
    """Return the HTML that plays each recording of a call through ``adapter``, or says why there is nothing to play.

    ``is_open`` shows the player at once, instead of a line that opens it. Returns "" while the call is not known to
    have ended: nobody knows yet whether it will have a recording.
    """
    reason = missing_reason(call)
    if reason == NoRecording.NOT_READY and call.state != State.ENDED:
        return ""
    page_view = new_page_view()
    recordings = recording_urls(call) if reason is None else {}
    try:
        urls = [page_url(adapter, "recording", call.reference, one, page_view=page_view) for one in recordings]
    except NoReverseMatch:
        return ""  # our URLs are not included: a check says so
    context = {
        "urls": urls,
        "missing": "" if reason is None else reason.label,
        "agent": call.agent_label,
        "when": describe_time(call.created_at),
        # Exotel does not say how long a recording is. One alone is that of the conversation.
        "length": _clock(call.talk_time) if call.talk_time and len(urls) == 1 else "",
        "is_open": is_open,
    }
    return render_to_string("exotel_ccm/recording.html", context)


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
