"""Who Exotel knows: the account's agents with their devices, and its ExoPhones."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from typing import Literal, get_args

from django_exotel_ccm.simulator.refusals import RefusedError

Device = Literal["on", "off", "unverified", "busy"]

ASHA = "+919000000101"
NAMESPACE = uuid.UUID("6f1d2c3b-4a59-4687-9b1c-0d2e3f405162")
REFUSED_FOR = {"off": 1012, "unverified": 10705, "busy": 10706}


@dataclass
class Agent:
    """A co-worker of the account. `device` is the state of the one phone; `call_sid` the call it is in."""

    uri: str
    user_id: str
    name: str
    _device: Device = "on"
    call_sid: str | None = None

    @property
    def device(self) -> Device:
        """The switch in Exotel's dashboard: on, off, unverified, or busy with a call from elsewhere."""
        return self._device

    @device.setter
    def device(self, device: Device) -> None:
        if device not in get_args(Device):
            raise ValueError(f"device={device!r}: write one of {', '.join(get_args(Device))}")
        self._device = device


class Directory:
    """Agents and ExoPhones of the simulated account, at first those that the package's docstring lists."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._by_name: dict[str, Agent] = {}
        self.agents: list[Agent] = []
        self.exophones = ["+918000000700", "+918000000701"]
        self.add_agent(ASHA, user_id="7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", name="Asha")
        self.add_agent("sip:vik4c1d77e2", user_id="2b8e4c10-95d7-4f36-8a1b-6c0d3e7f9b42", name="Vik")
        self.add_agent("+919000000103", user_id="c5f3091e-7a24-4d8b-b6e0-18a94d2c7f05", name="Ola", device="off")
        self.add_agent("+919000000104", user_id="e90a7b63-1f4d-4c52-93c8-5db206f8417e", name="Uma", device="unverified")

    def add_agent(self, uri: str, *, user_id: str | None = None, name: str = "", device: Device = "on") -> Agent:
        """Add a co-worker; name and `user_id` come from the uri unless they are given. One twice: ValueError."""
        agent = Agent(uri, user_id or str(uuid.uuid5(NAMESPACE, uri)), name or uri)
        agent.device = device
        with self._lock:
            if self.find_agent(agent.uri) or self.find_agent(agent.user_id):
                raise ValueError(f"There is already an agent with {uri} or {agent.user_id}")
            self.agents.append(agent)
            self._by_name |= {agent.uri: agent, agent.user_id: agent}
        return agent

    def agent(self, uri_or_user_id: str) -> Agent:
        """Return the agent, whose `device` may be set to on, off, unverified or busy. KeyError if there is none."""
        with self._lock:
            return self._by_name[uri_or_user_id]

    def find_agent(self, uri_or_user_id: str) -> Agent | None:
        """Return the agent with this uri or user_id."""
        with self._lock:
            return self._by_name.get(uri_or_user_id)

    def add_exophone(self, number: str) -> str:
        """Add a caller id, unless it is known; return it as E.164. `08000000700` means `+918000000700`."""
        e164 = as_e164(number)
        with self._lock:
            if e164 not in self.exophones:
                self.exophones.append(e164)
        return e164

    def find_exophone(self, number: str) -> str | None:
        """Return the account's ExoPhone with this number, as E.164."""
        e164 = as_e164(number)
        return e164 if e164 in self.exophones else None

    def occupy(self, agent: Agent, call_sid: str) -> None:
        """Mark the agent as being in this call; RefusedError if the agent cannot be called."""
        with self._lock:
            device = "busy" if agent.call_sid else agent.device
            if device != "on":
                raise RefusedError(REFUSED_FOR[device])
            agent.call_sid = call_sid


def as_e164(number: str) -> str:
    """Return an Indian number in local form as E.164."""
    return f"+91{number[1:]}" if number.startswith("0") else number
