"""The report, its file and the live board, beside a bare Django view that knows its user, with few and many calls.

python benchmarks/reports.py [--calls N] [--rounds N] [--sizes N N] [--only sqlite|postgres|mariadb]

The calls are those of 300 days. A page is asked for once where the bare view is asked for a hundred times. The plans by
which the database finds the calls of a day and of thirty days are printed, with each filter.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import ALL_DATABASES, Side, measure_rounds, prepare, run
from benchmarks.pages import Ask, asker, timed

SIZES = [1_000, 1_000_000]
DAYS = 300
OF_POSTGRESQL = {
    "reference": "gen_random_uuid()",
    "call_sid": "md5(random()::text)",
    "created_at": f"created_at - random() * interval '{DAYS - 2} days'",
}
OF_MARIADB = {
    "reference": "UUID()",
    "call_sid": "MD5(UUID())",
    "created_at": f"created_at - INTERVAL FLOOR(RAND() * {(DAYS - 2) * 24 * 3600}) SECOND",
}
OF_SQLITE = {
    "reference": "lower(hex(randomblob(16)))",
    "call_sid": "lower(hex(randomblob(16)))",
    "created_at": "strftime('%Y-%m-%d %H:%M:%f', created_at, "
    f"'-' || abs(random() % {(DAYS - 2) * 24 * 3600}) || ' seconds')",
}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of a bare view and of each page in each round."""
    database = prepare(ROOT_URLCONF="benchmarks.pages_urls")
    asked = pages()
    sides = {name: timed(ask, url) for name, (ask, url) in asked.items() if url == "/bare/"}
    sides |= {name: seldom(timed(ask, url)) for name, (ask, url) in asked.items() if url != "/bare/"}

    def fill_and_explain(size: int) -> None:
        fill(size)
        explain(size)

    return {"database": database, "sizes": measure_rounds(sides, options, fill=fill_and_explain)}


def seldom(side: Side) -> Side:
    """Return a side that does one where it is asked for a hundred."""
    return lambda times: side(max(1, times // 100))


def pages() -> dict[str, tuple[Ask, str]]:
    """Make a supervisor; return for each page how it is asked for, and its URL."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - Django is set up above
    from django.test import Client  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    client, today = Client(), timezone.localdate()
    client.force_login(User.objects.create_superuser("boss", password="x"))
    ask = asker(HTTP_COOKIE="; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items()))
    month = f"?from={today - timedelta(days=29)}&to={today}"
    return {
        "bare view": (ask, "/bare/"),
        "report, today": (ask, reverse("exotel_ccm:reports") + "?dates=today"),
        "report, 30 days": (ask, reverse("exotel_ccm:reports") + month),
        "report, all 300 days": (ask, reverse("exotel_ccm:reports") + f"?from={today - timedelta(days=DAYS)}"),
        "file, today": (ask, reverse("exotel_ccm:reports-csv") + "?dates=today"),
        "live board": (ask, reverse("exotel_ccm:live")),
    }


def fill(size: int) -> None:
    """Store ended calls until there are ``size``. A thousand are made; the database copies them."""
    from django.db import connection  # noqa: PLC0415

    from django_exotel_ccm.models import CallNote, CallRecord  # noqa: PLC0415

    if not CallRecord.objects.exists():
        _make_calls()
    new = {"sqlite": OF_SQLITE, "mysql": OF_MARIADB, "postgresql": OF_POSTGRESQL}[connection.vendor]
    table = connection.ops.quote_name(CallRecord._meta.db_table)
    columns = [field.column for field in CallRecord._meta.concrete_fields if not field.primary_key]
    copied = ", ".join(new.get(column, connection.ops.quote_name(column)) for column in columns)
    names = ", ".join(map(connection.ops.quote_name, columns))
    # Always from the first thousand, which are of the last two days.
    first = f"SELECT {copied} FROM {table} WHERE id <= 1000"
    with connection.cursor() as cursor:
        missing = size - CallRecord.objects.count()
        for number in range(0, missing, 1_000):
            cursor.execute(f"INSERT INTO {table} ({names}) {first} LIMIT {missing - number}")
        _add_notes()
        if connection.vendor != "sqlite":  # a host's has no statistics either: Django makes none
            analyze = "ANALYZE TABLE" if connection.vendor == "mysql" else "VACUUM ANALYZE"
            cursor.execute(f"{analyze} {table}, {CallNote._meta.db_table}")


def _add_notes() -> None:
    """Choose a disposition after each tenth call."""
    from django_exotel_ccm.models import CallNote, CallRecord, Disposition  # noqa: PLC0415

    chosen = Disposition.objects.get(code="reached")
    calls = CallRecord.objects.filter(notes=None).order_by("pk").values_list("pk", "created_at")
    notes = (CallNote(call_id=key, disposition=chosen, created_at=moment) for key, moment in calls[9::10])
    CallNote.objects.bulk_create(notes, batch_size=1_000)


def _make_calls() -> None:
    from django.contrib.auth.models import Group, User  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from django_exotel_ccm.models import Agent, CallRecord, Disposition, ExoPhone  # noqa: PLC0415
    from tests.helpdesk.models import Ticket  # noqa: PLC0415

    now, ticket = timezone.now(), Ticket.objects.create(subject="Fan")
    user = User.objects.create_user("agent")
    user.groups.add(Group.objects.create(name="North"))
    phone = ExoPhone.objects.create(number="+918000000700", is_default=True)
    agents = [Agent.objects.create(name=f"Agent {n}", contact_uri=f"+9190000002{n:02}") for n in range(20)]
    Agent.objects.filter(pk=agents[0].pk).update(user=user)
    Disposition.objects.create(code="reached", label="Reached")
    outcomes = ("completed", "customer_unanswered", "agent_unanswered", "busy")
    CallRecord.objects.bulk_create(
        CallRecord(
            account="default",
            state="ended",
            outcome=outcomes[number % 4],
            talk_time=42 if number % 4 == 0 else 0,
            agent=agents[number % 20],
            agent_label=agents[number % 20].name,
            exophone=phone,
            exophone_number=phone.number,
            customer_number="+919000001001",
            customer_label="Meera Nair",
            ticket=ticket,
            ticket_label="Fan",
            placed_by=user if number % 20 == 0 else None,
            created_at=now - timedelta(minutes=2 * number),
        )
        for number in range(1_000)
    )


def explain(size: int) -> None:
    """Print how the database finds the calls of a day and of thirty, all of them and with each filter."""
    from django.utils import timezone  # noqa: PLC0415

    from django_exotel_ccm.services.reports.export import COLUMNS  # noqa: PLC0415
    from django_exotel_ccm.services.reports.figures import report_of, within  # noqa: PLC0415
    from django_exotel_ccm.services.reports.periods import Period  # noqa: PLC0415

    today = timezone.localdate()
    for days in (1, 30):
        period = Period(today - timedelta(days=days - 1), today)
        for name, calls in chosen().items():
            file = within(calls, period).only(*COLUMNS).order_by("created_at", "pk")[:500]
            plans = plans_of(partial(report_of, calls, period)), plans_of(partial(list, file))
            say(f"{size:,} calls, {days} days, {name}: {plans[0]}; in the file: {plans[1]}")


def chosen() -> dict[str, Any]:
    """Return the calls that a supervisor sees, with each filter, and those of an agent who sees their own figures."""
    from django.contrib.auth.models import Group, User  # noqa: PLC0415

    from django_exotel_ccm.models import Agent, CallRecord, Disposition, ExoPhone  # noqa: PLC0415
    from django_exotel_ccm.services.reports.filters import ReportFilter, calls_in_reach_of  # noqa: PLC0415

    values = {
        "agent": str(Agent.objects.values_list("pk", flat=True)[0]),
        "group": str(Group.objects.values_list("pk", flat=True)[0]),
        "exophone": str(ExoPhone.objects.values_list("pk", flat=True)[0]),
        "ticket_type": "helpdesk.ticket",
        "outcome": "busy",
        "disposition": str(Disposition.objects.values_list("pk", flat=True)[0]),
    }
    found = {"all": CallRecord.objects.all(), "own figures": calls_in_reach_of(User.objects.get(username="agent"))}
    return found | {name: ReportFilter(**{name: value}).apply(found["all"]) for name, value in values.items()}


def plans_of(work: Callable[[], object]) -> str:
    """Return how the database reads each table in the statements of ``work``. What several have alike is said once."""
    from django.db import connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    prefix = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with CaptureQueriesContext(connection) as captured:
        work()
    lines: list[str] = []
    with connection.cursor() as cursor:
        for statement in captured:
            cursor.execute(f"{prefix} {statement['sql']}")
            rows = [" ".join(map(str, row)).lstrip(" ->0123456789") for row in cursor.fetchall()]
            lines += [row for row in rows if any(map(row.count, ("SCAN", "SEARCH", "Scan")))] or rows
    return "; ".join(dict.fromkeys(lines))


def say(text: str) -> None:
    """Print at once: the standard output is for the parent, which wants the figures alone."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, measure, sizes=SIZES, databases=ALL_DATABASES))
