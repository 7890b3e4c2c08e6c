"""The soak: many calls through everything that is real, with faults by chance, and what came of them in numbers."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from django.db import connection

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Agent, Announcement, CallEvent, CallRecord, ExoPhone
from django_exotel_ccm.simulator import SCRIPTS, Simulator
from django_exotel_ccm.simulator.scenarios import BY_HAND
from tests.concurrency.verdict import Verdict, acknowledged_by, judge
from tests.concurrency.web_process import drain, web
from tests.crashes.kill_steps import NOWHERE
from tests.helpdesk.models import Customer, Ticket
from tests.services.reconciliation.due_calls import make_due
from tests.subprocesses import child

EXOPHONE = "+918000000700"
PROCESSES = 2  # of each kind: web servers, placers, reconcilers
AGENTS = 256
PASSES = 4  # of reconciling
BUDGET = "1000000"  # requests per minute
SPEED = 2000.0
WITHIN = 600  # seconds for what goes on when the last call is placed


@dataclass(frozen=True)
class Plan:
    """How many calls, what is drawn with, for how many seconds calls are placed, and the shares of what is drawn.

    ``ordinary`` calls take the usual course, the others any that the simulator has; the rest are faults of callbacks.
    """

    calls: int
    seed: int
    within: float
    ordinary: float = 0.9
    duplicates: float = 0.05
    reordered: float = 0.05
    lost: float = 0.02


@dataclass
class Soak:
    """What was done, counted, and what was wrong."""

    calls: int = 0
    states: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    callbacks: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    fetched: int = 0
    events: Counter[str] = field(default_factory=Counter)
    announcements: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    complaints: list[str] = field(default_factory=list)


def soak(exotel: Simulator, plan: Plan, report: Callable[[str], None]) -> Soak:
    """Place the calls on the database of the settings, which is empty, let them end, settle them, and compare.

    ``report`` gets a line for each phase.
    """
    result = Soak()
    exotel.speed = SPEED
    exotel.options.seed = plan.seed
    exotel.options.duplicate_rate, exotel.options.reorder_rate = plan.duplicates, plan.reordered
    exotel.options.loss_rate = plan.lost
    populate(exotel, plan)
    began = time.monotonic()
    with ExitStack() as stack:
        servers = [stack.enter_context(web()) for _number in range(PROCESSES)]
        place(result, [one.url for one in servers], plan.within, report)
        exotel.wait_until_quiet(WITHIN)
    result.seconds["placing and hearing"] = time.monotonic() - began
    began = time.monotonic()
    settle(result, report)
    result.seconds["reconciling"] = time.monotonic() - began
    began = time.monotonic()
    report("comparing the book with the database")
    count(result, exotel)
    result.verdict = judge(exotel, acknowledged_by(exotel))
    result.seconds["comparing"] = time.monotonic() - began
    return result


def populate(exotel: Simulator, plan: Plan) -> None:
    """Give the host its agents, and a ticket with a customer for each call; the same for the same seed."""
    ExoPhone.objects.create(number=EXOPHONE, is_default=True)
    uris = [f"+9190010{number:05}" for number in range(AGENTS)]
    for uri in uris:
        exotel.add_agent(uri)
    Agent.objects.bulk_create([Agent(name=f"Agent {uri}", contact_uri=uri) for uri in uris])
    draw = random.Random(plan.seed)
    courses = [one.number for one in SCRIPTS if one is not BY_HAND]
    customers = [
        Customer(name="Ravi", phone=f"+91905{number:07}" if draw.random() < plan.ordinary else draw.choice(courses))
        for number in range(plan.calls)
    ]
    customers = Customer.objects.bulk_create(customers, 1000)
    Ticket.objects.bulk_create([Ticket(subject="Fan", customer=customer) for customer in customers], 1000)
    connection.close()


def place(result: Soak, urls: list[str], within: float, report: Callable[[str], None]) -> None:
    """Have processes press all buttons; each has its calls reported to another server."""
    ends = time.monotonic() + within
    with ExitStack() as stack:
        placers = [
            stack.enter_context(
                child("-m", "tests.concurrency.placing_process", f"{number}", f"{PROCESSES}", TEST_BASE_URL=url)
            )
            for number, url in enumerate(urls)
        ]
        logs = [drain(process) for process in placers]
        while any(process.poll() is None for process in placers):
            report(f"{CallRecord.objects.count()} calls placed")
            if time.monotonic() > ends:
                result.complaints.append(f"not all calls were placed within {within:g} s")
                return
            _wait(placers, 5.0)
        for process, log in zip(placers, logs, strict=True):
            if process.returncode:
                result.complaints.append(f"a process that places calls ended with {process.returncode}: {''.join(log)}")


def _wait(processes: list[subprocess.Popen[str]], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and any(process.poll() is None for process in processes):
        time.sleep(0.05)


def settle(result: Soak, report: Callable[[str], None]) -> None:
    """Reconcile, two processes at once, until nothing is planned any more."""
    command = ("-m", "tests.crashes.kill_steps", NOWHERE, "reconcile")
    for number in range(PASSES):
        make_due()
        due = CallRecord.objects.exclude(next_check_at=None).count()
        connection.close()
        if not due:
            break
        report(f"{number + 1}. pass of reconciling: {due} calls are due")
        with ExitStack() as stack:
            both = [
                stack.enter_context(child(*command, TEST_REQUESTS_PER_MINUTE=BUDGET)) for _number in range(PROCESSES)
            ]
            logs = [drain(process) for process in both]
            for process, log in zip(both, logs, strict=True):
                if process.wait(WITHIN):
                    result.complaints.append(f"a reconciler ended with {process.returncode}: {''.join(log)}")


def count(result: Soak, exotel: Simulator) -> None:
    """Count what was done."""
    result.calls = CallRecord.objects.count()
    result.states = Counter(CallRecord.objects.values_list("state", flat=True))
    result.outcomes = Counter(CallRecord.objects.filter(state=State.ENDED).values_list("outcome", flat=True))
    result.callbacks = len(exotel.book.deliveries)
    result.answers = Counter(str(one.status or one.error.partition(":")[0]) for one in exotel.book.deliveries)
    result.faults = exotel.faults()
    result.fetched = len(exotel.details_requests())
    result.events = Counter(CallEvent.objects.values_list("kind", flat=True))
    result.announcements = Counter(Announcement.objects.values_list("signal", flat=True))
