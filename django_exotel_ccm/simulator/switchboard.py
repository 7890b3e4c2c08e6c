"""The state of the simulated Exotel and what can be done with it; knows nothing of HTTP servers."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django_exotel_ccm.simulator.agenda import Agenda
from django_exotel_ccm.simulator.book import Book, SeenRequest
from django_exotel_ccm.simulator.calls import UNKNOWN_STATUS, Leg, Move, SimulatedCall
from django_exotel_ccm.simulator.chance import Stories
from django_exotel_ccm.simulator.clock import Clock
from django_exotel_ccm.simulator.course import Course
from django_exotel_ccm.simulator.deliveries import Courier
from django_exotel_ccm.simulator.directory import ASHA, Agent, Device, Directory
from django_exotel_ccm.simulator.exchange import Account
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.refusals import REFUSALS
from django_exotel_ccm.simulator.scripts import BY_HAND, script_for
from django_exotel_ccm.simulator.telling import Teller


@dataclass(frozen=True)
class Order:
    """A Make a Call that has been understood and may be carried out."""

    payload: dict[str, Any]
    agent: Agent
    customer_number: str
    virtual_number: str


class Switchboard:
    """Directory, clock, book, calls and deliveries of one simulated account."""

    def __init__(self, *, account: Account, speed: float, deliver_anywhere: bool) -> None:
        self.account = account
        self._options = Options()
        self.clock = Clock(speed)
        self.book = Book()
        self.directory = Directory(self.clock.changed)
        self.directory.seed()
        self.on_call: Callable[[dict[str, Any]], None] | None = None
        """Called with the body of each Make a Call, before it is judged and answered. Must not raise."""
        self.url = ""
        self._stories = Stories()
        self._agenda = Agenda(self.clock)
        self._courses: dict[str, Course] = {}
        self._courier = Courier(self.clock, self.book, self._agenda, deliver_anywhere=deliver_anywhere)
        self.teller = Teller(self.clock, self.book, self._options, self._courier)

    # What tests and scripts do

    @property
    def options(self) -> Options:
        """The switches; each may be set at any time."""
        return self._options

    @property
    def speed(self) -> float:
        """Simulated seconds in a real one; may be changed at any time."""
        return self.clock.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self.clock.speed = speed

    def add_agent(self, uri: str, *, user_id: str | None = None, name: str = "", device: Device = "on") -> Agent:
        """Add a co-worker with one device at `uri` (E.164 or sip:)."""
        return self.directory.add_agent(uri, user_id=user_id, name=name, device=device)

    def agent(self, uri_or_user_id: str) -> Agent:
        """The agent; set its `device` to on, off, unverified or busy. KeyError if there is none."""
        agent = self.directory.find(uri_or_user_id)
        if agent is None:
            raise KeyError(uri_or_user_id)
        return agent

    def add_exophone(self, number: str) -> None:
        """Add a caller id, E.164."""
        self.directory.add_exophone(number)

    def place_elsewhere(
        self,
        customer_number: str,
        *,
        agent: str = ASHA,
        recording: bool = False,
        custom_field: str | None = None,
    ) -> SimulatedCall:
        """Have a call that the application did not place; only the account's own URL hears of it.

        `agent` is a uri or user_id; KeyError if there is none. ValueError if the agent cannot be called.
        """
        called = self.agent(agent)
        payload: dict[str, Any] = {
            "from": {"user_contact_uri": called.uri},
            "to": {"number": customer_number},
            "virtual_number": self.directory.exophones[0],
            "recording": recording,
            "custom_field": custom_field,
        }
        placed = self.place(Order(payload, called, customer_number, self.directory.exophones[0]), elsewhere=True)
        if isinstance(placed, int):
            raise ValueError(f"{called.name} cannot be called: {REFUSALS[placed][1]} ({placed})")
        return placed

    def press(self, call_sid: str, leg: Leg = "agent", action: Move = "answer") -> None:
        """Do on a phone what a person would. ValueError if it is not possible, KeyError if there is no such call."""
        with self.clock.changed:
            call = self.book.calls[call_sid]
            if call_sid not in self._courses:
                raise ValueError(f"The call is {call.phase}: one can press nothing")
            self._courses[call_sid].press(leg, action)

    def wait_until_quiet(self, timeout: float = 10.0) -> None:
        """Return when all calls are over and all callbacks delivered; TimeoutError after real seconds."""
        with self.clock.changed:
            if not self.clock.changed.wait_for(lambda: not (self._courses or self._courier.open), timeout):
                raise TimeoutError(f"After {timeout:g} s still going on: {'; '.join(self._going_on())}")

    def details_requests(self, call_sid: str | None = None) -> list[SeenRequest]:
        """The requests for Call Details so far, of one call or of all, in their order."""
        with self.clock.changed:
            asked = [seen for seen in self.book.requests if seen.details_of is not None]
        return [seen for seen in asked if call_sid in (None, seen.details_of)]

    def faults(self) -> Counter[str]:
        """How often each fault was put in so far, by its name."""
        with self.clock.changed:
            return Counter(fault.name for fault in self.book.faults)

    # What the API does

    def place(self, order: Order, *, elsewhere: bool = False) -> SimulatedCall | int:
        """Start a call; or the code that says why the agent cannot be called."""
        script = BY_HAND if self.options.by_hand else script_for(order.customer_number)
        call = SimulatedCall(
            sid=uuid.uuid4().hex,
            request=order.payload,
            agent=order.agent,
            customer_number=order.customer_number,
            virtual_number=order.virtual_number,
            script=script,
            created_at=self.clock.now(),
            elsewhere=elsewhere,
        )
        refused = self.directory.take(order.agent, call.sid)
        if refused:
            return refused
        course = Course(call, self.clock, self._agenda, tell=self._tell, hung_up=self._hung_up)
        with self.clock.changed:
            call.story = self._stories.name(order.agent.uri, order.customer_number, call.custom_field)
            self.book.calls[call.sid] = call
            self._courses[call.sid] = course
            course.begin()
        return call

    def recording_url(self, call: SimulatedCall) -> str | None:
        """Where a recorded call's recording is, or will be; None if nobody is ever told."""
        return call.recording_url

    def recording_ready(self, call: SimulatedCall) -> bool:
        """Can the recording be fetched by now?"""
        if not call.recorded or call.ended_at is None:
            return False
        return (self.clock.now() - call.ended_at).total_seconds() >= self.options.recording_delay

    def stop(self) -> None:
        """Stop the clock, break off calls and deliveries, and wait for their threads."""
        self.clock.stop()
        self._courier.stop()
        self._agenda.join(1.0)

    # How it is done

    def _hung_up(self, call: SimulatedCall) -> None:
        self.directory.release(call.agent)
        if call.recorded and self.options.recordings_shape != "never":
            name = f"{call.sid}.{self.options.recording_type}"
            call.recording_url = f"{self.url}/recordings/{self.account.sid}/{name}"

    def _tell(self, call: SimulatedCall, event: str) -> None:
        if event == "terminal" and self.options.unknown_status:
            call.status = UNKNOWN_STATUS
        self.teller.tell(call, event)
        if event == "terminal":
            del self._courses[call.sid]

    def _going_on(self) -> list[str]:
        calls = [f"call {sid} is {course.call.phase}" for sid, course in self._courses.items()]
        return calls + [str(errand) for errand in self._courier.open]
