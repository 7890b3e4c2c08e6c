"""The JSON that Exotel's documents show: answers, refusals and Call Details, in every documented shape."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from django_exotel_ccm.simulator.calls import SimulatedCall
from django_exotel_ccm.simulator.options import Shape
from django_exotel_ccm.simulator.refusals import REFUSALS

INDIA = timezone(timedelta(hours=5, minutes=30))


def refusal(method: str, request_id: str, code: int, description: str = "") -> tuple[int, dict[str, Any]]:
    """HTTP status and body of a refusal (docs/exotel.md 2.8)."""
    status, message, usual = REFUSALS[code]
    error = {"code": code, "message": message, "description": description or usual}
    response = {"code": status, "status": "failure", "error_data": error, "data": None}
    return status, envelope(method, request_id, status, response, metadata=None)


def envelope(method: str, request_id: str, status: int, response: Any, **more: Any) -> dict[str, Any]:
    """The wrapper around every CCM answer."""
    return {"request_id": request_id, "method": method, "http_code": status, **more, "response": response}


def succeeded(data: Any) -> dict[str, Any]:
    """The inner wrapper of CCM's standard envelope."""
    return {"code": 200, "status": "success", "error_data": None, "data": data}


def iso_z(moment: datetime | None) -> str | None:
    """ISO 8601 with milliseconds and Z, as the seed shows times."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z" if moment else None


def indian(moment: datetime | None) -> str | None:
    """`YYYY-MM-DD HH:MM:SS+05:30`, as live callbacks show times."""
    return f"{moment.astimezone(INDIA):%Y-%m-%d %H:%M:%S}+05:30" if moment else None


def naive_indian(moment: datetime | None) -> str | None:
    """`YYYY-MM-DD HH:MM:SS`, Indian time without saying so, as v1 shows times."""
    return f"{moment.astimezone(INDIA):%Y-%m-%d %H:%M:%S}" if moment else None


def call_answer(call: SimulatedCall, shape: Shape, request_id: str) -> dict[str, Any]:
    """Make a Call's 200 (docs/exotel.md 2.7): A as on Exotel's page, B the standard envelope, C no envelope."""
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
    response = {
        **head,
        "call_status": None,
        "assigned_agent_details": agent,
        "customer_details": customer,
        "virtual_number": call.virtual_number,
        "recording": bool(call.request.get("recording")),
        "created_time": iso_z(call.created_at),
    }
    return envelope("POST", request_id, 200, response)


def call_details(call: SimulatedCall, shape: Shape, request_id: str, recording: str | None) -> dict[str, Any]:
    """Call Details' 200 (docs/exotel.md 7.1). `recording` is the link, once the recording can be fetched."""
    if shape == "B":
        data = {**details_v2(call), "recordings": [{"url": recording}] if recording else None, "digits": None}
        return envelope("GET", request_id, 200, succeeded(data), metadata=None)
    if shape == "C":
        inner = {"code": 200, "status": "success", "call_details": details_contact_center(call, recording)}
        return envelope("GET", request_id, 200, inner)
    return envelope("GET", request_id, 200, {"call_details": details_documented(call, recording)})


def details_documented(call: SimulatedCall, recording: str | None) -> dict[str, Any]:
    """Call Details, version A: the documented field names."""
    over = call.state == "terminal"
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
        "end_time": iso_z(call.ended_at) if over else None,
        "total_duration": call.total_duration if over else None,
        "total_talk_time": call.talk_time if over else None,
        "recording": {"available": recording is not None, "url": recording},
        "custom_field": call.custom_field,
    }


def details_contact_center(call: SimulatedCall, recording: str | None) -> dict[str, Any]:
    """Call Details, version C: the contact-center page's field names."""
    over = call.state == "terminal"
    return {
        "call_sid": call.sid,
        "call_state": call.state,
        "call_status": call.status,
        "direction": "outbound",
        "virtual_number": call.virtual_number,
        "from": call.agent.uri,
        "to": call.customer_number,
        "start_time": _iso_india(call.created_at),
        "end_time": _iso_india(call.ended_at) if over and call.ended_at else None,
        "duration": call.total_duration if over else None,
        "talk_time": call.talk_time if over else None,
        "recording_url": recording,
        "custom_field": call.custom_field,
        "agent_details": {"user_id": call.agent.user_id, "name": call.agent.name, "email": None},
        "customer_details": {"number": call.customer_number},
    }


def details_v2(call: SimulatedCall) -> dict[str, Any]:
    """`call_details` of a v2 callback (docs/exotel.md 4.1), recordings aside."""
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


def _iso_india(moment: datetime) -> str:
    return moment.astimezone(INDIA).isoformat(timespec="seconds")
