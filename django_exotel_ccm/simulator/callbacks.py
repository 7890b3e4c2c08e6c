"""The bodies of callbacks, in every documented shape, and with the oddities that are switched on (docs/exotel.md 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django_exotel_ccm.simulator.calls import UNKNOWN_STATUS, SimulatedCall
from django_exotel_ccm.simulator.options import CallbackShape, Options, Recordings
from django_exotel_ccm.simulator.wire import details_v2, naive_indian

EPOCH_IN_INDIA = "1970-01-01 05:30:00+05:30"


def callback(call: SimulatedCall, event: str, options: Options, recording: str | None) -> dict[str, Any]:
    """The body of a callback (docs/exotel.md 4.1 to 4.4), oddities as switched. `recording` is the link."""
    shape = options.callback_shape
    body = _callback(call, event, shape, recording, options.recordings_shape)
    if options.sparse_terminal and event == "terminal":
        body = _sparse(body)
    if options.epoch_end_time and call.state == "active":
        _put_epoch(body, shape)
    if options.local_numbers:
        body = _everywhere(body, _local)
    if options.literal_nulls:
        body = _everywhere(body, lambda value: "null" if value is None else value)
    return body


def _callback(
    call: SimulatedCall, event: str, shape: CallbackShape, recording: str | None, recordings: Recordings
) -> dict[str, Any]:
    if shape not in ("v2", "v3"):
        return callback_v1(call, event, recording if recordings in ("strings", "objects") else None)
    details = details_v2(call) if shape == "v2" else details_v3(call)
    details["recordings"] = _recordings(
        recording, "objects" if shape == "v3" and recordings == "strings" else recordings
    )
    return {"event_details": {"event_type": event}, "call_details": details}


def _sparse(body: dict[str, Any]) -> dict[str, Any]:
    """The call's sid and that it is over, and nothing else; v1 says so by the event alone."""
    known = ("call_sid", "sid", "call_state", "state", "CallSid", "EventType")
    if "call_details" not in body:
        return {name: value for name, value in body.items() if name in known}
    details = {name: value for name, value in body["call_details"].items() if name in known}
    return {"event_details": body["event_details"], "call_details": details}


def _recordings(link: str | None, shape: Recordings) -> list[Any] | None:
    if link is None or shape in ("late", "never"):
        return None
    return [link] if shape == "strings" else [{"url": link}]


def details_v3(call: SimulatedCall) -> dict[str, Any]:
    """`call_details` of a v3 callback: other names, nobody's number."""
    shared = {"direction", "virtual_number", "created_time", "updated_time", "start_time", "end_time"}
    shared |= {"total_duration", "total_talk_time", "custom_field"}
    of_v2 = details_v2(call)
    return {
        "sid": call.sid,
        **{name: of_v2[name] for name in of_v2 if name in shared},
        "state": call.state,
        "status": status_v3(call.status),
        "legs": f"/v3/accounts/simulated/calls/{call.sid}/legs" if call.state == "terminal" else None,
        "app_id": None,
        "app_name": None,
        "digits": None,
    }


def status_v3(status: str | None) -> str | None:
    """The v3 word for a v2 status."""
    if status is None:
        return None
    word = status.replace("canceled", "cancelled")
    return word.replace("agent_", "from_leg_").replace("customer_", "to_leg_")


def callback_v1(call: SimulatedCall, event: str, recording: str | None) -> dict[str, Any]:
    """The flat body of v1: local numbers, Indian times without a zone, CustomField only at the end."""
    over = call.state == "terminal"
    body: dict[str, Any] = {
        "CallSid": call.sid,
        "EventType": event,
        "Status": status_v1(call.status) if over else "in-progress",
        "DateCreated": naive_indian(call.created_at),
        "DateUpdated": naive_indian(call.updated_at or call.answered_at or call.created_at),
        "StartTime": naive_indian(call.created_at),
        "EndTime": naive_indian(call.ended_at) if over else None,
        "From": _local(call.agent.uri),
        "To": _local(call.customer_number),
        "PhoneNumberSid": _local(call.virtual_number),
        "ConversationDuration": call.talk_time if over else None,
        "Direction": "outbound-api",
        "RecordingUrl": recording,
        "Legs": [
            {"OnCallDuration": call.total_duration or 0, "Status": call.agent_leg, "AnsweredBy": "NA"},
            {"OnCallDuration": call.talk_time or 0, "Status": call.customer_leg, "AnsweredBy": "Human"},
        ],
    }
    return {**body, "CustomField": call.custom_field} if over else body


def status_v1(status: str | None) -> str:
    """One of v1's four words, or the one that nobody knows."""
    if status in ("completed", "failed", UNKNOWN_STATUS):
        return status
    if status and status.endswith("_busy"):
        return "busy"
    return "no-answer" if status and status.endswith("_unanswered") else "failed"


def flat_fields(body: dict[str, Any]) -> dict[str, str]:
    """A v1 body as form fields: nested keys become `Legs[0][Status]`, null becomes ""."""
    fields = {name: _text(value) for name, value in body.items() if name != "Legs"}
    for index, leg in enumerate(body.get("Legs", [])):
        fields |= {f"Legs[{index}][{name}]": _text(value) for name, value in leg.items()}
    return fields


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _local(value: Any) -> Any:
    return f"0{value[3:]}" if isinstance(value, str) and value.startswith("+91") else value


def _put_epoch(body: dict[str, Any], shape: CallbackShape) -> None:
    if shape in ("v2", "v3"):
        body["call_details"]["end_time"] = EPOCH_IN_INDIA
    else:
        body["EndTime"] = EPOCH_IN_INDIA.removesuffix("+05:30")


def _everywhere(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _everywhere(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_everywhere(item, change) for item in value]
    return change(value)
