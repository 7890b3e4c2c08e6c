"""What each safety of a callback costs: the time with it, in units of the time without it.

python benchmarks/safeties.py [--calls N] [--rounds N] [--only sqlite|postgres]

As in benchmarks/callbacks.py, but both sides are the full view, one with the safety switched off in this process alone.
The two sides take turns callback by callback, so that a slower moment of the machine hits both, and a round's time is
the lower quartile of its callbacks, which other work on the machine touches least. Nothing here can be switched off in
the package: each of these keeps a promise.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ENOUGH = 240  # seconds; a slow machine measures fewer rounds
WARM_UP = 40

Switch = Callable[[list[tuple[str, bytes]]], AbstractContextManager[Any]]


def main() -> int:
    """Measure each database in a process of its own and print its table."""
    from benchmarks.callbacks import in_a_process, options_of  # noqa: PLC0415 - the path is set above

    options = options_of(__doc__, calls=60)
    if options.here:
        print(json.dumps(measure(options.calls, options.rounds)))
        return 0
    for name in options.only:
        print("\n".join(table(in_a_process(name, options, __file__))), flush=True)
    return 0


def table(measured: dict[str, Any]) -> Iterator[str]:
    """Yield one database's lines: medians over the rounds."""
    yield f"{measured['database']:<44}{'with/without':>13}{'µs':>7}  smallest to largest of the rounds"
    for name, pairs in measured["pairs"].items():
        ratios = [costly / cheap for costly, cheap in pairs]
        cost = statistics.median(costly - cheap for costly, cheap in pairs) * 1e6
        spread = f"{min(ratios):.2f} to {max(ratios):.2f} of {len(pairs)}"
        yield f"  {name:<42}{statistics.median(ratios):>13.2f}{cost:>7.0f}  {spread}"


def measure(calls: int, rounds: int) -> dict[str, Any]:
    """Return the seconds of a callback with and without each safety, on the database of the environment."""
    from benchmarks.callbacks import callbacks_of, poster, prepare, prove, run  # noqa: PLC0415 - the path is set above

    database, post = prepare(), poster()
    run(post, callbacks_of(WARM_UP))
    ended, began = WARM_UP, time.monotonic()
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in [*SAFETIES, *RECEIVERS]}
    for _round in range(rounds):
        for name, switch in (SAFETIES | RECEIVERS).items():
            usual, switched = side_by_side(post, callbacks_of(calls), callbacks_of(calls), switch)
            # A safety costs where it is not switched off, a receiver where it is connected.
            pairs[name].append((switched, usual) if name in RECEIVERS else (usual, switched))
            ended += 2 * calls
        if time.monotonic() - began > ENOUGH:
            break
    unkept = 2 * calls * len(pairs[LEDGER]) * sum(switch in (no_ledger, nothing) for switch in SAFETIES.values())
    prove(ended, unkept=unkept)
    return {"database": database, "pairs": pairs}


def side_by_side(
    post: Callable[[str, bytes], None],
    usual: list[tuple[str, bytes]],
    switched: list[tuple[str, bytes]],
    switch: Switch,
) -> tuple[float, float]:
    """Return the seconds of a callback as it is, and with ``switch``: lower quartiles, over both events alike."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number, pair in enumerate(zip(usual, switched, strict=True)):
        for side in (0, 1) if number % 2 else (1, 0):
            with (switch if side else no_change)([pair[side]]):
                began = time.perf_counter()
                post(*pair[side])
                seconds[side].append(time.perf_counter() - began)
    half = len(usual) // 2  # all "answered" come first
    both = [(quartile(one[:half]) + quartile(one[half:])) / 2 for one in seconds]
    return both[0], both[1]


def quartile(seconds: list[float]) -> float:
    """Return the lower quartile."""
    return sorted(seconds)[len(seconds) // 4]


@contextmanager
def no_change(_posts: Any) -> Iterator[None]:
    """Replace something by itself, so that both sides have been disturbed alike."""
    from django_exotel_ccm.models.call import CallRecordQuerySet  # noqa: PLC0415 - Django is not set up before

    with mock.patch(
        "django_exotel_ccm.models.call.CallRecordQuerySet.first_for_update", CallRecordQuerySet.first_for_update
    ):
        yield


@contextmanager
def no_lock(_posts: Any) -> Iterator[None]:
    """The call is read without a lock."""
    with mock.patch("django_exotel_ccm.models.call.CallRecordQuerySet.first_for_update", lambda calls: calls.first()):
        yield


@contextmanager
def no_lookup(_posts: Any) -> Iterator[None]:
    """Nobody looks whether the news is known."""
    found = SimpleNamespace(first=lambda: None)
    events = SimpleNamespace(using=lambda _alias: SimpleNamespace(filter=lambda **_by: found))
    with mock.patch("django_exotel_ccm.services.events.CallEvent", SimpleNamespace(objects=events)):
        yield


@contextmanager
def no_proof(_posts: Any) -> Iterator[None]:
    """A transaction whose commit is taken for granted."""
    from django.db import transaction  # noqa: PLC0415 - Django is not set up before

    def commit(work: Callable[[], Any], *, using: str) -> Any:
        with transaction.atomic(using=using):
            return work()

    with mock.patch("django_exotel_ccm.services.events.commit", commit):
        yield


@contextmanager
def no_raw(_posts: Any) -> Iterator[None]:
    """The event is kept without its body."""
    from django_exotel_ccm.models import CallEvent  # noqa: PLC0415

    save = CallEvent.save

    def without_raw(event: Any, **options: Any) -> None:
        event.raw = b""
        save(event, **options)

    with mock.patch.object(CallEvent, "save", without_raw):
        yield


@contextmanager
def no_ledger(_posts: Any) -> Iterator[None]:
    """The event is not kept at all; announcements point to another."""
    from django_exotel_ccm.models import CallEvent  # noqa: PLC0415

    other = CallEvent.objects.values_list("pk", flat=True).first()

    def not_saved(event: Any, **_options: Any) -> None:
        event.pk = other

    with mock.patch.object(CallEvent, "save", not_saved):
        yield


@contextmanager
def no_announcements(_posts: Any) -> Iterator[None]:
    """Nobody is told, and nothing is written down about it."""
    with mock.patch("django_exotel_ccm.services.events.announce"):
        yield


@contextmanager
def no_signature(posts: list[tuple[str, bytes]]) -> Iterator[None]:
    """Whoever knows a call's name may report of it."""
    from django_exotel_ccm import callback_urls  # noqa: PLC0415

    tokens = [url.rstrip("/").rpartition("/")[2] for url, _body in posts]
    known = {token: callback_urls.verify(token) for token in tokens}
    with mock.patch("django_exotel_ccm.callback_urls.read", known.get):
        yield


@contextmanager
def no_bound(_posts: Any) -> Iterator[None]:
    """The body is read as Django reads it."""

    def read(request: Any) -> tuple[bytes, str]:
        return request.body, request.META.get("CONTENT_TYPE", "")

    with mock.patch("django_exotel_ccm.webhooks.views._read", read):
        yield


@contextmanager
def nothing(posts: list[tuple[str, bytes]]) -> Iterator[None]:
    """All of these at once."""
    with ExitStack() as stack:
        for switch in SAFETIES.values():
            if switch not in (nothing, no_raw):
                stack.enter_context(switch(posts))
        yield


def receivers(count: int) -> Switch:
    """Return a switch that connects so many receivers, which do nothing, to every signal."""

    @contextmanager
    def connected(_posts: Any) -> Iterator[None]:
        from django_exotel_ccm import signals  # noqa: PLC0415
        from django_exotel_ccm.choices import SignalName  # noqa: PLC0415

        def receiver(**_news: Any) -> None:
            """Do nothing."""

        live = [getattr(signals, name) for name in SignalName.values]
        for number in range(count):
            for signal in live:
                signal.connect(receiver, dispatch_uid=f"receiver {number}", weak=False)
        try:
            yield
        finally:
            for number in range(count):
                for signal in live:
                    signal.disconnect(dispatch_uid=f"receiver {number}")

    return connected


LEDGER = "the event in the ledger, with its body"
SAFETIES: dict[str, Switch] = {
    "the call's lock": no_lock,
    "the look-up of the fingerprint": no_lookup,
    "the proof of commit": no_proof,
    LEDGER: no_ledger,
    "  of that, the body": no_raw,
    "the announcements, without receivers": no_announcements,
    "the signature of the URL": no_signature,
    "the bounded read": no_bound,
    "all of these": nothing,
}
RECEIVERS: dict[str, Switch] = {
    "one receiver that does nothing": receivers(1),
    "three receivers that do nothing": receivers(3),
}


if __name__ == "__main__":
    sys.exit(main())
