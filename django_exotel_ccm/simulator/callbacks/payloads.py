"""The bodies of callbacks, in every documented shape, and with the oddities that are asked for (docs/exotel.md 4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from django_exotel_ccm.simulator.call_flow import UNKNOWN_STATUS, SimulatedCall
from django_exotel_ccm.simulator.options import CallbackShape, Options

INDIA = timezone(timedelta(hours=5, minutes=30))
EPOCH_IN_INDIA = "1970-01-01 05:30:00+05:30"
BOUNDARY = "----simulated-exotel"
IN_SPARSE = ("call_sid", "sid", "call_state", "state", "CallSid", "EventType")  # which call, and that it is over
NOT_IN_V3 = ("call_sid", "call_state", "call_status", "assigned_agent_details", "customer_details")


def callback_body(call: SimulatedCall, event: str, options: Options) -> dict[str, Any]:
    """Return the body of a callback (docs/exotel.md 4.1 to 4.3), with the oddities of the options."""
    body = _plain_body(call, event, options)
    if options.sparse_terminal and event == "terminal":
        details = {name: value for name, value in body.get("call_details", {}).items() if name in IN_SPARSE}
        body = {**body, "call_details": details} if details else {n: v for n, v in body.items() if n in IN_SPARSE}
    if options.epoch_end_time and call.state == "active":
        if "call_details" in body:
            body["call_details"]["end_time"] = EPOCH_IN_INDIA
        else:
            body["EndTime"] = EPOCH_IN_INDIA.removesuffix("+05:30")
    if options.local_numbers:
        body = _mapped(body, _local)
    if options.literal_nulls:
        body = _mapped(body, lambda value: "null" if value is None else value)
    return body


def encoded(body: dict[str, Any], shape: CallbackShape) -> tuple[str, bytes]:
    """Return a body's Content-Type and bytes."""
    if shape == "v1_form":
        return "application/x-www-form-urlencoded", urlencode(flat_fields(body)).encode()
    if shape == "v1_multipart":
        parts = [
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in flat_fields(body).items()
        ]
        return f"multipart/form-data; boundary={BOUNDARY}", f"{''.join(parts)}--{BOUNDARY}--\r\n".encode()
    return "application/json", json.dumps(body).encode()


def details_v2(call: SimulatedCall) -> dict[str, Any]:
    """Return `call_details` of a v2 callback (docs/exotel.md 4.1), recordings aside."""
    over = call.state == "terminal"
    return {
        "call_sid": call.sid,
        "direction": "outbound",
        "virtual_number": call.virtual_number,
        "call_state": call.state,
        "call_status": call.status,
        "assigned_agent_details": {
            "user_id": call.agent.user_id,
            "user_name": call.agent.name,
            "contact_uri": call.agent.uri,
            "status": call.agent_leg,
        },
        "customer_details": {"contact_uri": call.customer_number, "status": call.customer_leg},
        "created_time": indian(call.created_at),
        "updated_time": indian(call.updated_at or call.answered_at or call.created_at),
        "start_time": indian(call.created_at),
        "end_time": indian(call.ended_at) if over else None,
        "total_duration": call.total_duration if over else None,
        "total_talk_time": call.talk_time if over else None,
        "custom_field": call.custom_field,
    }


def details_v3(call: SimulatedCall) -> dict[str, Any]:
    """Return `call_details` of a v3 callback: other names and words, and nobody's number."""
    over = call.state == "terminal"
    status = call.status and call.status.replace("canceled", "cancelled")
    return {
        "sid": call.sid,
        **{name: value for name, value in details_v2(call).items() if name not in NOT_IN_V3},
        "state": call.state,
        "status": status and status.replace("agent_", "from_leg_").replace("customer_", "to_leg_"),
        "legs": f"/v3/accounts/simulated/calls/{call.sid}/legs" if over else None,
        "app_id": None,
        "app_name": None,
        "digits": None,
    }


def body_v1(call: SimulatedCall, event: str, recording: str | None) -> dict[str, Any]:
    """Return the flat body of v1: local numbers, Indian times without a zone, CustomField only at the end."""
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
    """Return one of v1's four words, or the one that no document has."""
    if status in ("completed", "failed", UNKNOWN_STATUS):
        return status
    if status and status.endswith("_busy"):
        return "busy"
    return "no-answer" if status and status.endswith("_unanswered") else "failed"


def flat_fields(body: dict[str, Any]) -> dict[str, str]:
    """Return a v1 body as form fields: nested keys become `Legs[0][Status]`, null becomes ""."""
    fields = {name: value for name, value in body.items() if name != "Legs"}
    for index, leg in enumerate(body.get("Legs", [])):
        fields |= {f"Legs[{index}][{name}]": value for name, value in leg.items()}
    return {name: "" if value is None else str(value) for name, value in fields.items()}


def indian(moment: datetime | None) -> str | None:
    """Return `YYYY-MM-DD HH:MM:SS+05:30`, as live callbacks show times."""
    return f"{naive_indian(moment)}+05:30" if moment else None


def naive_indian(moment: datetime | None) -> str | None:
    """Return `YYYY-MM-DD HH:MM:SS`, Indian time without its zone, as v1 shows times."""
    return f"{moment.astimezone(INDIA):%Y-%m-%d %H:%M:%S}" if moment else None


def _plain_body(call: SimulatedCall, event: str, options: Options) -> dict[str, Any]:
    shape, recordings = options.callback_shape, options.recordings_shape
    link = call.recording_url if call.state == "terminal" and recordings in ("strings", "objects") else None
    if shape not in ("v2", "v3"):
        return body_v1(call, event, link)
    details = details_v2(call) if shape == "v2" else details_v3(call)
    as_text = shape == "v2" and recordings == "strings"
    details["recordings"] = None if link is None else [link] if as_text else [{"url": link}]
    return {"event_details": {"event_type": event}, "call_details": details}


def _local(value: Any) -> Any:
    return f"0{value[3:]}" if isinstance(value, str) and value.startswith("+91") else value


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _mapped(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value)
