"""exotel_purge: removes what the clocks of RETENTION let go, erases whom exotel_erase --later or the admin named."""

from __future__ import annotations

import datetime
import logging
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections, router

from django_exotel_ccm.choices import RemovalKind
from django_exotel_ccm.management.database_errors import explain_database_errors
from django_exotel_ccm.management.progress import Progress, several
from django_exotel_ccm.management.stopping import INTERRUPTED, stop_on_signal
from django_exotel_ccm.models import Removal
from django_exotel_ccm.services.privacy import erase_due
from django_exotel_ccm.services.retention import CLOCKS, COUNTED, moment_of, purge, purge_due, set_clocks
from django_exotel_ccm.services.transactions import reset_connection

logger = logging.getLogger("django_exotel_ccm.management")

EVERY = 86_400.0  # seconds between two runs
NOUNS: dict[str, tuple[str, str, str]] = {
    RemovalKind.RAW_BODIES: ("raw body", "raw bodies", "emptied"),
    RemovalKind.UNAPPLIED_BODIES: ("raw body not applied", "raw bodies not applied", "emptied"),
    RemovalKind.RECORDINGS: ("call's recording", "calls' recordings", "removed"),
    RemovalKind.RECORDING_ACCESSES: ("recording access", "recording accesses", "deleted"),
    RemovalKind.DO_NOT_CALL: ("expired do-not-call number", "expired do-not-call numbers", "deleted"),
}


class Command(BaseCommand):
    """Counts, and removes only when told to; once, or every day."""

    help = (
        "Removes what the clocks of RETENTION let go, and erases the customers whose erasure waits; with --older-than, "
        "empties raw bodies of events alone. What was read of them stays, so calls can still be replayed. Changes "
        "nothing without --apply. May be repeated, and stopped, at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How old, which, whether to write, and how often."""
        parser.add_argument(
            "--older-than",
            type=int,
            metavar="DAYS",
            help="raw bodies of events received more than so many days ago, whatever RETENTION says",
        )
        parser.add_argument(
            "--unapplied",
            action="store_true",
            help="with --older-than: also of events that were not applied; nobody can read them again",
        )
        parser.add_argument("--apply", action="store_true", help="empty and remove them")
        parser.add_argument("--forever", action="store_true", help="with --apply: go on until Ctrl-C or SIGTERM")
        parser.add_argument(
            "--every", type=float, default=EVERY, metavar="SECONDS", help="with --forever: the pause between two runs"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Count what is due, or remove it in batches; a run that is broken off is gone on with by the next."""
        self._verbose = options["verbosity"] > 0
        if options["older_than"] is not None:
            if options["forever"]:
                raise CommandError("--forever follows RETENTION: leave out --older-than.")
            with explain_database_errors():
                self._purge_bodies(options["older_than"], unapplied=options["unapplied"], apply=options["apply"])
            return
        _check_clocks(options)
        if not options["apply"]:
            with explain_database_errors():
                self._count_due()
            return
        with stop_on_signal() as stop:
            if options["forever"]:
                self._run_forever(stop, options["every"])
                return
            with explain_database_errors():
                failed = self._run(stop)
        if stop.is_set():
            raise CommandError("Stopped. Run it again to go on.", returncode=INTERRUPTED)
        if failed:
            raise CommandError("Not everything was removed, see the log. Run it again to go on.")

    # By the clocks.

    def _count_due(self) -> None:
        for kind, days in set_clocks().items():
            count = CLOCKS[kind].older_than(moment_of(days))[:COUNTED].count()
            least = "At least " if count == COUNTED else ""
            self._print(
                f"{least}{_counted(kind, count)}, older than {several(days, 'day')}: would be {NOUNS[kind][2]}."
            )
        self._print(f"{several(Removal.objects.due_erasures().count(), 'customer')} to erase on request.")
        self._print("To remove them, type: python manage.py exotel_purge --apply")

    def _run_forever(self, stop: threading.Event, every: float) -> None:
        self._print("Purging until Ctrl-C.")
        while not stop.is_set():
            close_old_connections()
            try:
                self._run(stop)
            except Exception:
                logger.exception("A run of exotel_purge failed; the next one is in %.0f s.", every)
                reset_connection(router.db_for_write(Removal))
            stop.wait(every)

    def _run(self, stop: threading.Event) -> bool:
        """Let each clock remove what is due, then erase whose erasure waits; return whether one failed."""
        line = Progress(self.stderr)
        removed = purge_due(
            stopped=stop.is_set, progress=lambda kind, count: line(f"So far: {_counted(kind, count)} {NOUNS[kind][2]}.")
        )
        for kind, count in removed.items():
            if count is not None:
                self._print(f"{_counted(kind, count)} {NOUNS[kind][2]}.")
        erased, failed = 0, 0
        if not stop.is_set():
            erased, failed = erase_due(
                stopped=stop.is_set, progress=lambda found: line(f"So far: {several(found.calls, 'call')} erased.")
            )
        if erased:
            self._print(f"{several(erased, 'customer')} erased on request.")
        elif not (failed or stop.is_set() or set_clocks()):
            self._print("RETENTION is not set, and no customer's erasure waits: nothing was removed.")
        return failed > 0 or None in removed.values()

    # By hand.

    def _purge_bodies(self, days: int, *, unapplied: bool, apply: bool) -> None:
        try:
            before = moment_of(days)
        except OverflowError:
            before = None
        if days < 0 or before is None:
            raise CommandError("--older-than takes days: write --older-than=90.")
        kinds = [RemovalKind.RAW_BODIES, *([RemovalKind.UNAPPLIED_BODIES] if unapplied else [])]
        if apply:
            self._empty(kinds, before)
        else:
            count = sum(CLOCKS[kind].older_than(before).count() for kind in kinds)
            again = f"--older-than={days}{' --unapplied' if unapplied else ''} --apply"
            self.stdout.write(f"{_bodies(count)} would be emptied.")
            self.stdout.write(f"To empty them, type: python manage.py exotel_purge {again}")
        kept = 0 if unapplied else CLOCKS[RemovalKind.UNAPPLIED_BODIES].older_than(before).count()
        if kept:
            self.stdout.write(f"{_bodies(kept)} of events that were not applied stay; --unapplied takes them, too.")

    def _empty(self, kinds: list[RemovalKind], before: datetime.datetime) -> None:
        progress, purged, done = Progress(self.stderr), 0, 0
        try:
            for kind in kinds:
                for count in purge(kind, before):
                    purged = done + count
                    progress(f"So far: {_bodies(purged)} emptied.")
                done = purged
        except KeyboardInterrupt:
            text = f"Broken off: {_bodies(purged)} emptied. Run it again to go on."
            raise CommandError(text, returncode=INTERRUPTED) from None
        self.stdout.write(f"{_bodies(purged)} emptied.")

    def _print(self, text: str) -> None:
        if self._verbose:
            self.stdout.write(text)


def _check_clocks(options: dict[str, Any]) -> None:
    """Raise ``CommandError`` for options that do not go with the clocks, and where there is no clock."""
    if options["unapplied"]:
        raise CommandError('--unapplied goes with --older-than. For the clocks, set "unapplied_bodies" in RETENTION.')
    # With --apply there may be customers to erase: a daily run must not fail on the days without one.
    if not set_clocks() and not options["apply"] and not Removal.objects.due_erasures().exists():
        raise CommandError(
            'RETENTION is not set. Write EXOTEL_CCM = {"RETENTION": {"raw_bodies": 90}}, or type --older-than=90.'
        )
    if options["forever"] and not options["apply"]:
        raise CommandError("--forever removes: write --apply --forever.")
    if not 0 < options["every"] <= threading.TIMEOUT_MAX:
        raise CommandError("--every takes seconds: write --every=86400")


def _counted(kind: str, count: int) -> str:
    one, many, _done = NOUNS[kind]
    return several(count, one, many)


def _bodies(count: int) -> str:
    return several(count, "raw body", "raw bodies")
