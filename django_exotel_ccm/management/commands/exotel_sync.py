"""exotel_sync: agents, their devices and ExoPhones, from Exotel into the tables of this site."""

from __future__ import annotations

import logging
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections, router

from django_exotel_ccm import accounts
from django_exotel_ccm.local_time import to_local
from django_exotel_ccm.management.database_errors import explain_database_errors
from django_exotel_ccm.management.progress import Progress, several
from django_exotel_ccm.management.stopping import INTERRUPTED, stop_on_signal
from django_exotel_ccm.models import Agent
from django_exotel_ccm.services.synchronisation.agents import sync_agents
from django_exotel_ccm.services.synchronisation.exophones import sync_exophones
from django_exotel_ccm.services.synchronisation.runs import Change, RunOptions, SyncReport
from django_exotel_ccm.services.transactions import reset_connection

logger = logging.getLogger("django_exotel_ccm.management")

EVERY = 3600.0  # seconds between two runs
MOST_NOTES = 20
Sync = Callable[[str, RunOptions], SyncReport]
SYNCS: dict[str, Sync] = {"agents": sync_agents, "exophones": sync_exophones}
NOUNS = {"agents": "agent", "exophones": "ExoPhone"}


class Command(BaseCommand):
    """One run over each list of each account, or a run every hour."""

    help = (
        "Fetches agents, their devices and ExoPhones from Exotel. Who is missing there is deactivated, but only after "
        "a complete run. Places no call and changes nothing in Exotel. May be repeated, and stopped, at any time."
    )

    stealth_options = ("suggest_default",)  # exotel_setup chooses the default itself

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which lists, of which account, and how often."""
        parser.add_argument("--dry-run", action="store_true", help="print what would change, and change nothing")
        parser.add_argument("--agents", action="store_true", help="agents and their devices alone")
        parser.add_argument("--exophones", action="store_true", help="ExoPhones alone")
        parser.add_argument("--account", metavar="ALIAS", help="one account alone; default: all that have credentials")
        parser.add_argument("--forever", action="store_true", help="go on until Ctrl-C or SIGTERM")
        parser.add_argument(
            "--every", type=float, default=EVERY, metavar="SECONDS", help="with --forever: the pause between two runs"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run once; exit status 1 if a list could not be read to its end, 130 if it was stopped."""
        if not 0 < options["every"] <= threading.TIMEOUT_MAX:
            raise CommandError("--every takes seconds: write --every=3600")
        self._dry_run: bool = options["dry_run"]
        self._verbosity: int = options["verbosity"]
        self._suggest_default: bool = options.get("suggest_default", True)
        names = [name for name in SYNCS if options[name]] or list(SYNCS)
        aliases = self._aliases(options["account"])
        with stop_on_signal() as stop:
            if options["forever"]:
                self._run_forever(aliases, names, stop, options["every"])
                return
            with explain_database_errors():
                incomplete = self._run(aliases, names, stop)
        if stop.is_set():
            raise CommandError("Stopped. Run it again to go on.", returncode=INTERRUPTED)
        if incomplete:
            raise CommandError(f"Not complete: {', '.join(incomplete)}. Nobody was deactivated there.")

    def _aliases(self, alias: str | None) -> list[str]:
        try:
            if alias is not None:
                accounts.get_account(alias)
                return [alias]
            found = list(accounts.configured_accounts())
            if not found:
                accounts.get_account()  # its error says what to set
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        return found

    def _run_forever(self, aliases: list[str], names: list[str], stop: threading.Event, every: float) -> None:
        self._print("Fetching from Exotel until Ctrl-C.")
        while not stop.is_set():
            close_old_connections()
            try:
                self._run(aliases, names, stop)
            except Exception:
                logger.exception("A run of exotel_sync failed; the next one is in %.0f s.", every)
                reset_connection(router.db_for_write(Agent))
            stop.wait(every)

    def _run(self, aliases: list[str], names: list[str], stop: threading.Event) -> list[str]:
        """Run over all lists; return those that were not complete."""
        incomplete: list[str] = []
        for alias in aliases:
            for name in names:
                if stop.is_set():
                    return incomplete
                if not self._sync(alias, name, stop).is_complete:
                    incomplete.append(f"{NOUNS[name]}s of account {alias}")
        return incomplete

    def _sync(self, alias: str, name: str, stop: threading.Event) -> SyncReport:
        line = Progress(self.stderr)

        def progress(report: SyncReport, changes: Sequence[Change]) -> None:
            for change in changes:
                self._print_change(change)
            if report.waiting_until is not None:
                line(f"Waiting for the budget of account {alias}, until {to_local(report.waiting_until):%H:%M:%S}.")
            else:
                line(f"So far: {_counts(report, NOUNS[name])}.")

        try:
            options = RunOptions(
                dry_run=self._dry_run, progress=progress, stop=stop, suggest_default=self._suggest_default
            )
            report = SYNCS[name](alias, options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        would = "Would be, of" if self._dry_run else "Of"
        self._print(f"{would} account {alias}: {_counts(report, NOUNS[name])}.")
        for note in report.notes[:MOST_NOTES]:
            self._print(f"Note: {note}")
        if len(report.notes) > MOST_NOTES:
            self._print(f"Note: and {len(report.notes) - MOST_NOTES} more of this kind.")
        for problem in report.problems:
            self.stderr.write(f"{NOUNS[name]}s of account {alias}: {problem}")
        return report

    def _print_change(self, change: Change) -> None:
        if self._dry_run or self._verbosity > 1:
            details = f": {change.details}" if change.details else ""
            would = "would be " if self._dry_run else ""
            self.stdout.write(f"{change.name} {would}{change.verb}{details}")

    def _print(self, text: str) -> None:
        if self._verbosity > 0:
            self.stdout.write(text)


def _counts(report: SyncReport, noun: str) -> str:
    rows = report.added + report.changed + report.reactivated + report.deactivated + report.unchanged
    words = ("added", "changed", "reactivated", "deactivated")
    counts = [f"{getattr(report, word)} {word}" for word in words if getattr(report, word)]
    counts.append(f"{report.unchanged} as before")
    return f"{several(rows, noun)}, {', '.join(counts)} ({several(report.requests, 'request')})"
