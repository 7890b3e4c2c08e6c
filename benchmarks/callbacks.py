"""Callbacks per second through the full view, beside a bare Django view and dj-stripe's webhook on the same database.

python benchmarks/callbacks.py [--calls N] [--rounds N] [--sizes N N] [--only sqlite|postgres]

All views run in one process through Django's WSGI handler with the middleware of tests/settings.py and a connection
that stays open; nothing goes over a network, no receiver is connected. Each call gets its two callbacks, `answered` and
`terminal`; a bare view does one INSERT and one UPDATE, and dj-stripe gets one signed event for each callback.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import Side, measure_rounds, prepare, run

Headers = dict[str, str]
Post = tuple[str, bytes, Headers]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of a callback, a bare request and an event of dj-stripe in each round."""
    database = prepare(
        "djstripe",
        ROOT_URLCONF="benchmarks.others",
        DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
        STRIPE_TEST_SECRET_KEY=f"sk_test_{'0' * 24}",
    )
    post = poster()
    sides: dict[str, Side] = {
        "callbacks": lambda calls: timed(post, callbacks_of(calls)),
        "bare views": lambda calls: timed(post, [("/bare/", b"{}", {})] * (2 * calls)),
        "dj-stripe events": lambda calls: timed(post, stripe_events(2 * calls)),
    }
    sizes = measure_rounds(sides, options)
    prove(20 * len(sizes) + options.calls * sum(map(len, sizes.values())))
    return {"database": database, "sizes": sizes}


def poster() -> Callable[[str, bytes, Headers], None]:
    """Return what posts a body to a path through the WSGI handler, and fails on any answer but 200."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.test import RequestFactory  # noqa: PLC0415

    application = get_wsgi_application()
    environ = RequestFactory().post("/", b"", content_type="application/json").environ

    def post(url: str, body: bytes, headers: Headers) -> None:
        statuses: list[str] = []
        asked = environ | headers
        asked |= {"PATH_INFO": url, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        answer = application(asked, lambda status, _headers: statuses.append(status))
        b"".join(answer)
        answer.close()
        if statuses != ["200 OK"]:
            raise SystemExit(f"{url} was answered {statuses}")

    return post


def stripe_events(count: int) -> list[Post]:
    """Return URL, body and headers of events for dj-stripe."""
    from benchmarks.others import stripe_event, stripe_url  # noqa: PLC0415

    url = stripe_url()
    return [(url, *stripe_event()) for _event in range(count)]


def callbacks_of(calls: int) -> list[Post]:
    """Place calls that Exotel accepted; return URL and body of their callbacks: all answered, then all terminal."""
    from django.urls import reverse  # noqa: PLC0415

    from django_exotel_ccm import callback_urls  # noqa: PLC0415
    from tests.concurrency.callbacks import accepted  # noqa: PLC0415

    answered: list[Post] = []
    terminal: list[Post] = []
    for _ in range(calls):
        sid = uuid.uuid4().hex
        call = accepted(sid, customer_number="+919000001001")
        for event, posts in (("answered", answered), ("terminal", terminal)):
            url = reverse("exotel_ccm:callback", args=[callback_urls.sign(call.reference, event)])
            posts.append((url, json.dumps(body_of(sid, event)).encode(), {}))
    return [*answered, *terminal]


def body_of(sid: str, event: str) -> dict[str, Any]:
    """Return the body of a callback, as a CCM v2 call's."""
    over = event == "terminal"
    return {
        "event_details": {"event_type": event},
        "call_details": {
            "call_sid": sid,
            "direction": "outbound",
            "virtual_number": "+918000000700",
            "call_state": "terminal" if over else "active",
            "call_status": "completed" if over else None,
            "assigned_agent_details": {"user_id": "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", "status": "completed"},
            "customer_details": {"number": "+919000001001", "status": "completed"},
            "start_time": "2026-02-11T05:42:12Z",
            "end_time": "2026-02-11T05:44:58Z" if over else None,
            "total_duration": 166 if over else None,
            "total_talk_time": 141 if over else None,
            "custom_field": "ticket_8842",
            "recordings": [{"url": f"https://recordings.example.com/{sid}.mp3"}] if over else None,
        },
    }


def timed(post: Callable[[str, bytes, Headers], None], posts: Iterable[Post]) -> float:
    """Return the seconds that one post takes."""
    posts = list(posts)
    began = time.perf_counter()
    for url, body, headers in posts:
        post(url, body, headers)
    return (time.perf_counter() - began) / len(posts)


def prove(calls: int) -> None:
    """Make sure that what was measured was done: all calls have ended, and all callbacks are applied."""
    from django_exotel_ccm.choices import EventKind, State  # noqa: PLC0415
    from django_exotel_ccm.models import CallEvent, CallRecord  # noqa: PLC0415

    ended = CallRecord.objects.filter(state=State.ENDED, talk_time=141).exclude(answered_at=None).count()
    kept = CallEvent.objects.filter(kind=EventKind.CALLBACK, reason="").count()
    if (ended, kept) != (calls, 2 * calls):
        raise SystemExit(f"{ended} of {calls} calls have ended, {kept} of {2 * calls} callbacks are applied")


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, measure))
