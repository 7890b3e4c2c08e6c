"""exotel_replay: compares each call's record with its events, and rebuilds it from them."""

from __future__ import annotations

import datetime
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from django_exotel_ccm import conf
from django_exotel_ccm.management.database_errors import explain_database_errors
from django_exotel_ccm.management.progress import Progress, several
from django_exotel_ccm.management.stopping import INTERRUPTED
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.replay import replay

YEARS = range(1970, 9999)  # in others, time zones and databases overflow


class Command(BaseCommand):
    """Prints every difference; writes only when told to."""

    help = (
        "Rebuilds calls from their events and prints where the records differ; none do in a healthy database. "
        "Changes nothing without --apply. Exit status 1: some differ."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which calls, and whether to write."""
        parser.add_argument("--call", metavar="REFERENCE", help="this call alone")
        parser.add_argument("--since", metavar="DATE", help="calls placed on this day or later, for example 2026-02-11")
        parser.add_argument("--apply", action="store_true", help="write what the events say, and announce what is new")

    @explain_database_errors()
    def handle(self, *args: Any, **options: Any) -> None:
        """Go through the calls; whatever breaks it off leaves each of them whole."""
        calls, apply = _chosen(options["call"], options["since"]), options["apply"]
        progress, looked, differ = Progress(self.stderr), 0, 0
        try:
            for looked, differences in replay(calls, apply=apply):
                differ += bool(differences)
                for one in differences:
                    self.stdout.write(f"{one.reference}  {one.what}: {one.stored} -> {one.rebuilt}")
                progress(f"So far: {_counted(looked, differ, apply=apply)}")
        except KeyboardInterrupt:
            text = f"Broken off: {_counted(looked, differ, apply=apply)} Every call is whole; run it again to go on."
            raise CommandError(text, returncode=INTERRUPTED) from None
        self.stdout.write(_counted(looked, differ, apply=apply))
        if differ and not apply:
            chosen = "".join(f" --{name}={options[name]}" for name in ("call", "since") if options[name] is not None)
            raise CommandError(f"To write what the events say, type: python manage.py exotel_replay{chosen} --apply")


def _chosen(reference: str | None, since: str | None) -> QuerySet[CallRecord]:
    calls = CallRecord.objects.using(router.db_for_write(CallRecord))
    if since is not None:
        calls = calls.filter(created_at__gte=_start_of(since))
    if reference is None:
        return calls
    try:
        calls = calls.filter(reference=UUID(reference))
    except ValueError:
        raise CommandError(f"{reference!r} is no reference: copy it from the call's page in the admin.") from None
    if not calls.exists():
        raise CommandError(f"There is no such call with the reference {reference}.")
    return calls


def _start_of(day: str) -> datetime.datetime:
    try:
        date = datetime.date.fromisoformat(day)
    except ValueError:
        date = datetime.date.min
    if date.year not in YEARS:
        raise CommandError(f"{day!r} is no day that calls are placed on: write --since=2026-02-11.")
    moment: datetime.datetime = conf.as_column(timezone.make_aware(datetime.datetime.combine(date, datetime.time())))
    return moment


def _counted(looked: int, differ: int, *, apply: bool) -> str:
    calls = f"{several(looked, 'call')} compared with {'its' if looked == 1 else 'their'} events"
    if not differ:
        return f"{calls}: none differs."
    return f"{calls}: {differ} rebuilt." if apply else f"{calls}: {differ} differ{'s' if differ == 1 else ''}."
