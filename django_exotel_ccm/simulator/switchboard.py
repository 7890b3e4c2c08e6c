"""The state of the simulated Exotel and what can be done with it; knows nothing of HTTP servers."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django_exotel_ccm.simulator.book import Book
from django_exotel_ccm.simulator.calls import Course, Leg, Move, SimulatedCall
from django_exotel_ccm.simulator.clock import Clock
from django_exotel_ccm.simulator.deliveries import Courier, Errand
from django_exotel_ccm.simulator.directory import Agent, Device, Directory
from django_exotel_ccm.simulator.exchange import Account
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.scripts import BY_HAND, script_for
from django_exotel_ccm.simulator.wire import callback

PRESS_WITHIN = 2.0  # real seconds for a call to notice that somebody pressed


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
        self.options = Options()
        self.clock = Clock(speed)
        self.book = Book()
        self.directory = Directory(self.clock.changed)
        self.directory.seed()
        self.on_call: Callable[[dict[str, Any]], None] | None = None
        """Called with the body of each Make a Call, before it is judged and answered. Must not raise."""
        self.url = ""
        self._courier = Courier(self.clock, self.book, deliver_anywhere=deliver_anywhere)
        self._threads: list[threading.Thread] = []

    # What tests and scripts do

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

    def press(self, call_sid: str, leg: Leg = "agent", action: Move = "answer") -> None:
        """Do on a phone what a person would, and let the call notice. ValueError if it is not possible."""
        call = self.book.calls[call_sid]
        with self.clock.changed:
            if (leg, action) not in call.moves() or call.pressed:
                can = ", ".join(f"{a} on the {b}'s phone" for b, a in sorted(call.moves())) or "nothing"
                raise ValueError(f"The call is {call.phase}: one can press {can}; not {action} on the {leg}'s phone")
            turn = call.turn
            call.pressed = (leg, action)
            self.clock.changed.notify_all()
            self.clock.changed.wait_for(lambda: call.turn != turn or self.clock.stopped, PRESS_WITHIN)

    def wait_until_quiet(self, timeout: float = 10.0) -> None:
        """Return when all calls are over and all callbacks delivered; TimeoutError after real seconds."""
        with self.clock.changed:
            if not self.clock.changed.wait_for(lambda: not self._going_on(), timeout):
                raise TimeoutError(f"After {timeout:g} s still going on: {'; '.join(self._going_on())}")

    # What the API does

    def place(self, order: Order) -> SimulatedCall | int:
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
        )
        refused = self.directory.take(order.agent, call.sid)
        if refused:
            return refused
        self.book.calls[call.sid] = call
        course = Course(call, self.clock, tell=self._tell, hung_up=lambda ended: self.directory.release(ended.agent))
        self._start(course.run)
        return call

    def recording_url(self, call: SimulatedCall) -> str | None:
        """Where a recorded call's recording is, or will be."""
        return f"{self.url}/recordings/{self.account.sid}/{call.sid}.wav" if call.recorded else None

    def recording_ready(self, call: SimulatedCall) -> bool:
        """Can the recording be fetched by now?"""
        if not call.recorded or call.ended_at is None:
            return False
        return (self.clock.now() - call.ended_at).total_seconds() >= self.options.recording_delay

    def stop(self) -> None:
        """Stop the clock, break off calls and deliveries, and wait for their threads."""
        self.clock.stop()
        self._courier.stop()
        deadline = time.monotonic() + 1.0
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    # How it is done

    def _tell(self, call: SimulatedCall, event: str) -> None:
        """Send the callbacks of an event, with the switched faults."""
        options = self.options
        if options.answered_last and event == "answered" and call.callback_urls("terminal"):
            call.held = self._errands(call, event)
            return
        errands = self._errands(call, event)
        if event == "terminal":
            errands += call.held
        for errand in errands:
            self._courier.send(errand, in_order=options.in_order, start=self._start)

    def _errands(self, call: SimulatedCall, event: str) -> list[Errand]:
        options = self.options
        if event in options.lost_events:
            return []
        with self.clock.changed:
            link = self.recording_url(call) if call.state == "terminal" else None
            body = callback(call, event, options, link)
        copies = 2 if options.duplicate_callbacks else 1
        return [
            Errand(call.sid, event, url, options.callback_shape, body)
            for url in call.callback_urls(event)
            for _ in range(copies)
        ]

    def _start(self, work: Callable[[], None]) -> None:
        with self.clock.changed:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=work, name="exotel-simulator", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _going_on(self) -> list[str]:
        calls = [f"call {call.sid} is {call.phase}" for call in self.book.calls.values() if call.state == "active"]
        return calls + [str(errand) for errand in self._courier.open_errands()]
