"""The JSON that Exotel's documents show: answers, refusals, Call Details and lists, in every documented shape."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django_exotel_ccm.simulator.call_flow import SimulatedCall
from django_exotel_ccm.simulator.callbacks.payloads import INDIA, details_v2, indian
from django_exotel_ccm.simulator.directory import Agent
from django_exotel_ccm.simulator.http_types import Request
from django_exotel_ccm.simulator.options import Shape
from django_exotel_ccm.simulator.refusals import REFUSALS

PAGE_SIZE, MAX_PAGE_SIZE = 20, 50


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
    """Return Call Details, version C: the contact-center page's field names."""
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
        "end_time": _iso_india(call.ended_at) if over else None,
        "duration": call.total_duration if over else None,
        "talk_time": call.talk_time if over else None,
        "recording_url": recording,
        "custom_field": call.custom_field,
        "agent_details": {"user_id": call.agent.user_id, "name": call.agent.name, "email": None},
        "customer_details": {"number": call.customer_number},
    }


def user_page(agents: Sequence[Agent], request: Request) -> dict[str, Any]:
    """Return a page of the list of users (docs/exotel.md 5)."""
    offset = _number(request.query("offset"), 0)
    limit = min(_number(request.query("limit"), PAGE_SIZE), MAX_PAGE_SIZE)
    rows = [succeeded(user_row(agent, request)) for agent in agents[offset : offset + limit]]
    metadata = {"total": len(agents), "count": len(rows), "offset": offset, "limit": limit}
    return envelope("GET", request.request_id, 200, rows, metadata=metadata)


def user_row(agent: Agent, request: Request) -> dict[str, Any]:
    """Return a user as Exotel shows it; device and call only when `fields` asks for them."""
    first, _, last = agent.name.partition(" ")
    row: dict[str, Any] = {
        "id": agent.user_id,
        "first_name": first,
        "last_name": last or "Agent",
        "email": f"{first.lower()}@example.in",
        "email_verified": True,
        "role": "user",
        "date_created": "2026-01-05T06:00:00Z",
        "date_updated": "2026-01-05T06:00:00Z",
    }
    fields = request.query("fields").split(",")
    if "active_call" in fields:
        row["active_call"] = {"call_sid": agent.call_sid} if agent.call_sid else None
    if "devices" in fields:
        is_available = agent.device in ("on", "busy")
        status = "busy" if agent.device == "busy" or agent.call_sid else "free"
        device = {
            "id": int(hashlib.sha256(agent.user_id.encode()).hexdigest()[:6], 16),
            "name": f"{agent.name} phone",
            "contact_uri": agent.uri,
            "type": "sip" if agent.uri.startswith("sip:") else "tel",
            "available": is_available,
            "verified": agent.device != "unverified",
            "status": status if is_available else None,
        }
        row["devices"] = [device]
    return row


def exophone_page(numbers: Sequence[str]) -> dict[str, Any]:
    """Return the ExoPhones (docs/exotel.md 6); the first is written in local form, as live accounts show some."""
    rows = []
    for index, number in enumerate(numbers):
        local = f"0{number[3:]}" if number.startswith("+91") else number
        row = {
            "sid": hashlib.sha256(number.encode()).hexdigest()[:32],
            "phone_number": local if index == 0 else number,
            "friendly_name": local,
            "capabilities": {"voice": True, "sms": False},
            "country": "IN",
            "region": "KA",
            "voice_url": None,
            "sms_url": None,
        }
        rows.append(row)
    return {"page": 0, "page_size": MAX_PAGE_SIZE, "incoming_phone_numbers": rows}


def iso_z(moment: datetime | None) -> str | None:
    """Return ISO 8601 with milliseconds and Z, as Exotel's page shows times."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z" if moment else None


def _iso_india(moment: datetime | None) -> str | None:
    return moment.astimezone(INDIA).isoformat(timespec="seconds") if moment else None


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdecimal() else default
