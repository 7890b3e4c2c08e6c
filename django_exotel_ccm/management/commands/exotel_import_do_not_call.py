"""exotel_import_do_not_call: puts the numbers of a CSV file on the do-not-call list."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_exotel_ccm.management.database_errors import explain_database_errors
from django_exotel_ccm.management.progress import Progress, several
from django_exotel_ccm.services.do_not_call_import import ImportReport, UnreadableFile, import_do_not_call


class Command(BaseCommand):
    """Imports, and prints every line that was not read."""

    help = (
        "Puts the numbers of a CSV file on the do-not-call list: one a line, in the first column or below a heading "
        "such as number, with columns reason and expires (2027-01-31) if you like. Prints what was not read. "
        "All that was read is added, or nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which file, and whether to write."""
        parser.add_argument("file", type=Path, help="the CSV file")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be added")

    @explain_database_errors()
    def handle(self, *args: Any, **options: Any) -> None:
        """Import the file; the exit status is 1 if a line was not read."""
        try:
            data = options["file"].read_bytes()
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        progress, dry_run = Progress(self.stderr), options["dry_run"]
        try:
            report = import_do_not_call(
                data, dry_run=dry_run, progress=lambda lines: progress(f"So far: {several(lines, 'line')}")
            )
        except UnreadableFile as error:
            raise CommandError(str(error)) from None
        for unread in report.unread:
            self.stderr.write(f"Line {unread.line}: {unread.problem}")
        self.stdout.write(f"{_counted(report)}{' Nothing is changed.' if dry_run else ''}")
        if report.unread:
            raise CommandError(f"{several(len(report.unread), 'line')} not read: correct and import them again.")


def _counted(report: ImportReport) -> str:
    return (
        f"{several(report.lines, 'line')}: {report.added} added, {report.extended} extended, "
        f"{report.known} on the list already, {report.repeated} repeated, {len(report.unread)} not read."
    )
