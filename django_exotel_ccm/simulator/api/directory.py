"""The Users API and the list of ExoPhones (docs/exotel.md 5, 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from django_exotel_ccm.simulator.api.validation import E164
from django_exotel_ccm.simulator.directory import Agent, Device, ExoPhone
from django_exotel_ccm.simulator.http_server import HTML, WEB_PAGE, Request, Response, json_response, response
from django_exotel_ccm.simulator.payloads import envelope, local_number, refusal, succeeded
from django_exotel_ccm.simulator.refusals import RefusedError

if TYPE_CHECKING:
    from django_exotel_ccm.simulator.simulator import Simulator

USUAL_LIMIT, MOST_USERS, EXOPHONES_PAGE = 20, 50, 50
TOO_MANY = 7  # how much a wrong total is too high


class DirectoryApi:
    """Answers what is asked about agents, their devices, and ExoPhones."""

    def __init__(self, exotel: Simulator) -> None:
        self._exotel = exotel

    def users(self, request: Request) -> Response:
        """Return a page of the users (docs/exotel.md 5.2, 5.3)."""
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        limit = min(_whole(query.get("limit"), USUAL_LIMIT) or USUAL_LIMIT, MOST_USERS)
        offset = _whole(query.get("offset"), 0)
        fault = self._fault("users", -(-offset // limit), "Users")
        agents = [] if fault == "empty" else self._found(query)
        first = 0 if fault == "repeated_page" else offset
        page = agents[first : first + (limit // 2 if fault == "half_pages" else limit)]
        with_devices = "devices" in query.get("fields", "").split(",")
        rows = [succeeded(self._user(agent, with_devices=with_devices)) for agent in page]
        if fault == "row_error" and rows:
            rows[-1] = refusal("GET", request.request_id, 1004)[1]["response"]
        total = len(agents) + (TOO_MANY if fault == "wrong_total" else 0)
        metadata = {"total": total, "count": len(rows), "offset": offset, "limit": limit}
        body = envelope("GET", request.request_id, 200, rows, metadata=metadata)
        return _broken(json_response(200, body), fault)

    def user(self, request: Request, user_id: str) -> Response:
        """Return one user."""
        self._fault("users", 0, "Users")
        data = self._user(self._agent(user_id), with_devices="devices" in request.query)
        return json_response(200, envelope("GET", request.request_id, 200, succeeded(data), metadata=None))

    def update_device(self, request: Request, user_id: str, device_id: str) -> Response:
        """Turn a device on or off, or give it another number (docs/exotel.md 5.5, 5.6)."""
        if code := self._exotel.options.devices_refuse_with:
            self._exotel.notifier.record_fault(f"devices_refused_{code}", "", "Devices")
            raise RefusedError(code)
        agent = self._agent(user_id)
        device = next((device for device in agent.devices if str(device.id) == device_id), None)
        if device is None:
            raise RefusedError(10801, "the agent has no such device")
        available, contact_uri = _device_changes(request)
        if contact_uri is not None:
            self._exotel.directory.set_number(agent, device, contact_uri)
        if available is not None:
            self._exotel.directory.set_available(agent, device, on=available)
        data = self._device(device, agent)
        return json_response(200, envelope("PUT", request.request_id, 200, succeeded(data), metadata=None))

    def exophones(self, request: Request) -> Response:
        """Return a page of the ExoPhones (docs/exotel.md 6)."""
        number = _whole(parse_qs(request.query).get("page", ["0"])[-1], 0)
        fault = self._fault("exophones", number, "ExoPhones")
        shown = 0 if fault == "repeated_page" else number
        first = shown * EXOPHONES_PAGE
        page = [] if fault == "empty" else self._exotel.directory.exophone_rows[first : first + EXOPHONES_PAGE]
        rows = [self._exophone(exophone) for exophone in page]
        if fault == "row_error" and rows:
            rows[-1] = refusal("GET", request.request_id, 1004)[1]["response"]
        body = {"page": shown, "page_size": EXOPHONES_PAGE, "incoming_phone_numbers": rows}
        return _broken(json_response(200, body), fault)

    def _fault(self, of: str, page: int, what: str) -> str:
        """Return the fault of a page of a list, "none" for the first pages that shall be good; RefusedError."""
        options = self._exotel.options
        code, fault = getattr(options, f"{of}_refuse_with"), getattr(options, f"{of}_fault")
        if page < options.good_pages or (not code and fault == "none"):
            return "none"
        self._exotel.notifier.record_fault(f"{of}_refused_{code}" if code else f"{of}_{fault}", "", what)
        if code:
            raise RefusedError(code)
        return str(fault)

    def _found(self, query: dict[str, str]) -> list[Agent]:
        agents = self._exotel.directory.agents
        if email := query.get("email", "").lower():
            agents = [agent for agent in agents if (agent.email or "").lower() == email]
        if uris := query.get("devices.contact_uri"):
            wanted = set(uris.split(","))
            agents = [agent for agent in agents if any(device.contact_uri in wanted for device in agent.devices)]
        return agents

    def _agent(self, user_id: str) -> Agent:
        agent = self._exotel.directory.find_agent(user_id)
        if agent is None or agent.user_id != user_id:
            raise RefusedError(10801)
        return agent

    def _user(self, agent: Agent, *, with_devices: bool) -> dict[str, Any]:
        first_name, _, last_name = agent.name.partition(" ")
        user = {
            "id": agent.user_id,
            "first_name": first_name,
            "last_name": last_name,
            "email": agent.email,
            "email_verified": agent.email is not None,
            "role": "user",
            "active_call": None,
            "last_login": None,
        }
        return {**user, "devices": [self._device(one, agent) for one in agent.devices]} if with_devices else user

    def _device(self, device: Device, agent: Agent) -> dict[str, Any]:
        is_busy = device.state == "busy" or (device.is_on and agent.call_sid is not None)
        return {
            "id": device.id,
            "name": f"{agent.name} {device.kind}",
            "contact_uri": self._written(device.contact_uri),
            "type": device.kind,
            "available": device.is_on,
            "verified": device.state != "unverified",
            "status": "busy" if is_busy else "free" if device.is_on else None,
        }

    def _exophone(self, exophone: ExoPhone) -> dict[str, Any]:
        return {
            "sid": exophone.sid,
            "phone_number": self._written(exophone.number),
            "friendly_name": exophone.label or local_number(exophone.number),
            "capabilities": {"voice": True, "sms": False},
            "country": "IN",
            "region": "KA",
        }

    def _written(self, number: str) -> str:
        return str(local_number(number)) if self._exotel.options.local_numbers else number


def _broken(answer: Response, fault: str) -> Response:
    if fault in ("bad_gateway", "html"):
        return response(502 if fault == "bad_gateway" else 200, WEB_PAGE, HTML)
    if fault == "hang":
        return replace(answer, transmission="hang")
    return replace(answer, transmission="reset") if fault == "cut" else answer


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def _device_changes(request: Request) -> tuple[bool | None, str | None]:
    """Return what the body of a PUT changes; RefusedError if it is not as the documentation says."""
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not body.keys() & {"available", "contact_uri"}:
        raise RefusedError(1007)
    available, contact_uri = body.get("available"), body.get("contact_uri")
    if available is not None and not isinstance(available, bool):
        raise RefusedError(1007, "available is invalid")
    if contact_uri is not None and not (isinstance(contact_uri, str) and E164.fullmatch(contact_uri)):
        raise RefusedError(1401)
    return available, contact_uri
