"""What the runs have in common: pages within the account's budget, a report, and who is missing at the end.

A run works page by page. Each page is fetched without a transaction and then stored in one, so a run that is killed
leaves whole rows, and the next one comes to the same end. Only a complete list says who left. If it has several pages,
who is missing is looked for once more: a row that is removed while the list is read makes the reader skip another one.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db import connections, models, router
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts
from django_exotel_ccm.exceptions import SyncedInsideTransaction
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.directory import Listing
from django_exotel_ccm.exotel.errors import ExotelError, NoUsableAnswer, TooManyRequests, Unreachable
from django_exotel_ccm.local_time import to_local
from django_exotel_ccm.models import AccountUsage
from django_exotel_ccm.services.budget import RateLimited, pause_after, take_request
from django_exotel_ccm.services.transactions import open_transaction, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

Row = TypeVar("Row")
Rows = TypeVar("Rows", bound="models.QuerySet[Any]")
TEMPORARY = (NoUsableAnswer, TooManyRequests, Unreachable)
MAX_ATTEMPTS = 4  # to fetch one page
LONGEST_WAIT = 900.0  # seconds; Exotel may say Retry-After with a day
DEADLINE = 45.0  # seconds for one request
SYNC_SHARE = 0.5  # of the requests per minute: calls' ends are asked with the rest
BATCH = 500


@dataclass(frozen=True, slots=True)
class Change:
    """What a run does to one row, or would do."""

    verb: str
    """added, changed, deactivated or reactivated."""
    name: str
    details: str = ""


@dataclass
class SyncReport:
    """What a run did, or would do."""

    account: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    reactivated: int = 0
    deactivated: int = 0
    requests: int = 0
    problems: list[str] = field(default_factory=list)
    """Why the run is not complete, in sentences for people. Then nobody was deactivated."""
    notes: list[str] = field(default_factory=list)
    """What somebody should look at, in sentences for people."""
    waiting_until: datetime.datetime | None = None
    """Until when the run waits for the account's budget; None while it works."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that Exotel has was read."""
        return not self.problems

    def count(self, changes: Sequence[Change], rows: int) -> None:
        """Count the changes that a page of so many rows brought."""
        for change in changes:
            setattr(self, change.verb, getattr(self, change.verb) + 1)
        self.unchanged += rows - len(changes)


Progress = Callable[[SyncReport, Sequence[Change]], None]
"""Called after each page with the report so far and the changes of the page, and before each wait."""


def ignore(report: SyncReport, changes: Sequence[Change]) -> None:
    """Do nothing about progress."""


class _Broken(Exception):
    """The run ends before the list does; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run goes: what it may write, whom it tells, and when it ends early."""

    dry_run: bool = False
    progress: Progress = ignore
    stop: threading.Event = field(default_factory=threading.Event)
    suggest_default: bool = True
    """Whether to suggest a default ExoPhone where none was ever chosen; a caller may choose one itself."""
    time_limit: float | None = None
    """Seconds after which no request is begun, and nothing is waited for; None: as long as it takes."""


class SyncRun(Generic[Row]):
    """One run over one list of one account."""

    model: type[models.Model]
    listing_class: type[Listing[Row]]
    in_exotel = models.Q()
    """The rows that a list would name, if they were still there."""

    def __init__(self, account: str, options: RunOptions) -> None:
        self.account = account
        self.options = options
        self.report = SyncReport(account)
        self.started = timezone.now()
        self.using = router.db_for_write(self.model)
        self._seen: set[int] = set()
        self._ends_at = None if options.time_limit is None else time.monotonic() + options.time_limit
        limit = options.time_limit
        client = ExotelClient(accounts.get_account(account), deadline=min(limit or DEADLINE, DEADLINE))
        self.listing = self.listing_class(client)

    def store_page(self, rows: Sequence[Row]) -> tuple[list[Change], set[int]]:
        """Store a page, unless it is a dry run; return what changed, and the keys of our rows on it."""
        raise NotImplementedError

    def keys_of(self, rows: Sequence[Row]) -> set[int]:
        """Return the keys of our rows that a page names; writes nothing."""
        raise NotImplementedError

    def locked(self, rows: Rows) -> Rows:
        """Return the rows, locked: what somebody saves just now is not put back. Calls that name them can be placed."""
        no_key = connections[self.using].features.has_select_for_no_key_update
        return rows.order_by("pk").select_for_update(no_key=no_key)

    def describe_empty(self) -> str:
        """Return the sentence that Exotel listed nothing."""
        raise NotImplementedError

    def finish(self) -> None:
        """Do what comes after a complete list."""

    def run(self) -> SyncReport:
        """Read the list to its end, as far as it goes; deactivate who is missing from a complete one.

        Raises :class:`SyncedInsideTransaction`. What Exotel answers is in the report.
        """
        if (alias := open_transaction()) is not None:
            raise SyncedInsideTransaction(alias)
        self._read(self._take)
        if self.report.is_complete and self.listing.received == 0:
            self.report.problems.append(self.describe_empty())
        if self.report.is_complete and self.listing.pages > 1 and self._missing():
            self.listing = self.listing_class(self.listing.client)
            self._read(self._look_for_missing)
        if self.report.is_complete:
            self._deactivate_missing()
            self.finish()
        return self.report

    def _read(self, take: Callable[[list[Row]], Sequence[Change]]) -> None:
        """Read the list to its end, as far as it goes, and hand on each page."""
        try:
            while not self.listing.is_over:
                changes = take(self._fetch())
                self.options.progress(self.report, changes)
        except ExotelError as error:
            self.report.problems.append(f"{error}. {error.advice}")
        except _Broken as broken:
            self.report.problems.append(str(broken))
        self.report.problems += self.listing.problems

    def _take(self, rows: list[Row]) -> Sequence[Change]:
        changes, keys = self.store_page(rows) if rows else ([], set())
        self._seen |= keys
        self.report.count(changes, len(rows))
        return changes

    def _look_for_missing(self, rows: list[Row]) -> Sequence[Change]:
        self._seen |= self.keys_of(rows)
        return ()

    def _fetch(self) -> list[Row]:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            self._wait_for_budget()
            self.report.requests += 1
            try:
                rows = self.listing.next_page()
            except TEMPORARY as error:
                self._pause(error)
                if attempt == MAX_ATTEMPTS:
                    raise
                if not isinstance(error, TooManyRequests):
                    self._wait(2.0 ** (attempt - 1))
            else:
                AccountUsage.objects.reset_failures(self.account)
                return rows
        raise AssertionError("the last attempt returns or raises")

    def _pause(self, error: ExotelError) -> None:
        with suppress(RateLimited):  # the next attempt waits for it
            pause_after(error, self.account)

    def _wait_for_budget(self) -> None:
        while True:
            self._check_time(0)
            try:
                take_request(self.account, share=SYNC_SHARE)
            except RateLimited as limit:
                self._wait((limit.until - timezone.now()).total_seconds() + 0.05, limit.until)
            else:
                return

    def _wait(self, seconds: float, until: datetime.datetime | None = None) -> None:
        if seconds > LONGEST_WAIT or not self._has_time(seconds):
            moment = until or timezone.now() + datetime.timedelta(seconds=seconds)
            text = _("Exotel is to be asked again at %(time)s, so the run ended. Run it again then.")
            raise _Broken(text % {"time": f"{to_local(moment):%H:%M:%S}"})
        self.report.waiting_until = until
        self.options.progress(self.report, [])
        self.options.stop.wait(max(0.0, seconds))
        self.report.waiting_until = None
        self._check_time(0)

    def _check_time(self, seconds: float) -> None:
        if self.options.stop.is_set():
            raise _Broken(_("The run was stopped. Run it again to go on."))
        if not self._has_time(seconds):
            raise _Broken(_("It took too long here. Type: python manage.py exotel_sync"))

    def _has_time(self, seconds: float) -> bool:
        return self._ends_at is None or time.monotonic() + seconds < self._ends_at

    def _candidates(self) -> models.QuerySet[Any]:
        rows = self.model._default_manager.using(self.using)
        return rows.filter(self.in_exotel, account=self.account, is_active=True, synced_at__lt=self.started)

    def _missing(self) -> list[Any]:
        """Return the rows that a run has seen in Exotel before, and this one has not."""
        candidates = self._candidates().order_by("pk")
        return [row for row in candidates.iterator(chunk_size=BATCH) if row.pk not in self._seen]

    def _deactivate_missing(self) -> None:
        missing = self._missing()
        self._note_many(len(missing), self.report.unchanged + self.report.changed)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            # Another run may have seen some of them meanwhile.
            still = self._candidates().filter(pk__in=[row.pk for row in batch])
            if not self.options.dry_run:
                left = {"is_active": False, "left_exotel_at": timezone.now()}
                run_durably(lambda still=still, left=left: still.update(**left), using=self.using)  # type: ignore[misc]
            changes = [Change("deactivated", str(row)) for row in batch]
            self.report.count(changes, len(changes))
            self.options.progress(self.report, changes)

    def _note_many(self, missing: int, found: int) -> None:
        """Note that most of what was here is missing: another account's list is complete as well."""
        if missing <= found:
            return
        text = _(
            "Exotel lists less than half of what was here: %(missing)d of %(all)d are missing, and no more active. If "
            "that is wrong, check the account's SID and key. The next run that finds them activates them again."
        )
        self.report.notes.append(text % {"missing": missing, "all": missing + found})
        logger.warning("Exotel does not list %d of %d rows of account %r.", missing, missing + found, self.account)
