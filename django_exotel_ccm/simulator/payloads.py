"""The JSON that Exotel's documents show: answers, refusals, Call Details and callbacks, in every documented shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from django_exotel_ccm.simulator.call_flow import UNKNOWN_STATUS, SimulatedCall
from django_exotel_ccm.simulator.options import CallbackShape, Options, Shape
from django_exotel_ccm.simulator.refusals import REFUSALS

INDIA = timezone(timedelta(hours=5, minutes=30))
EPOCH_IN_INDIA = "1970-01-01 05:30:00+05:30"
BOUNDARY = "----simulated-exotel"
IN_SPARSE = ("call_sid", "sid", "call_state", "state", "CallSid", "EventType")  # which call, and that it is over
V3_NAMES = {"call_sid": "sid", "call_state": "state", "call_status": "status"}
NOT_IN_V3 = ("assigned_agent_details", "customer_details")
V3_WORDS = {"agent_": "from_leg_", "customer_": "to_leg_", "canceled": "cancelled"}


def envelope(method: str, request_id: str, status: int, content: Any, **more: Any) -> dict[str, Any]:
    """Return the wrapper around every CCM answer."""
    return {"request_id": request_id, "method": method, "http_code": status, **more, "response": content}


def succeeded(data: Any) -> dict[str, Any]:
    """Return the inner wrapper of CCM's standard envelope."""
    return {"code": 200, "status": "success", "error_data": None, "data": data}


def refusal(method: str, request_id: str, code: int, description: str = "") -> tuple[int, dict[str, Any]]:
    """Return HTTP status and body of a refusal (docs/exotel.md 2.8)."""
    status, message, usual = REFUSALS[code]
    error = {"code": code, "message": message, "description": description or usual}
    inner = {"code": status, "status": "failure", "error_data": error, "data": None}
    return status, envelope(method, request_id, status, inner, metadata=None)


def rest_exception(code: int, description: str = "") -> tuple[int, dict[str, Any]]:
    """Return HTTP status and body of a refusal on the host of version 1 (docs/exotel.md 9)."""
    status, message, usual = REFUSALS[code]
    text = f"{message}: {description or usual}"
    return status, {"RestException": {"Status": status, "Message": text, "Code": code}}


def call_answer(call: SimulatedCall, shape: Shape, request_id: str) -> dict[str, Any]:
    """Return Make a Call's 200 (docs/exotel.md 2.7): A as on Exotel's page, B the standard envelope, C no envelope."""
    agent = {"user_id": call.agent.user_id, "contact_uri": call.agent.uri}
    customer = {"number": call.customer_number}
    head = {"call_sid": call.sid, "call_state": "active"}
    if shape == "C":
        return {**head, "assigned_agent_details": agent, "customer_details": customer}
    if shape == "B":
        data = {
            **head,
            "direction": "outbound",
            "virtual_number": call.virtual_number,
            "call_status": None,
            "assigned_agent_details": {"user_id": call.agent.user_id, "user_name": call.agent.name},
            "customer_details": {"contact_uri": call.customer_number},
            "created_time": indian(call.created_at),
            "custom_field": call.custom_field,
        }
        return envelope("POST", request_id, 200, succeeded(data), metadata=None)
    inner = {
        **head,
        "call_status": None,
        "assigned_agent_details": agent,
        "customer_details": customer,
        "virtual_number": call.virtual_number,
        "recording": bool(call.request.get("recording")),
        "created_time": iso_z(call.created_at),
    }
    return envelope("POST", request_id, 200, inner)


def call_details(call: SimulatedCall, shape: Shape, request_id: str, recording: str | None) -> dict[str, Any]:
    """Return Call Details' 200 (docs/exotel.md 7.1). `recording` is the link, once the recording can be fetched."""
    if shape == "B":
        data = {**details_v2(call), "recordings": [{"url": recording}] if recording else None, "digits": None}
        return envelope("GET", request_id, 200, succeeded(data), metadata=None)
    if shape == "C":
        inner = {"code": 200, "status": "success", "call_details": details_contact_center(call, recording)}
        return envelope("GET", request_id, 200, inner)
    return envelope("GET", request_id, 200, {"call_details": details_documented(call, recording)})


def details_documented(call: SimulatedCall, recording: str | None) -> dict[str, Any]:
    """Return Call Details, version A: the documented field names."""
    call = as_reported(call)
    return {
        "sid": call.sid,
        "direction": "outbound-api",
        "virtual_number": call.virtual_number,
        "state": call.state,
        "status": call.status,
        "assigned_agent_details": {"user_id": call.agent.user_id, "contact_uri": call.agent.uri},
        "customer_details": {"number": call.customer_number},
        "created_time": iso_z(call.created_at),
        "updated_time": iso_z(call.updated_at or call.created_at),
        "start_time": iso_z(call.created_at),
        "end_time": iso_z(call.ended_at),
        "total_duration": call.total_duration,
        "total_talk_time": call.talk_time,
        "recording": {"available": recording is not None, "url": recording},
        "custom_field": call.custom_field,
    }


def details_contact_center(call: SimulatedCall, recording: str | None) -> dict[str, Any]:
    """Return Call Details, version C: the contact-center page's field names."""
    call = as_reported(call)
    return {
        "call_sid": call.sid,
        "call_state": call.state,
        "call_status": call.status,
        "direction": "outbound",
        "virtual_number": call.virtual_number,
        "from": call.agent.uri,
        "to": call.customer_number,
        "start_time": _iso_india(call.created_at),
        "end_time": _iso_india(call.ended_at),
        "duration": call.total_duration,
        "talk_time": call.talk_time,
        "recording_url": recording,
        "custom_field": call.custom_field,
        "agent_details": {"user_id": call.agent.user_id, "name": call.agent.name, "email": None},
        "customer_details": {"number": call.customer_number},
    }


def as_reported(call: SimulatedCall) -> SimulatedCall:
    """Return the call without what Exotel sends only once it is terminal."""
    return call if call.state == "terminal" else replace(call, ended_at=None, talk_time=None, total_duration=None)


def callback_body(call: SimulatedCall, event: str, options: Options) -> dict[str, Any]:
    """Return the body of a callback (docs/exotel.md 4.1 to 4.3), with the oddities of the options."""
    shape, recordings = options.callback_shape, options.recordings_shape
    link = call.recording_url if call.state == "terminal" and recordings in ("strings", "objects") else None
    is_nested = shape in ("v2", "v3")
    fields = details_v2(call) if is_nested else body_v1(call, event, link)
    if shape == "v3":
        fields = details_v3(fields)
    if is_nested:
        as_text = shape == "v2" and recordings == "strings"
        fields["recordings"] = None if link is None else [link if as_text else {"url": link}]
    if options.epoch_end_time and call.state == "active":
        fields |= {"end_time": EPOCH_IN_INDIA} if is_nested else {"EndTime": EPOCH_IN_INDIA.removesuffix("+05:30")}
    if options.sparse_terminal and event == "terminal":
        fields = {name: value for name, value in fields.items() if name in IN_SPARSE}
    body = {"event_details": {"event_type": event}, "call_details": fields} if is_nested else fields
    if options.local_numbers:
        body = _mapped(body, local_number)
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
    call = as_reported(call)
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
        "end_time": indian(call.ended_at),
        "total_duration": call.total_duration,
        "total_talk_time": call.talk_time,
        "custom_field": call.custom_field,
    }


def details_v3(v2: dict[str, Any]) -> dict[str, Any]:
    """Return `call_details` of a v3 callback: v2's with other names and words, and nobody's number."""
    details = {V3_NAMES.get(name, name): value for name, value in v2.items() if name not in NOT_IN_V3}
    for old, new in V3_WORDS.items():
        details["status"] = details["status"] and details["status"].replace(old, new)
    legs = f"/v3/accounts/simulated/calls/{details['sid']}/legs" if details["state"] == "terminal" else None
    return {**details, "legs": legs, "app_id": None, "app_name": None, "digits": None}


def body_v1(call: SimulatedCall, event: str, recording: str | None) -> dict[str, Any]:
    """Return the flat body of v1: local numbers, Indian times without a zone, CustomField only at the end."""
    over, call = call.state == "terminal", as_reported(call)
    body: dict[str, Any] = {
        "CallSid": call.sid,
        "EventType": event,
        "Status": status_v1(call.status) if over else "in-progress",
        "DateCreated": naive_indian(call.created_at),
        "DateUpdated": naive_indian(call.updated_at or call.answered_at or call.created_at),
        "StartTime": naive_indian(call.created_at),
        "EndTime": naive_indian(call.ended_at),
        "From": local_number(call.agent.uri),
        "To": local_number(call.customer_number),
        "PhoneNumberSid": local_number(call.virtual_number),
        "ConversationDuration": call.talk_time,
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
    if status in ("completed", UNKNOWN_STATUS):
        return status
    words = {"busy": "busy", "unanswered": "no-answer"}
    return words.get((status or "").rpartition("_")[2], "failed")


def flat_fields(body: dict[str, Any]) -> dict[str, str]:
    """Return a v1 body as form fields: nested keys become `Legs[0][Status]`, null becomes ""."""
    fields = {name: value for name, value in body.items() if name != "Legs"}
    for index, leg in enumerate(body.get("Legs", [])):
        fields |= {f"Legs[{index}][{name}]": value for name, value in leg.items()}
    return {name: "" if value is None else str(value) for name, value in fields.items()}


def iso_z(moment: datetime | None) -> str | None:
    """Return ISO 8601 with milliseconds and Z, as Exotel's page shows times."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z" if moment else None


def _iso_india(moment: datetime | None) -> str | None:
    return moment.astimezone(INDIA).isoformat(timespec="seconds") if moment else None


def indian(moment: datetime | None) -> str | None:
    """Return `YYYY-MM-DD HH:MM:SS+05:30`, as live callbacks show times."""
    return f"{naive_indian(moment)}+05:30" if moment else None


def naive_indian(moment: datetime | None) -> str | None:
    """Return `YYYY-MM-DD HH:MM:SS`, Indian time without its zone, as v1 shows times."""
    return f"{moment.astimezone(INDIA):%Y-%m-%d %H:%M:%S}" if moment else None


def local_number(value: Any) -> Any:
    """Return an Indian number in its local form, anything else as it is."""
    return f"0{value[3:]}" if isinstance(value, str) and value.startswith("+91") else value


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _mapped(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value)
