"""The REST API beside a bare view of REST framework that knows its user, with few and many calls.

python benchmarks/api.py [--calls N] [--rounds N] [--sizes N N]

PostgreSQL. As benchmarks/pages.py: through Django's WSGI handler, by a superuser who is logged in.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import measure_rounds, prepare, run
from benchmarks.pages import SIZES, Ask, asker, fill, made, timed


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of a bare view and of each address in each round."""
    database = prepare(ROOT_URLCONF="benchmarks.pages_urls")
    sides = {name: timed(ask, url) for name, (ask, url) in addresses().items()}
    return {"database": database, "sizes": measure_rounds(sides, options, fill=fill)}


def addresses() -> dict[str, tuple[Ask, str]]:
    """Return for each address what is asked for, and how."""
    from django.urls import reverse  # noqa: PLC0415 - Django is set up above
    from django.utils import timezone  # noqa: PLC0415

    cookie, in_progress, _tickets = made()
    ask = asker(HTTP_COOKIE=cookie)
    calls = reverse("exotel_ccm:api-calls")
    year = f"{timezone.now() - timedelta(days=360):%Y-%m-%dT00:00:00Z}"
    return {
        "bare view": (ask, "/bare-api/"),
        "a call": (ask, reverse("exotel_ccm:api-call", args=[in_progress.reference])),
        "50 calls": (ask, calls),
        "50 completed calls": (ask, f"{calls}?created_at__gte={year}&outcome=completed"),
        "status of a call": (ask, f"{reverse('exotel_ccm:api-statuses')}?reference={in_progress.reference}"),
    }


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, measure, sizes=SIZES, databases=["postgres"]))
