"""exotel_erase: takes one customer's number and recordings out of the records, on their request."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.management.database_errors import explain_database_errors
from django_exotel_ccm.management.progress import Progress, several
from django_exotel_ccm.management.stopping import INTERRUPTED
from django_exotel_ccm.masking import mask
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services.privacy import Found, erase, schedule_erasure

BEYOND_REACH = """\
This command cannot erase:
  Exotel's own copy: its call logs and recordings. Ask Exotel.
  Copies of this database: backups and exports.
  Your own ticket or customer, and what your receivers wrote.
"""

STAYS_UNCALLED = """\
The number stays on the do-not-call list, without its reason, so that nobody calls it. To take it off, type the same
with --do-not-call."""


class Command(BaseCommand):
    """Counts, and erases only when told to."""

    help = (
        "Erases a customer's number and recordings from calls and events (India's DPDP Act); calls, outcomes and "
        "durations stay. Changes nothing without --apply."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom, and whether to write."""
        parser.add_argument("number", help="the customer's number, with country code or as it is dialled at home")
        when = parser.add_mutually_exclusive_group()
        when.add_argument("--apply", action="store_true", help="erase now")
        when.add_argument("--later", action="store_true", help="have the next exotel_purge --apply erase them")
        parser.add_argument(
            "--do-not-call",
            action="store_true",
            help="take the number off the do-not-call list, too; otherwise it stays there, so that nobody calls it",
        )

    @explain_database_errors()
    def handle(self, *args: Any, **options: Any) -> None:
        """Count, or erase call by call; a run that is broken off is gone on with by the next, or by exotel_purge."""
        try:
            number = parse_number(options["number"])
        except InvalidNumber as error:
            raise CommandError(str(error)) from None
        if options["later"]:
            schedule_erasure(number, do_not_call=options["do_not_call"])
            self.stdout.write(f"{mask(number)}: the next exotel_purge --apply erases this customer.")
            return
        apply, progress, found = options["apply"], Progress(self.stderr), Found()
        try:
            for found in erase(number, apply=apply, do_not_call=options["do_not_call"]):
                progress(f"So far: {_counted(found)}")
        except KeyboardInterrupt:
            text = f"Broken off: {_counted(found)} Every call is whole; run it again to go on."
            raise CommandError(text, returncode=INTERRUPTED) from None
        self.stdout.write(f"{mask(number)}: {_counted(found)} {'Erased.' if apply else 'Nothing is changed.'}")
        if found.do_not_call and not options["do_not_call"]:
            self.stdout.write(STAYS_UNCALLED)
        self.stdout.write(BEYOND_REACH)
        if not apply:
            self.stdout.write("To erase, type the same with --apply.")


def _counted(found: Found) -> str:
    calls, events = several(found.calls, "call"), several(found.events, "event")
    others = several(found.other_events, "other event")
    notes = f" {several(found.notes, 'note or call-back', 'notes and call-backs')};" if found.notes else ""
    lists = f" {several(found.call_lists, 'name of a call list', 'names of call lists')};" if found.call_lists else ""
    return f"{calls}, {found.recordings} with a recording; {events} of theirs;{notes}{lists} {others}."
