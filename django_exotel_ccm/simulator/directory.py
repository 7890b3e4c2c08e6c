"""Who Exotel knows: the account's agents with their devices, and its ExoPhones."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from typing import Literal, get_args

Device = Literal["on", "off", "unverified", "busy"]

ASHA = "+919000000101"
ASHA_ID = "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa"
VIK_ID = "2b8e4c10-95d7-4f36-8a1b-6c0d3e7f9b42"
OLA_ID = "c5f3091e-7a24-4d8b-b6e0-18a94d2c7f05"
UMA_ID = "e90a7b63-1f4d-4c52-93c8-5db206f8417e"
NAMESPACE = uuid.UUID("6f1d2c3b-4a59-4687-9b1c-0d2e3f405162")

UNAVAILABLE = {"off": 1012, "unverified": 10705, "busy": 10706}


@dataclass
class Agent:
    """A co-worker of the account. `device` is the state of its one phone; `call_sid` the call it is in."""

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

    @property
    def kind(self) -> str:
        """Exotel's type of device: `sip` or `tel`."""
        return "sip" if self.uri.startswith("sip:") else "tel"


def local_to_e164(number: str) -> str:
    """An ExoPhone may be written 08000000700; Exotel takes that for +918000000700."""
    return f"+91{number[1:]}" if number.startswith("0") else number


class Directory:
    """Agents and ExoPhones of the simulated account."""

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self.agents: list[Agent] = []
        self._by_name: dict[object, Agent] = {}
        self.exophones: list[str] = []

    def seed(self) -> None:
        """Fill in the directory that the simulator's front page documents."""
        self.add_agent(ASHA, user_id=ASHA_ID, name="Asha")
        self.add_agent("sip:vik4c1d77e2", user_id=VIK_ID, name="Vik")
        self.add_agent("+919000000103", user_id=OLA_ID, name="Ola", device="off")
        self.add_agent("+919000000104", user_id=UMA_ID, name="Uma", device="unverified")
        self.add_exophone("+918000000700")
        self.add_exophone("+918000000701")

    def add_agent(self, uri: str, *, user_id: str | None = None, name: str = "", device: Device = "on") -> Agent:
        """Add a co-worker; a missing `user_id` is derived from `uri`. The same one twice: ValueError."""
        agent = Agent(uri, user_id or str(uuid.uuid5(NAMESPACE, uri)), name or uri)
        agent.device = device
        with self._lock:
            if self.find(agent.uri) or self.find(agent.user_id):
                raise ValueError(f"There is already an agent with {uri} or {agent.user_id}")
            self.agents.append(agent)
            self._by_name |= {agent.uri: agent, agent.user_id: agent}
        return agent

    def add_exophone(self, number: str) -> None:
        """Add a caller id, E.164."""
        with self._lock:
            if number not in self.exophones:
                self.exophones.append(number)

    def find(self, name: object) -> Agent | None:
        """The agent with this uri or user_id."""
        with self._lock:
            return self._by_name.get(name)

    def exophone(self, number: str) -> str | None:
        """The account's ExoPhone with this number, as E.164."""
        e164 = local_to_e164(number)
        return e164 if e164 in self.exophones else None

    def take(self, agent: Agent, call_sid: str) -> int | None:
        """Mark the agent as being in this call; or the code that says why that cannot be."""
        with self._lock:
            if agent.call_sid:
                return UNAVAILABLE["busy"]
            if agent.device != "on":
                return UNAVAILABLE[agent.device]
            agent.call_sid = call_sid
            return None

    def release(self, agent: Agent) -> None:
        """The agent's call is over."""
        with self._lock:
            agent.call_sid = None
