"""Whom Exotel knows: the account, its agents with their devices, and its ExoPhones."""

from __future__ import annotations

import base64
import itertools
import threading
import uuid
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any, Literal, get_args

from django_exotel_ccm.simulator.refusals import RefusedError

DeviceState = Literal["on", "off", "unverified", "busy"]

ASHA = "+919000000101"
NAMESPACE = uuid.UUID("6f1d2c3b-4a59-4687-9b1c-0d2e3f405162")
REFUSED_FOR = {"off": 1012, "unverified": 10705, "busy": 10706}
FIRST_DEVICE_ID = 411


@dataclass(frozen=True)
class Account:
    """The simulated account: what the client must know."""

    key: str = "sim-key"
    token: str = field(default="sim-token", repr=False)
    sid: str = "simulated1"

    def accepts(self, authorization: str) -> bool:
        """Return True if this `Authorization` header holds our key and token."""
        expected = base64.b64encode(f"{self.key}:{self.token}".encode())
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "basic" and compare_digest(given.encode(), expected)


@dataclass
class Device:
    """A phone or a softphone of an agent.

    `state` is what Exotel's dashboard shows: on, off, unverified, or busy with a call of another application.
    `kind` is the API's `type`.
    """

    id: int
    contact_uri: str
    state: DeviceState = "on"
    kind: str = ""

    def __post_init__(self) -> None:
        """Know the kind by the address, unless it was given."""
        self.kind = self.kind or ("sip" if self.contact_uri.lower().startswith("sip:") else "tel")

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse an unknown state with ValueError."""
        if name == "state" and value not in get_args(DeviceState):
            raise ValueError(f"device={value!r}: write one of {', '.join(get_args(DeviceState))}")
        super().__setattr__(name, value)

    @property
    def is_on(self) -> bool:
        """Whether calls ring here."""
        return self.state in ("on", "busy")


@dataclass
class Agent:
    """A co-worker of the account. `call_sid` is the call that the agent is in; `devices` has at least one device."""

    user_id: str
    name: str
    devices: list[Device]
    email: str | None = None
    call_sid: str | None = None

    @property
    def calling_device(self) -> Device:
        """The device that rings: the one that is on, else the first."""
        return next((device for device in self.devices if device.is_on), self.devices[0])

    @property
    def uri(self) -> str:
        """The address of the device that rings."""
        return self.calling_device.contact_uri

    @property
    def device(self) -> DeviceState:
        """The state of the device that rings. To set it sets the first device; the others are off then."""
        return self.calling_device.state

    @device.setter
    def device(self, state: DeviceState) -> None:
        self.switch(self.devices[0], state)

    def switch(self, device: Device, state: DeviceState) -> None:
        """Set the state of a device as the dashboard does: the one that was on before goes off. ValueError."""
        device.state = state
        for other in self.devices:
            if device.is_on and other is not device and other.is_on:
                other.state = "off"

    def as_json(self) -> dict[str, Any]:
        """Return the agent for the web page."""
        devices = [vars(device) for device in self.devices]
        return {
            "user_id": self.user_id,
            "name": self.name,
            "uri": self.uri,
            "call_sid": self.call_sid,
            "devices": devices,
        }


@dataclass(frozen=True)
class ExoPhone:
    """A caller id of the account: E.164, and Exotel's "friendly name"."""

    number: str
    label: str = ""

    @property
    def sid(self) -> str:
        """Exotel's id of it."""
        return uuid.uuid5(NAMESPACE, self.number).hex


FIRST_AGENTS: tuple[tuple[str, str, str, DeviceState], ...] = (
    (ASHA, "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", "Asha", "on"),
    ("sip:vik4c1d77e2", "2b8e4c10-95d7-4f36-8a1b-6c0d3e7f9b42", "Vik", "on"),
    ("+919000000103", "c5f3091e-7a24-4d8b-b6e0-18a94d2c7f05", "Ola", "off"),
    ("+919000000104", "e90a7b63-1f4d-4c52-93c8-5db206f8417e", "Uma", "unverified"),
)


class Directory:
    """Agents and ExoPhones of the simulated account, at first those that the package's docstring lists."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._device_ids = itertools.count(FIRST_DEVICE_ID)
        self._agents: dict[str, Agent] = {}
        self._by_uri: dict[str, Agent] = {}
        self._exophones = {number: ExoPhone(number) for number in ("+918000000700", "+918000000701")}
        for uri, user_id, name, device in FIRST_AGENTS:
            self.add_agent(uri, user_id=user_id, name=name, device=device, email=f"{name.lower()}@example.com")

    @property
    def agents(self) -> list[Agent]:
        """The co-workers, in their order."""
        return list(self._agents.values())

    @property
    def exophones(self) -> list[str]:
        """The caller ids as E.164, in their order."""
        return list(self._exophones)

    @property
    def exophone_rows(self) -> list[ExoPhone]:
        """The caller ids with their labels, in their order."""
        return list(self._exophones.values())

    def add_agent(
        self,
        uri: str,
        *,
        user_id: str | None = None,
        name: str = "",
        device: DeviceState = "on",
        email: str | None = None,
    ) -> Agent:
        """Add a co-worker; name and `user_id` come from the uri unless they are given. One twice: ValueError."""
        user_id = user_id or str(uuid.uuid5(NAMESPACE, uri))
        with self._lock:
            if uri in self._by_uri or user_id in self._agents:
                raise ValueError(f"There is already an agent with {uri} or {user_id}")
            agent = Agent(user_id, name or uri, [Device(next(self._device_ids), uri, device)], email)
            self._agents[user_id] = self._by_uri[uri] = agent
        return agent

    def add_device(self, agent: Agent, uri: str, state: DeviceState = "off", *, kind: str = "") -> Device:
        """Give an agent another device; ValueError if somebody has it, or if two would be on."""
        with self._lock:
            if uri in self._by_uri:
                raise ValueError(f"There is already an agent with {uri}")
            if state in ("on", "busy") and agent.calling_device.is_on:
                raise ValueError(f"{agent.calling_device.contact_uri} is on: turn it off first")
            device = Device(next(self._device_ids), uri, state, kind)
            agent.devices.append(device)
            self._by_uri[uri] = agent
        return device

    def remove_agent(self, uri_or_user_id: str) -> None:
        """Take a co-worker out of the account. KeyError if there is none."""
        agent = self.agent(uri_or_user_id)
        with self._lock:
            del self._agents[agent.user_id]
            for device in agent.devices:
                del self._by_uri[device.contact_uri]

    def find_agent(self, uri_or_user_id: str) -> Agent | None:
        """Return the agent with this user_id or with a device at this uri."""
        return self._agents.get(uri_or_user_id) or self._by_uri.get(uri_or_user_id)

    def agent(self, uri_or_user_id: str) -> Agent:
        """Return the agent, whose `device` may be set. KeyError if there is none."""
        agent = self.find_agent(uri_or_user_id)
        if agent is None:
            raise KeyError(f"There is no agent {uri_or_user_id!r}")
        return agent

    def reserve(self, agent: Agent, call_sid: str) -> None:
        """Mark the agent as being in this call; RefusedError if the agent cannot be called."""
        with self._lock:
            device = "busy" if agent.call_sid else agent.device
            if device != "on":
                raise RefusedError(REFUSED_FOR[device])
            agent.call_sid = call_sid

    def set_available(self, agent: Agent, device: Device, *, on: bool) -> None:
        """Turn a device on or off, as the Users API does; RefusedError (docs/exotel.md 5.5, 5.6)."""
        with self._lock:
            if on and device.state == "unverified":
                raise RefusedError(10809)
            if on and any(other.is_on for other in agent.devices if other is not device):
                raise RefusedError(10810)
            if device.is_on is not on:
                device.state = "on" if on else "off"

    def set_number(self, agent: Agent, device: Device, number: str) -> None:
        """Give a phone another number, which has to be verified; RefusedError for a softphone or a number in use."""
        with self._lock:
            if device.kind != "tel":
                raise RefusedError(10817)
            if self._by_uri.get(number, agent) is not agent:
                raise RefusedError(10811)
            del self._by_uri[device.contact_uri]
            device.contact_uri, device.state = number, "unverified"
            self._by_uri[number] = agent

    def add_exophone(self, number: str, *, label: str = "") -> str:
        """Add a caller id, unless it is known; return it as E.164. `08000000700` means `+918000000700`."""
        e164 = as_e164(number)
        with self._lock:
            self._exophones.setdefault(e164, ExoPhone(e164, label))
        return e164

    def remove_exophone(self, number: str) -> None:
        """Take a caller id out of the account. KeyError if there is none."""
        with self._lock:
            del self._exophones[as_e164(number)]


def as_e164(number: str) -> str:
    """Return an Indian number in local form as E.164."""
    return f"+91{number[1:]}" if number.startswith("0") else number
