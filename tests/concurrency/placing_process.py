"""A process of the host in which agents press buttons: ``python -m tests.concurrency.placing_process FIRST STEP``.

It places a call about every ticket with a phone number, beginning with the FIRST and then every STEP-th.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import django

THREADS = 4
TWICE = 50  # every so many tickets, the button is pressed twice
BUSY = "10706"
AGAIN_AFTER = 0.05  # seconds


def press(agent: Any, ticket: Any, key: str) -> str:
    """Place a call; return its state, or the code of the refusal."""
    from django_exotel_ccm.exceptions import CallRefused
    from django_exotel_ccm.services import place_call

    try:
        return place_call(agent=agent, ticket=ticket, recording=True, request_key=key).state
    except CallRefused as refused:
        return refused.code


def work(pairs: Iterator[tuple[Any, Any]], lock: threading.Lock) -> None:
    """Press the button on ticket after ticket until there are none left."""
    from django.db import connection

    while True:
        with lock:
            ticket, agent = next(pairs, (None, None))
        if ticket is None:
            break
        presses = 0
        while press(agent, ticket, f"{ticket.pk}/{presses}") == BUSY:
            time.sleep(AGAIN_AFTER)
            presses += 1
        if ticket.pk % TWICE == 0:
            press(agent, ticket, f"{ticket.pk}/{presses}")
    connection.close()


def main(first: str, step: str) -> None:
    """Share the tickets among a few threads; which agent a ticket is called by depends on nothing else."""
    from django.conf import settings

    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    django.setup()
    from django_exotel_ccm.models import Agent
    from tests.crashes import ticket_receivers
    from tests.helpdesk.models import Ticket

    ticket_receivers.listen()
    tickets = Ticket.objects.select_related("customer").exclude(customer=None).order_by("pk")
    pairs = zip(tickets, itertools.cycle(Agent.objects.order_by("pk")), strict=False)
    mine, lock = itertools.islice(list(pairs), int(first), None, int(step)), threading.Lock()
    threads = [threading.Thread(target=work, args=[mine, lock]) for _number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
