"""What ``manage.py exotel_reconcile --forever`` does beside a real site, in a thread of the demo."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

EVERY = 5.0  # seconds between two passes
ENDS_WITHIN = 5.0


@contextmanager
def reconciling() -> Iterator[None]:
    """Settle calls of which the fake Exotel lost a report, until the block is left."""
    from django_exotel_ccm.services.reconciliation.reconcile import reconcile_forever  # noqa: PLC0415 - models are loaded only now

    stop = threading.Event()

    def work() -> None:
        try:
            reconcile_forever(stop, every=EVERY)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work, name="reconciling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(ENDS_WITHIN)
