"""exotel_purge: empties the raw bodies of old events."""

from __future__ import annotations

import datetime
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from django_exotel_ccm.management.database_errors import explain_database_errors
from django_exotel_ccm.management.progress import Progress, several
from django_exotel_ccm.services.privacy import APPLIED, purge, with_bodies

INTERRUPTED = 130


class Command(BaseCommand):
    """Counts, and empties only when told to."""

    help = (
        "Empties the raw bodies of old events; what was read of them stays, so calls can still be replayed. "
        "Changes nothing without --apply."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How old, which, and whether to write."""
        parser.add_argument(
            "--older-than", type=int, required=True, metavar="DAYS", help="events received more than so many days ago"
        )
        parser.add_argument(
            "--unapplied", action="store_true", help="also of events that were not applied: nobody can read them again"
        )
        parser.add_argument("--apply", action="store_true", help="empty them")

    @explain_database_errors()
    def handle(self, *args: Any, **options: Any) -> None:
        """Count the bodies, or empty them in batches; a run that is broken off is gone on with by the next."""
        days = options["older_than"]
        try:
            before = timezone.now() - datetime.timedelta(days=days)
        except OverflowError:
            before = None
        if days < 0 or before is None:
            raise CommandError("--older-than takes days: write --older-than=90.")
        bodies = with_bodies(before)
        chosen = bodies if options["unapplied"] else bodies.filter(APPLIED)
        if options["apply"]:
            self._purge(chosen)
        else:
            again = f"--older-than={days}{' --unapplied' if options['unapplied'] else ''} --apply"
            self.stdout.write(f"{_bodies(chosen.count())} would be emptied.")
            self.stdout.write(f"To empty them, type: python manage.py exotel_purge {again}")
        kept = 0 if options["unapplied"] else bodies.exclude(APPLIED).count()
        if kept:
            self.stdout.write(f"{_bodies(kept)} of events that were not applied stay; --unapplied takes them, too.")

    def _purge(self, chosen: Any) -> None:
        progress, purged = Progress(self.stderr), 0
        try:
            for purged in purge(chosen):
                progress(f"So far: {_bodies(purged)} emptied.")
        except KeyboardInterrupt:
            text = f"Broken off: {_bodies(purged)} emptied. Run it again to go on."
            raise CommandError(text, returncode=INTERRUPTED) from None
        self.stdout.write(f"{_bodies(purged)} emptied.")


def _bodies(count: int) -> str:
    return several(count, "raw body", "raw bodies")
