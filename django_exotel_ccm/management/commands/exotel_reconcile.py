"""exotel_reconcile: asks Exotel about calls that went silent, and tells receivers that failed again."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from django_exotel_ccm.management.failing import told_of_the_database
from django_exotel_ccm.management.progress import Progress
from django_exotel_ccm.services.reconciliation.reconcile import Report, forever, reconcile

EVERY = 10.0  # seconds between two passes


class Command(BaseCommand):
    """Settles what is due once, or for ever."""

    help = (
        "Settles calls whose end was never reported, with Call Details; finds late recordings; calls receivers "
        "again that failed. Never dials. Run it every minute, or once with --forever; any number may run at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --forever and --every."""
        parser.add_argument("--forever", action="store_true", help="go on until Ctrl-C or SIGTERM")
        parser.add_argument(
            "--every", type=float, default=EVERY, metavar="SECONDS", help="with --forever: the pause between passes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run one pass, or passes until a signal; what is in hand then is finished first."""
        if not 0 < options["every"] <= threading.TIMEOUT_MAX:
            raise CommandError("--every takes seconds: write --every=10")
        self._wordy = options["verbosity"] > 0
        self._line = Progress(self.stderr)
        with _stopping() as stop:
            if options["forever"]:
                self._say("Reconciling until Ctrl-C.")
                forever(stop, every=options["every"], done=self._passed, progress=self._progress)
                return
            with told_of_the_database():
                report = reconcile(stopped=stop.is_set, progress=self._progress)
            self._say(f"{report}." if report else "Nothing is due.")

    def _progress(self, report: Report) -> None:
        self._line(f"So far: {report}.")

    def _passed(self, report: Report) -> None:
        self._line = Progress(self.stderr)  # of the next pass
        if report:
            self._say(f"{report}.")

    def _say(self, text: str) -> None:
        if self._wordy:
            self.stdout.write(f"{timezone.localtime():%H:%M:%S} {text}" if timezone.is_aware(timezone.now()) else text)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set; a second Ctrl-C breaks off at once."""
    stop, asked = threading.Event(), list[int]()

    def ask_to_stop(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        # The event's lock may be held by what the signal has interrupted: waiting for it here would be for ever.
        threading.Thread(target=stop.set).start()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
