"""The two lists that Exotel keeps: users with their devices (docs/exotel.md 5), and ExoPhones (docs/exotel.md 6)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from django_exotel_ccm.simulator.directory import Agent
from django_exotel_ccm.simulator.exchange import Request
from django_exotel_ccm.simulator.wire import envelope, succeeded

PAGE, LARGEST_PAGE = 20, 50


def user_page(agents: Sequence[Agent], request: Request) -> dict[str, Any]:
    """A page of users; devices only when `fields` asks for them."""
    offset = _number(request.query("offset"), 0)
    limit = min(_number(request.query("limit"), PAGE), LARGEST_PAGE)
    page = agents[offset : offset + limit]
    rows = [succeeded(user_row(agent, request)) for agent in page]
    metadata = {"total": len(agents), "count": len(page), "offset": offset, "limit": limit}
    return envelope("GET", request.request_id, 200, rows, metadata=metadata)


def user_answer(agent: Agent, request: Request) -> dict[str, Any]:
    """One user in the standard envelope."""
    return envelope("GET", request.request_id, 200, succeeded(user_row(agent, request)), metadata=None)


def user_row(agent: Agent, request: Request) -> dict[str, Any]:
    """A user as Exotel shows it."""
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
    return {**row, "devices": [device_row(agent)]} if "devices" in fields else row


def device_row(agent: Agent) -> dict[str, Any]:
    """The agent's device: the switch, whether it was verified, and whether it is on a call."""
    busy = agent.device == "busy" or agent.call_sid is not None
    available = agent.device in ("on", "busy")
    return {
        "id": int(hashlib.sha256(agent.user_id.encode()).hexdigest()[:6], 16),
        "name": f"{agent.name} phone",
        "contact_uri": agent.uri,
        "type": agent.kind,
        "available": available,
        "verified": agent.device != "unverified",
        "status": ("busy" if busy else "free") if available else None,
    }


def exophone_page(numbers: Sequence[str]) -> dict[str, Any]:
    """The account's ExoPhones; the first is written in local form, as live accounts show some."""
    rows = [exophone_row(number, local=index == 0) for index, number in enumerate(numbers)]
    return {"page": 0, "page_size": LARGEST_PAGE, "incoming_phone_numbers": rows}


def exophone_row(number: str, *, local: bool) -> dict[str, Any]:
    """An ExoPhone as Exotel shows it."""
    short = f"0{number[3:]}" if number.startswith("+91") else number
    return {
        "sid": hashlib.sha256(number.encode()).hexdigest()[:32],
        "phone_number": short if local else number,
        "friendly_name": short,
        "capabilities": {"voice": True, "sms": False},
        "country": "IN",
        "region": "KA",
        "voice_url": None,
        "sms_url": None,
    }


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdecimal() else default
