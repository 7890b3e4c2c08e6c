"""The facts in any documented message about a call.

Only this module knows the versions of Exotel's API (docs/exotel.md 4, 7, 8, 9). Their names for the same things:

    v2  call_details.call_sid   call_state   call_status   (also bare, or under response.data)
    v3  call_details.sid        state        status        from_leg_*, to_leg_*
    v1  CallSid, Call.Sid       -            Status        Legs: the agent's, then the customer's
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from .values import Moment, as_object, clean_moment, clean_seconds, clean_text, clean_url, fold, only

EVENTS = frozenset({"answered", "terminal"})
STATES = frozenset({"active", "terminal"})
OUTCOMES = frozenset(
    {
        "completed",
        "agent_unanswered",
        "customer_unanswered",
        "agent_canceled",
        "customer_no_dial",
        "agent_no_dial",
        "failed",
        "busy",
    }
)
LONGEST_WORD = 64
LONGEST_SID = 64
LONGEST_CUSTOM_FIELD = 128
LONGEST_URI = 255
MOST_RECORDINGS = 20

Call = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What one message says about a call; None or empty means that it says nothing. Durations are in seconds."""

    call_sid: str | None = None
    event: str | None = None
    event_raw: str | None = None
    """The event as sent, if it is none of EVENTS."""
    state: str | None = None
    status: str | None = None
    """One of OUTCOMES."""
    status_raw: str | None = None
    """The status as sent, known or not."""
    agent_leg: str | None = None
    customer_leg: str | None = None
    talk_time: int | None = None
    total_duration: int | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    recordings: tuple[str, ...] = ()
    agent_id: str | None = None
    agent_uri: str | None = None
    customer_number: str | None = None
    custom_field: str | None = None

    def reported_event(self, url_event: str) -> str:
        """Return the event that a callback reports: the one its body names, else the one its URL is signed for.

        A body that names an unknown event and says that the call goes on does not report the end.
        """
        goes_on = self.event_raw is not None and self.state == "active"
        return self.event or ("" if goes_on and url_event == "terminal" else url_event)

    def as_json(self) -> dict[str, Any]:
        """Return what the message says, and nothing else, as JSON values."""
        values = {name: getattr(self, name) for name in _STORED}
        return {name: _plain(value) for name, value in values.items() if value is not None and value != ()}

    @classmethod
    def from_json(cls, data: object) -> CallFacts:
        """Return the facts that `as_json` returned; anything else in ``data`` is left out."""
        stored = as_object(data)
        read = {name: reader(stored.get(name)) for name, reader in _STORED.items()}
        return cls(**{name: value for name, value in read.items() if value is not None})


def facts_of_answer(payload: object) -> CallFacts:
    """Return the facts in any documented message, whatever its wrapper (docs/exotel.md 2.7, 4, 7, 11.2)."""
    call = find_call(payload)
    event = _first(as_object(as_object(payload).get("event_details")), ("event_type",), _word)
    return facts_of_call(call or {}, event=event)


def find_call(payload: object) -> Call | None:
    """Return the object that describes the call, inside any documented wrapper; None if there is none."""
    unnamed: Call | None = None
    for candidate in _candidates(payload):
        if not _MARKS.isdisjoint(candidate):
            if _first(candidate, _SIDS, _sid):
                return candidate
            unnamed = unnamed or candidate
    return unnamed


def _candidates(payload: object) -> Iterator[Call]:
    top = as_object(only(payload))
    response = as_object(only(top.get("response")))
    for wrapper in (response, top):
        for name in ("data", "call_details", "Call"):
            inner = as_object(only(wrapper.get(name)))
            yield as_object(inner.get("call_details"))
            yield inner
        yield wrapper


def facts_of_call(call: Call, *, event: str | None = None) -> CallFacts:
    """Return the facts in a call object of any version of the API."""
    agent, customer = (
        _object_of(call, "assigned_agent_details", "agent_details"),
        _object_of(call, "customer_details"),
    )
    event = event or _first(call, ("event_type", "EventType"), _word)
    known_event = fold(event or "")
    agent_leg, customer_leg = _legs(call, agent, customer)
    status_raw = _first(call, ("call_status", "status", "Status"), _word)
    numbers = call if _is_outgoing(call) else {}
    return CallFacts(
        call_sid=_first(call, _SIDS, _sid),
        event=known_event if known_event in EVENTS else None,
        event_raw=None if known_event in EVENTS else event,
        state=_first(call, ("call_state", "state"), _state),
        status=_outcome(status_raw, agent_leg, customer_leg),
        status_raw=status_raw,
        agent_leg=agent_leg,
        customer_leg=customer_leg,
        talk_time=_talk_time(call),
        total_duration=_first(call, ("total_duration", "duration", "Duration"), clean_seconds),
        started_at=_first(call, ("start_time", "StartTime"), clean_moment),
        ended_at=_first(call, ("end_time", "EndTime"), clean_moment),
        recordings=_recordings(call),
        agent_id=_first(agent, ("user_id",), _uri),
        agent_uri=_first(agent, ("contact_uri",), _uri) or _first(numbers, ("From", "from"), _uri),
        customer_number=_first(customer, ("contact_uri", "number"), _uri) or _first(numbers, ("To", "to"), _uri),
        custom_field=_first(call, ("custom_field", "CustomField"), _custom_field),
    )


_SIDS = ("call_sid", "sid", "CallSid", "Sid")
# Members of a call, but not of the envelope around it, which has a `status` and a `code` of its own.
_MARKS = {
    *_SIDS,
    "call_state",
    "state",
    "call_status",
    "event_type",
    "EventType",
    "custom_field",
    "CustomField",
}
_word = partial(clean_text, limit=LONGEST_WORD)
_uri = partial(clean_text, limit=LONGEST_URI)
_custom_field = partial(clean_text, limit=LONGEST_CUSTOM_FIELD)


def _first(call: Call, names: tuple[str, ...], clean: Callable[[object], Any]) -> Any:
    """Return the first of these members that holds a usable value; None if none does."""
    for name in names:
        value = clean(call.get(name))
        if value is not None:
            return value
    return None


def _object_of(call: Call, *names: str) -> Call:
    return next((found for name in names if (found := as_object(call.get(name)))), {})


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _sid(value: object) -> str | None:
    # Not cut: a part of an identifier is another identifier.
    sid = clean_text(value, LONGEST_SID + 1)
    return sid if sid and len(sid) <= LONGEST_SID else None


def _state(value: object) -> str | None:
    state = fold(_word(value) or "")
    return state if state in STATES else None


def _leg(value: object) -> str | None:
    return fold(_word(value) or "").replace("_", "-") or None


def _legs(call: Call, agent: Call, customer: Call) -> tuple[str | None, str | None]:
    """Return the status of the agent's leg and of the customer's (docs/exotel.md 3.3)."""
    details = as_object(call.get("Details"))
    listed = _list(call.get("Legs")) or _list(call.get("legs")) or _list(details.get("Legs"))
    entries = [as_object(as_object(leg).get("Leg", leg)) for leg in listed[:2]] + [{}, {}]
    agent_leg, customer_leg = (
        _first(person, ("status",), _leg) or _first(entry, ("Status", "status"), _leg) or _leg(details.get(name))
        for person, entry, name in ((agent, entries[0], "Leg1Status"), (customer, entries[1], "Leg2Status"))
    )
    return agent_leg, customer_leg


def _is_outgoing(call: Call) -> bool:
    # In an incoming call, `From` is the customer.
    return not fold(_first(call, ("direction", "Direction"), _word) or "").startswith("in")


def _outcome(raw: str | None, agent_leg: str | None, customer_leg: str | None) -> str | None:
    """Return the outcome that a status word means (docs/exotel.md 3.2); None if that is not known."""
    word = fold(raw or "")
    for theirs, ours in (("from_leg_", "agent_"), ("to_leg_", "customer_")):
        if word.startswith(theirs):
            word = ours + word.removeprefix(theirs)
    if word in {"no_answer", "canceled"}:
        # Version 1 does not say who; the legs do. The customer's leg is canceled when the agent hangs up.
        if agent_leg == "no-answer":
            return "agent_unanswered"
        return {"no-answer": "customer_unanswered", "canceled": "agent_canceled"}.get(customer_leg or "")
    word = {"customer_busy": "busy", "agent_busy": "agent_no_dial"}.get(word, word)
    return word if word in OUTCOMES else None


def _talk_time(call: Call) -> int | None:
    names = ("total_talk_time", "talk_time", "ConversationDuration")
    found: int | None = _first(call, names, clean_seconds)
    return clean_seconds(as_object(call.get("Details")).get("ConversationDuration")) if found is None else found


def _recordings(call: Call) -> tuple[str, ...]:
    listed = call.get("recordings")
    several = listed if isinstance(listed, list) else [listed]
    single = as_object(call.get("recording"))
    if single.get("available") is not False:
        several = [*several, single]
    names = ("recording_url", "RecordingUrl", "PreSignedRecordingUrl")
    entries = [*several[:MOST_RECORDINGS], *(call.get(name) for name in names)]
    urls = (clean_url(as_object(entry).get("url") if isinstance(entry, dict) else entry) for entry in entries)
    return tuple(dict.fromkeys(url for url in urls if url))[:MOST_RECORDINGS]


def _plain(value: Any) -> Any:
    if isinstance(value, Moment):
        return value.as_text()
    return list(value) if isinstance(value, tuple) else value


def _stored_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _stored_recordings(value: object) -> tuple[str, ...]:
    return tuple(url for url in _list(value) if isinstance(url, str))


# Stored values were cleaned when they were received; cleaning them again could change them.
_STORED: dict[str, Callable[[object], Any]] = {item.name: _stored_text for item in fields(CallFacts)} | {
    "talk_time": clean_seconds,
    "total_duration": clean_seconds,
    "started_at": clean_moment,
    "ended_at": clean_moment,
    "recordings": _stored_recordings,
}
