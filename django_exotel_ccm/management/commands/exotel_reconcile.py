"""exotel_reconcile: asks Exotel about calls without a report, and calls receivers that failed again."""

from __future__ import annotations

import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from django_exotel_ccm.management.database_errors import explain_database_errors
from django_exotel_ccm.management.progress import Progress
from django_exotel_ccm.management.stopping import stop_on_signal
from django_exotel_ccm.services.reconciliation.reconcile import Report, reconcile, reconcile_forever

EVERY = 10.0  # seconds between two passes


class Command(BaseCommand):
    """Checks what is due, once or until it is stopped."""

    help = (
        "Asks Exotel for Call Details of calls whose end or recording was not reported, and calls receivers that "
        "failed again. Never dials. Run it every minute, or once with --forever; any number may run at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --forever and --every."""
        parser.add_argument("--forever", action="store_true", help="go on until Ctrl-C or SIGTERM")
        parser.add_argument(
            "--every", type=float, default=EVERY, metavar="SECONDS", help="with --forever: the pause between passes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run one pass, or passes until a signal; the call in hand is finished first."""
        if not 0 < options["every"] <= threading.TIMEOUT_MAX:
            raise CommandError("--every takes seconds: write --every=10")
        self._verbose = options["verbosity"] > 0
        self._line = Progress(self.stderr)
        with stop_on_signal() as stop:
            if options["forever"]:
                self._print("Reconciling until Ctrl-C.")
                reconcile_forever(stop, every=options["every"], done=self._done, progress=self._progress)
                return
            with explain_database_errors():
                report = reconcile(stopped=stop.is_set, progress=self._progress)
            self._print(f"{report}." if report else "Nothing is due.")

    def _progress(self, report: Report) -> None:
        self._line(f"So far: {report}.")

    def _done(self, report: Report) -> None:
        self._line = Progress(self.stderr)  # for the next pass
        if report:
            self._print(f"{report}.")

    def _print(self, text: str) -> None:
        if self._verbose:
            self.stdout.write(f"{timezone.localtime():%H:%M:%S} {text}" if timezone.is_aware(timezone.now()) else text)
