"""Whom Exotel knows: the account, its agents with their devices, and its ExoPhones."""

from __future__ import annotations

import base64
import threading
import uuid
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any, Literal, get_args

from django_exotel_ccm.simulator.refusals import RefusedError

Device = Literal["on", "off", "unverified", "busy"]

ASHA = "+919000000101"
NAMESPACE = uuid.UUID("6f1d2c3b-4a59-4687-9b1c-0d2e3f405162")
REFUSED_FOR = {"off": 1012, "unverified": 10705, "busy": 10706}


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
class Agent:
    """A co-worker of the account. `call_sid` is the call that the agent is in.

    `device` is the switch in Exotel's dashboard: on, off, unverified, or busy with a call of another application.
    """

    uri: str
    user_id: str
    name: str
    device: Device = "on"
    call_sid: str | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse an unknown device with ValueError."""
        if name == "device" and value not in get_args(Device):
            raise ValueError(f"device={value!r}: write one of {', '.join(get_args(Device))}")
        super().__setattr__(name, value)


class Directory:
    """Agents and ExoPhones of the simulated account, at first those that the package's docstring lists."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self.agents: list[Agent] = []
        self.exophones = ["+918000000700", "+918000000701"]
        self.add_agent(ASHA, user_id="7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", name="Asha")
        self.add_agent("sip:vik4c1d77e2", user_id="2b8e4c10-95d7-4f36-8a1b-6c0d3e7f9b42", name="Vik")
        self.add_agent("+919000000103", user_id="c5f3091e-7a24-4d8b-b6e0-18a94d2c7f05", name="Ola", device="off")
        self.add_agent("+919000000104", user_id="e90a7b63-1f4d-4c52-93c8-5db206f8417e", name="Uma", device="unverified")

    def add_agent(self, uri: str, *, user_id: str | None = None, name: str = "", device: Device = "on") -> Agent:
        """Add a co-worker; name and `user_id` come from the uri unless they are given. One twice: ValueError."""
        agent = Agent(uri, user_id or str(uuid.uuid5(NAMESPACE, uri)), name or uri, device)
        with self._lock:
            if self.find_agent(agent.uri) or self.find_agent(agent.user_id):
                raise ValueError(f"There is already an agent with {uri} or {agent.user_id}")
            self.agents.append(agent)
        return agent

    def find_agent(self, uri_or_user_id: str) -> Agent | None:
        """Return the agent with this uri or user_id."""
        return next((agent for agent in self.agents if uri_or_user_id in (agent.uri, agent.user_id)), None)

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

    def add_exophone(self, number: str) -> str:
        """Add a caller id, unless it is known; return it as E.164. `08000000700` means `+918000000700`."""
        e164 = as_e164(number)
        with self._lock:
            if e164 not in self.exophones:
                self.exophones.append(e164)
        return e164


def as_e164(number: str) -> str:
    """Return an Indian number in local form as E.164."""
    return f"+91{number[1:]}" if number.startswith("0") else number
