"""Reads the do-not-call list of a CSV file: every line is taken or reported, and all are added or none."""

from __future__ import annotations

import codecs
import csv
import datetime
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import router
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from django_exotel_ccm import conf
from django_exotel_ccm.choices import DoNotCallSource
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.models import DoNotCall
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services.do_not_call import REPLACED, lasts_longer
from django_exotel_ccm.services.do_not_call_columns import columns_of, numbers_not_read
from django_exotel_ccm.services.transactions import run_durably

MAX_BYTES = 20 * 1024 * 1024
MAX_LINES = 200_000
LONGEST_LINE = 5_000  # characters
BATCH = 500
_ROUNDED = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+")
_FORMULA = re.compile(r"[=@]|[+-](?![0-9 (])")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class UnreadableFile(ValueError):
    """A file of which nothing was imported; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class UnreadLine:
    """A line of which a number was not imported: its place in the file, and why. It quotes nothing of the line."""

    line: int
    problem: str


@dataclass(slots=True)
class ImportReport:
    """What became of each line of a file."""

    lines: int = 0
    """Lines that say something, without the heading."""
    added: int = 0
    extended: int = 0
    """Numbers that were on the list already, and stay on it for longer now."""
    known: int = 0
    """Numbers that were on the list already, for at least as long."""
    repeated: int = 0
    """Lines of which a number stands in another line as well."""
    unread: list[UnreadLine] = field(default_factory=list)


def import_do_not_call(
    data: bytes,
    *,
    created_by: Any = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda lines: None,
) -> ImportReport:
    """Put the numbers of a CSV file on the do-not-call list, and report what became of each line.

    One number a line, in the first column, or one in each column with a heading such as "number"; a reason and a date
    of expiry may stand beside it. Numbers are read as everywhere; what cannot be read is reported with its line and
    left out. All the rest is added in one transaction, or with ``dry_run`` nothing. ``progress`` gets the number of
    lines read so far.

    Raises :class:`UnreadableFile` for a file that is no text, too large, or empty.
    """
    report = ImportReport()
    wanted = _read(_lines_of(data), report, created_by, progress)
    if not wanted and b"\0" in data:
        raise _no_text()
    if not report.lines:
        raise UnreadableFile(_("There is no number in this file."))
    using = router.db_for_write(DoNotCall)
    added, extended = run_durably(partial(_save, wanted, using, dry_run=dry_run), using=using)
    report.added, report.extended = added, extended
    report.known = len(wanted) - added - extended
    return report


# Reading.


def _no_text() -> UnreadableFile:
    return UnreadableFile(_("This is no text file. Save the table as CSV (UTF-8), and import that."))


def _lines_of(data: bytes) -> list[str]:
    if len(data) > MAX_BYTES:
        raise UnreadableFile(_("The file is too large. Import it in several parts."))
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8" or b"\0" in data:
            raise _no_text() from None
        text = data.decode("cp1252", "replace")  # what Excel writes on Windows; digits are the same in all of them
    if text.startswith(("PK\x03\x04", "\xd0\xcf\x11\xe0")):  # workbooks
        raise _no_text()
    # Line by line: a quotation mark that is never closed must not swallow the rest of the file.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise UnreadableFile(_("The file has too many lines. Import it in several parts."))
    return lines


def _read(
    lines: Sequence[str], report: ImportReport, created_by: Any, progress: Callable[[int], None]
) -> dict[str, DoNotCall]:
    """Return the entries of the file by number, and report the lines that cannot be read."""
    wanted: dict[str, DoNotCall] = {}
    columns: dict[str, list[int]] | None = None
    headings: list[str] = []
    for line, cells in _rows(lines):
        if columns is None:
            columns = columns_of(cells)
            if columns:
                headings = cells
                continue
        report.lines += 1
        if report.lines % BATCH == 0:
            progress(report.lines)
        entries, problems = _entries(cells, columns, created_by)
        problems += numbers_not_read(cells, headings, columns, entries)
        if problems:
            report.unread.append(UnreadLine(line, " ".join(dict.fromkeys(problems))))
        report.repeated += any(number in wanted for number in entries)
        for number, entry in entries.items():
            if number not in wanted or lasts_longer(entry, wanted[number]):
                wanted[number] = entry
    return wanted


def _rows(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that says something."""
    first = next((text for text in lines if text.strip()), "")
    if first.lower().startswith("sep=") and len(first.strip()) == len("sep=") + 1:  # Excel's own first line
        delimiter, skipped = first.strip()[-1], first
    else:
        delimiter, skipped = max(";\t,", key=first.count), None
    for line, text in enumerate(lines, 1):
        if text.strip(f" {delimiter}\"'") and text is not skipped:
            cut = text if len(text) <= LONGEST_LINE else ""
            yield line, [cell.strip() for cell in next(csv.reader([cut.replace("\0", "")], delimiter=delimiter), [""])]


def _entries(
    cells: Sequence[str], columns: Mapping[str, Sequence[int]], created_by: Any
) -> tuple[dict[str, DoNotCall], list[str]]:
    """Return the unsaved entries of a line by number, and a sentence for each number that cannot be read.

    Without ``columns`` the number stands first, and the reason second.
    """
    places = columns or {"number": [0], "reason": [1]}
    read = {name: [cells[place] for place in of_name if place < len(cells)] for name, of_name in places.items()}
    entries: dict[str, DoNotCall] = {}
    problems: list[str] = []
    for text in list(filter(None, read["number"])) or [""]:
        try:
            entry = DoNotCall(
                number=_number(text),
                reason=storable(" ".join(filter(None, read.get("reason", ()))))[: DoNotCall.LONGEST_REASON],
                source=DoNotCallSource.IMPORTED,
                expires_at=_expiry(next(iter(read.get("expires", ())), "")),
                created_by=created_by,
                created_at=timezone.now(),
            )
        except ValueError as error:
            problems.append(str(error))
        else:
            entries[entry.number] = entry
    return entries, problems


def _number(text: str) -> str:
    if not text:
        raise ValueError(_("There is no phone number."))
    if _ROUNDED.fullmatch(text):
        raise ValueError(_("The spreadsheet has rounded this number. Format the column as text, and enter it anew."))
    if _FORMULA.match(text) and not text.startswith('="'):
        raise ValueError(_("This is a formula, and no number."))
    return parse_number(text)


def _expiry(text: str) -> datetime.datetime | None:
    """Return the end of the day that ``text`` names; None if it is empty."""
    if not text:
        return None
    try:
        day = parse_date(text[:10])
        if day is None:
            raise ValueError
        at = datetime.datetime.combine(day, datetime.time.min) + datetime.timedelta(days=1)
        aware = timezone.make_aware(at, timezone.get_default_timezone())
    except (ValueError, OverflowError):
        raise ValueError(_("The date of expiry cannot be read. Write it like 2027-01-31.")) from None
    return aware if conf.uses_time_zones() else at


# Saving.


def _save(wanted: dict[str, DoNotCall], using: str, *, dry_run: bool) -> tuple[int, int]:
    """Add the entries that are missing, extend those that last longer now; return how many of both."""
    entries = DoNotCall.objects.using(using)
    numbers, added, extended = list(wanted), 0, 0
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        known = {entry.number: entry for entry in entries.select_for_update().filter(number__in=batch)}
        new = [wanted[number] for number in batch if number not in known]
        changed = [one for one in known.values() if not one.is_in_force or lasts_longer(wanted[one.number], one)]
        added, extended = added + len(new), extended + len(changed)
        if dry_run:
            continue
        for entry in new:
            entry.pk = None  # of an attempt that was rolled back
        entries.bulk_create(new)
        _extend(entries, changed, wanted)
    return added, extended


def _extend(entries: Any, changed: Sequence[DoNotCall], wanted: Mapping[str, DoNotCall]) -> None:
    """Have the ``changed`` entries say what is wanted: one statement for all that come to say the same."""
    alike: defaultdict[tuple[str, Any], list[DoNotCall]] = defaultdict(list)
    for entry in changed:
        new = wanted[entry.number]
        alike[new.reason, new.expires_at].append(entry)
    for same in alike.values():
        new = wanted[same[0].number]
        entries.filter(pk__in=[entry.pk for entry in same]).update(**{name: getattr(new, name) for name in REPLACED})
