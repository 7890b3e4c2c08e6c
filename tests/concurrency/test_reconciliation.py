"""Two reconcilers check calls while their callbacks come in: each signal is sent once."""

from __future__ import annotations

import json
import logging
from collections import Counter
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError, connection

from django_exotel_ccm.choices import EventKind
from django_exotel_ccm.models import Agent, CallEvent, ExoPhone
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.simulator import Simulator
from tests.concurrency.clients import Callback, deliver_all
from tests.concurrency.verdict import judge, reference_in
from tests.concurrency.web_process import Web
from tests.conftest import EXOPHONE
from tests.crashes.kill_steps import NOWHERE
from tests.helpdesk.models import Customer, Ticket
from tests.services.reconciliation.due_calls import end_calls, make_due, requested_sids
from tests.subprocesses import child

logger = logging.getLogger("tests.concurrency")

CALLS = 60
CLIENTS = 16


@pytest.fixture
def exotel(exotel_simulator: Simulator, transactional_db: None) -> Simulator:
    """A simulated Exotel whose callbacks reach no server; the clients deliver them."""
    return exotel_simulator


@pytest.fixture
def silent(exotel: Simulator) -> None:
    """Calls that have ended without a callback so far; they are due."""
    ExoPhone.objects.create(number=EXOPHONE, is_default=True)
    for number in range(CALLS):
        uri = f"+9190010{number:05}"
        exotel.add_agent(uri)
        agent = Agent.objects.create(name=f"Agent {number}", contact_uri=uri)
        customer = Customer.objects.create(name="Ravi", phone=f"+9190020{number:05}")
        place_call(agent=agent, ticket=Ticket.objects.create(subject="Fan", customer=customer), recording=True)
    end_calls(exotel)
    make_due()


def callbacks_of(exotel: Simulator) -> list[Callback]:
    """Return the callbacks that Exotel tried to deliver."""
    tried = [one for one in exotel.book.deliveries if one.attempt == 1]
    return [
        Callback(reference_in(one.url), one.event, urlsplit(one.url).path, json.dumps(one.body).encode())
        for one in tried
    ]


def test_reconcilers_beside_callbacks(journal: str, servers: list[Web], silent: None, exotel: Simulator) -> None:
    callbacks = callbacks_of(exotel)
    assert len(callbacks) == 2 * CALLS

    with ExitStack() as stack:
        command = ("-m", "tests.crashes.kill_steps", NOWHERE, "reconcile")
        reconcilers = [stack.enter_context(child(*command, TEST_JOURNAL=journal)) for _number in range(2)]
        exotel.clock.wait_until(float("inf"), unless=lambda: bool(requested_sids(exotel)))
        statuses = deliver_all([one.url for one in servers], callbacks * 2, clients=CLIENTS)
        texts = [process.communicate(timeout=60)[0] for process in reconcilers]

    assert [process.returncode for process in reconcilers] == [0, 0], "".join(texts)
    assert set(statuses.all()) <= {200, 503}, Counter(statuses.all())
    assert statuses.stored() == set(callbacks)
    assert set(Counter(requested_sids(exotel)).values()) == {1}
    assert times_overlap()
    logger.info(
        "%d of %d calls were fetched; statuses: %s", len(requested_sids(exotel)), CALLS, Counter(statuses.all())
    )
    verdict = judge(exotel, [(one.reference, one.event, json.loads(one.body)) for one in callbacks])
    assert not verdict, verdict


def test_claim_is_repeated_after_a_deadlock(silent: None, exotel: Simulator) -> None:
    """MariaDB may choose a claim, a single statement, as the victim."""
    lost: list[str] = []

    def lose(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and "exotel_ccm_callrecord" in sql and len(lost) < 2:
            lost.append(sql)
            raise OperationalError("deadlock")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(lose):
        report = reconcile()

    assert (len(lost), report.calls, report.ended, report.errors) == (2, CALLS, CALLS, 0)


def times_overlap() -> bool:
    """Return True if callbacks came both before the last and after the first Call Details."""

    def times(kind: EventKind) -> list[object]:
        return list(CallEvent.objects.filter(kind=kind).order_by("received_at").values_list("received_at", flat=True))

    details, callbacks = times(EventKind.DETAILS), times(EventKind.CALLBACK)
    return bool(details[0] < callbacks[-1] and callbacks[0] < details[-1])  # type: ignore[operator]
