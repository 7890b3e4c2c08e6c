"""The panel's question and the agents' pages, beside a bare Django view that knows its user, with few and many calls.

python benchmarks/pages.py [--calls N] [--rounds N] [--sizes N N]

PostgreSQL. All pages are asked for in one process through Django's WSGI handler with the middleware of
tests/settings.py, by an agent who is logged in, over a connection that stays open. A page's time with a million calls
is compared with its time with a thousand through the bare view, which asks for the session and the user only.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import Side, measure_rounds, prepare, run

SIZES = [1_000, 1_000_000]
TICKETS = 900  # a ticket has one call, and a thousand among a million

Ask = Callable[[str], Any]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of a bare view and of each page in each round."""
    database = prepare(ROOT_URLCONF="benchmarks.pages_urls")
    sides = {name: timed(ask, url) for name, (ask, url) in pages().items()}
    return {"database": database, "sizes": measure_rounds(sides, options, fill=fill)}


def pages() -> dict[str, tuple[Ask, str]]:
    """Return for each page how it is asked for, and its URL."""
    from django.urls import reverse  # noqa: PLC0415 - Django is set up above

    cookie, in_progress, tickets = made()
    ask = asker(HTTP_COOKIE=cookie)
    status = reverse("exotel_ccm:status", args=[in_progress.reference])
    etag = ask(status)["ETag"]
    return {
        "bare view": (ask, "/bare/"),
        "status, unchanged": (asker(304, HTTP_COOKIE=cookie, HTTP_IF_NONE_MATCH=etag), status),
        "list of tickets": (ask, reverse("admin:helpdesk_ticket_changelist")),
        "list, reached today": (ask, reverse("admin:helpdesk_ticket_changelist") + "?exotel_calls=reached"),
        "a ticket": (ask, reverse("admin:helpdesk_ticket_change", args=[tickets[1].pk])),
        "my calls": (ask, reverse("exotel_ccm:my-calls")),
        "list of calls": (ask, reverse("admin:exotel_ccm_callrecord_changelist")),
    }


def made() -> tuple[str, Any, list[Any]]:
    """Make an agent with a call in progress, and tickets; return the agent's cookies, the call and the tickets."""
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from django_exotel_ccm.models import Agent  # noqa: PLC0415
    from tests.factories import Calls  # noqa: PLC0415
    from tests.helpdesk.models import Customer, Ticket  # noqa: PLC0415

    user = User.objects.create_superuser("asha", password="x")
    agent = Agent.objects.create(user=user, name="Asha", contact_uri="+919000000101")
    customer = Customer.objects.create(name="Meera Nair", phone="+919000001001")
    tickets = Ticket.objects.bulk_create(Ticket(subject=f"Fan {n}", customer=customer) for n in range(TICKETS))
    client = Client()
    client.force_login(user)
    # Not a young call, which is asked for less often a minute later: then the answer is another.
    begun = timezone.now() - timedelta(minutes=10)
    in_progress = Calls(client).accepted(ticket=tickets[0], agent=agent, placed_by=user, created_at=begun)
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    return cookie, in_progress, tickets


def asker(expected: int = 200, **headers: str) -> Ask:
    """Return what asks for a URL through the WSGI handler and returns the headers of the answer."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.test import RequestFactory  # noqa: PLC0415

    application = get_wsgi_application()
    environ = RequestFactory(**headers).get("/").environ

    def ask(url: str) -> dict[str, str]:
        told: list[Any] = []
        path, _mark, query = url.partition("?")
        answer = application(environ | {"PATH_INFO": path, "QUERY_STRING": query}, lambda *begun: told.append(begun))
        b"".join(answer)
        answer.close()
        status, answered = told[0]
        if not status.startswith(str(expected)):
            raise SystemExit(f"{url} was answered {status}")
        return dict(answered)

    return ask


def timed(ask: Ask, url: str) -> Side:
    """Return what asks so many times, and returns the seconds that one answer takes."""

    def side(times: int) -> float:
        began = time.perf_counter()
        for _time in range(times):
            ask(url)
        return (time.perf_counter() - began) / times

    return side


def fill(size: int) -> None:
    """Store ended calls of a year until there are ``size``: about the tickets, placed by twenty agents.

    A thousand are made; the database doubles them.
    """
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    from django_exotel_ccm.models import CallRecord  # noqa: PLC0415

    if not User.objects.filter(username__startswith="agent").exists():
        _make_calls(User.objects.bulk_create(User(username=f"agent {number}") for number in range(20)))
    table = connection.ops.quote_name(CallRecord._meta.db_table)
    columns = [field.column for field in CallRecord._meta.concrete_fields if not field.primary_key]
    new = {"reference": "gen_random_uuid()", "call_sid": "md5(random()::text)", "request_key": "NULL"}
    new["created_at"] = "created_at - random() * interval '300 days'"
    copied = ", ".join(new.get(column, connection.ops.quote_name(column)) for column in columns)
    names = ", ".join(map(connection.ops.quote_name, columns))
    with connection.cursor() as cursor:
        while missing := max(0, size - CallRecord.objects.count()):
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT {copied} FROM {table} WHERE state = 'ended' LIMIT %s",
                [missing],
            )
        cursor.execute(f"VACUUM ANALYZE {table}")


def _make_calls(agents: list[Any]) -> None:
    from django.utils import timezone  # noqa: PLC0415

    from django_exotel_ccm.models import CallRecord  # noqa: PLC0415
    from tests.helpdesk.models import Ticket  # noqa: PLC0415

    now, tickets = timezone.now(), list(Ticket.objects.all())
    CallRecord.objects.bulk_create(
        CallRecord(
            account="default",
            state="ended",
            outcome="completed" if number % 3 else "customer_unanswered",
            talk_time=42 if number % 3 else 0,
            customer_number="+919000001001",
            customer_label="Meera Nair",
            ticket=tickets[number % len(tickets)],
            ticket_label="Fan",
            placed_by=agents[number % len(agents)],
            created_at=now - timedelta(hours=number % 1_500),
            ended_at=now - timedelta(hours=number % 1_500),
            facts={"status": ["completed", 3]},
        )
        for number in range(TICKETS)
    )


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, measure, sizes=SIZES, databases=["postgres"]))
