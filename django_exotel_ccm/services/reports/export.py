"""Calls as the lines of a CSV file: a few at a time, and with nothing in them that a spreadsheet runs."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.descriptions import describe_customer
from django_exotel_ccm.local_time import to_local
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import CallNote, CallRecord, Disposition
from django_exotel_ccm.models.call_queryset import CallRecordQuerySet
from django_exotel_ccm.services.reports.figures import NEVER_CONFIRMED, OPEN, agent_name, kind_name

BATCH = 500
"""Calls that are in memory at once."""
COLUMNS = (
    "created_at",
    "agent_label",
    "placed_by",
    "placed_by_label",
    "customer_number",
    "customer_label",
    "erased_at",
    "ticket_content_type",
    "ticket_object_id",
    "ticket_label",
    "custom_field",
    "exophone_number",
    "state",
    "outcome",
    "refusal_code",
    "gave_up_at",
    "talk_time",
    "total_duration",
    "ended_at",
)
"""All that a line needs; another column would cost a statement for each call."""
BOM = "\ufeff"
"""By which Excel knows that the file is UTF-8."""
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"


def safe_cell(value: Any) -> Any:
    """Return a text so that no spreadsheet takes it for a formula; other values as they are."""
    if not isinstance(value, str):
        return value
    # Spreadsheets pass over what is in front of the sign and cannot be seen.
    first_seen = next((letter for letter in value if letter.isprintable() and not letter.isspace()), " ")
    return f"'{value}" if first_seen in _FORMULA or value.startswith(("\t", "\r", "\n")) else value


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody may see of some calls: the keys of those whose customer, and of those whose ticket may be named."""

    customers: set[Any]
    tickets: set[Any]


def csv_pieces(calls: CallRecordQuerySet, user: Any, seen: Callable[[Sequence[CallRecord]], Seen]) -> Iterator[str]:
    """Yield the text of a CSV file with a line for each call, the oldest first, a piece for each batch.

    ``seen`` returns what ``user`` may see of a batch. What is placed while the file
    is made may be missing. Each batch is read by statements of its own, in no transaction of ours.
    """
    yield BOM + _lines([_header()])
    labels, names = result_labels(), dict(Disposition.objects.values_list("pk", "label"))
    for batch in _batches(calls):
        visible, dispositions = seen(batch), _dispositions_of(batch, names)
        yield _lines(_row(call, user, labels, dispositions, visible) for call in batch)


def result_labels() -> dict[str, str]:
    """Return what people read for each outcome, and for calls that have none."""
    others = {OPEN: _("not over yet"), NEVER_CONFIRMED: _("never confirmed"), State.REFUSED.value: _("not called")}
    return {value: str(label) for value, label in Outcome.choices} | others


def _result_of(call: CallRecord) -> str:
    match call.state:
        case State.REFUSED:
            return State.REFUSED.value
        case State.ENDED:
            return call.outcome or Outcome.UNKNOWN.value
    return OPEN if call.gave_up_at is None else NEVER_CONFIRMED


class _Line:
    """What a ``csv.writer`` writes to."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def write(self, text: str) -> None:
        self.text.append(text)


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    line = _Line()
    # Texts in quotes, so that a semicolon in one begins no cell where the list separator is a semicolon.
    csv.writer(line, quoting=csv.QUOTE_NONNUMERIC).writerows([safe_cell(value) for value in row] for row in rows)
    return "".join(line.text)


def _header() -> list[str]:
    return [
        pgettext("telephony", "Placed"),
        _("Time zone"),
        pgettext("telephony", "Agent"),
        _("Placed by"),
        pgettext("telephony", "Customer"),
        pgettext("telephony", "Number"),
        pgettext("telephony", "Ticket"),
        _("Kind of ticket"),
        _("ExoPhone"),
        pgettext("telephony", "Outcome"),
        pgettext("telephony", "Refusal"),
        _("Talk time (seconds)"),
        _("Duration (seconds)"),
        pgettext("telephony", "Ended"),
        pgettext("telephony", "Disposition"),
    ]


def _row(call: Any, user: Any, labels: dict[str, str], dispositions: dict[Any, list[str]], seen: Seen) -> list[Any]:
    is_visible = call.pk in seen.customers
    kind = call.ticket_content_type_id
    placed = to_local(call.created_at)
    return [
        _clock(placed),
        _offset(placed),
        agent_name(call.name_of_agent, call.account_of_agent) if call.name_of_agent else call.agent_label,
        call.placed_by_label,
        describe_customer(call, user) if is_visible else _("not yours to see"),
        visible_to(call.customer_number, user) if is_visible else "",
        visible_to(call.ticket_label, user) if call.pk in seen.tickets else _("not yours to see"),
        kind_name(kind) if kind is not None else "",
        call.exophone_number or call.number_of_exophone,
        labels.get(_result_of(call), call.outcome),
        call.refusal_code if call.state == State.REFUSED else "",
        "" if call.talk_time is None else call.talk_time,
        "" if call.total_duration is None else call.total_duration,
        _clock(_as_placed(call.ended_at, placed)) if call.ended_at is not None else "",
        ", ".join(dispositions.get(call.pk, ())),
    ]


def _offset(moment: datetime.datetime) -> str:
    """Return how far the clock is from UTC: an hour can be shown twice. Written so that it begins with no plus."""
    text = moment.strftime("%z")
    return f"UTC{text[:3]}:{text[3:5]}" if text else ""


def _as_placed(moment: datetime.datetime, placed: datetime.datetime) -> datetime.datetime:
    """Return ``moment`` as the clock showed it that showed ``placed``: it may have been changed during the call."""
    offset = placed.utcoffset()
    return moment if offset is None else moment.astimezone(datetime.timezone(offset))


def _clock(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _batches(calls: CallRecordQuerySet) -> Iterator[list[CallRecord]]:
    """Yield the calls in the order in which they were placed, which has an index. By their keys, each batch of a day
    would have to look for its calls among those of all days.
    """
    of_agent = {"name_of_agent": F("agent__name"), "account_of_agent": F("agent__account")}
    named = calls.annotate(**of_agent, number_of_exophone=F("exophone__number"))
    ordered = named.only(*COLUMNS).order_by("created_at", "pk")
    batch = list(ordered[:BATCH])
    while batch:
        yield batch
        last = batch[-1]
        is_later = Q(created_at__gt=last.created_at) | Q(created_at=last.created_at, pk__gt=last.pk)
        batch = list(ordered.filter(is_later, created_at__gte=last.created_at)[:BATCH])


def _dispositions_of(calls: Sequence[CallRecord], names: Mapping[int, str]) -> dict[Any, list[str]]:
    """Return by the call's key the ``names`` of what was chosen after it, in their order, each once."""
    # No join with the dispositions: MariaDB would begin with them, and read the notes of all calls for each batch.
    notes = CallNote.objects.filter(call__in=[call.pk for call in calls]).order_by("pk")
    found: dict[Any, list[str]] = {}
    for key, disposition in notes.values_list("call", "disposition"):
        chosen = found.setdefault(key, [])
        if disposition in names and names[disposition] not in chosen:
            chosen.append(names[disposition])
    return found
