"""What the report shows of its figures: each with its definition, and tables with a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from django_exotel_ccm.descriptions import describe_length, describe_talk_time
from django_exotel_ccm.services.reports.export import result_labels
from django_exotel_ccm.services.reports.figures import Figures, Report, Row
from django_exotel_ccm.services.reports.reasons import describe_refusal_code
from django_exotel_ccm.views.report_charts import Part, bars, columns

MOST_ROWS = 200
MOST_OPEN = 31  # rows of a table that is not folded
NONE = "\N{EN DASH}"


def figure_list(figures: Figures) -> list[dict[str, str]]:
    """Return each figure with its name and what it means."""
    values = _values(figures)
    return [
        {"name": name, "value": values[key], "definition": definition} for key, (name, definition) in _all().items()
    ]


def named_values(figures: Figures) -> list[dict[str, str]]:
    """Return each figure by its key, with its name and its value."""
    values = _values(figures)
    return [{"key": key, "name": name, "value": values[key]} for key, (name, _definition) in _all().items()]


def _all() -> dict[str, tuple[str, str]]:
    """Return name and definition of each figure."""
    return {
        "calls": (
            pgettext("telephony", "Calls"),
            _("Calls that were placed. A call counts on the day on which it was placed. Refused calls do not count."),
        ),
        "ended": (pgettext("telephony", "Ended"), _("Calls of which we know that they are over.")),
        "reached": (
            pgettext("telephony", "Reached"),
            _("Calls in which agent and customer talked: Exotel has told a talk time of more than 0 seconds."),
        ),
        "answer_rate": (_("Answer rate"), _("The share of the ended calls in which agent and customer talked.")),
        "talk_time": (_("Talk time"), _("How long agents and customers talked, all calls together.")),
        "mean_talk_time": (_("Mean talk time"), _("Talk time, divided by reached.")),
        "agent_missed": (
            _("Agent did not pick up"),
            _("The agent's own phone rang and nobody picked up, so the customer was not called."),
        ),
        "customer_missed": (
            _("Customer not reached"),
            _("The customer did not pick up, was busy, or could not be dialled."),
        ),
        "unknown": (
            _("Outcome unknown"),
            _("Calls that ended, and Exotel did not say how. Calls that were never confirmed are not in it."),
        ),
        "open": (_("Not over yet"), _("Calls that go on, or of which we have not heard the end yet.")),
        "refused": (
            pgettext("telephony", "Refused"),
            _("Nobody was called, because a rule or Exotel said no. They are not counted as calls."),
        ),
    }


def _values(figures: Figures) -> dict[str, str]:
    mean = figures.mean_talk_time
    return {
        "calls": str(figures.calls),
        "ended": str(figures.ended),
        "reached": str(figures.reached),
        "answer_rate": _percent(figures.answer_rate),
        "talk_time": describe_talk_time(figures.talk_time),
        "mean_talk_time": NONE if mean is None else describe_length(round(mean)),
        "agent_missed": str(figures.agent_missed),
        "customer_missed": str(figures.customer_missed),
        "unknown": str(figures.unknown),
        "open": str(figures.open),
        "refused": str(figures.refused),
    }


def _percent(share: float | None) -> str:
    # number_format() cuts, and does not round.
    return NONE if share is None else f"{number_format(round(100 * share, 1), 1)}%"


def sections(report: Report) -> list[dict[str, Any]]:
    """Return the parts of the report, each with a table, and with a chart where it has calls."""
    days = [(date_format(day, "SHORT_DATE_FORMAT"), figures) for day, figures in report.days.items()]
    hours = [(f"{hour:02}:00", figures) for hour, figures in report.hours.items()]
    of_outcomes = {name: capfirst(label) for name, label in result_labels().items()}
    outcomes = [[of_outcomes.get(name, name), count] for name, count in report.outcomes.items()]
    refusals = [[capfirst(describe_refusal_code(code)), code, count] for code, count in report.refusals.items()]
    dispositions = [[row.name, row.figures.reached, row.figures.calls] for row in report.dispositions]
    agent, outcome = pgettext("telephony", "Agent"), pgettext("telephony", "Outcome")
    disposition, reached = pgettext("telephony", "Disposition"), pgettext("telephony", "Reached")
    found = [
        _section("days", _("By day"), pgettext("telephony", "Day"), days, columns),
        _section("hours", _("By hour"), pgettext("telephony", "Hour"), hours, columns),
        _section("agents", _("By agent"), agent, _named(report.agents), bars),
        _counts("outcomes", _("By outcome"), [outcome], outcomes, report.total.calls),
        _counts(
            "refusals",
            _("Refused, by reason"),
            [pgettext("telephony", "Reason"), pgettext("telephony", "Code")],
            refusals,
            report.total.refused,
        ),
        _section("exophones", _("By ExoPhone"), _("ExoPhone"), _named(report.exophones), bars),
        _section("types", _("By kind of ticket"), _("Kind of ticket"), _named(report.ticket_types), bars),
        _counts(
            "dispositions",
            _("By disposition"),
            [disposition, reached],
            dispositions,
            report.total.calls,
            note=_("A call counts for each disposition that was chosen after it."),
        ),
    ]
    return [one for one in found if one["rows"]]


def _named(rows: Iterable[Row]) -> list[tuple[str, Figures]]:
    return [(row.name, row.figures) for row in rows]


def _section(
    key: str,
    title: str,
    heading: str,
    lines: list[tuple[str, Figures]],
    draw: Callable[[Sequence[Part]], dict[str, Any]],
) -> dict[str, Any]:
    """Return a part whose table has all figures of each line."""
    shown = lines if draw is columns else lines[:MOST_ROWS]
    parts = [Part(name, figures.calls, figures.reached) for name, figures in lines]
    return {
        "key": key,
        "title": title,
        "headings": [heading, *(name for name, _definition in _all().values())],
        "rows": [[name, *_values(figures).values()] for name, figures in shown],
        "is_cut": len(shown) < len(lines),
        "is_folded": len(shown) > MOST_OPEN,
        "has_columns": draw is columns,
        "chart": draw(parts) if any(part.calls for part in parts) else None,
    }


def _counts(
    key: str, title: str, headings: list[str], lines: list[list[Any]], total: int, *, note: str = ""
) -> dict[str, Any]:
    """Return a part whose lines end with a count, to which its share of ``total`` is added."""
    shown = lines[:MOST_ROWS]
    return {
        "key": key,
        "title": title,
        "note": note,
        "headings": [*headings, pgettext("telephony", "Calls"), pgettext("telephony", "Share")],
        "rows": [[*line, _percent(line[-1] / total if total else None)] for line in shown],
        "is_cut": len(shown) < len(lines),
        "is_folded": len(shown) > MOST_OPEN,
        "has_columns": False,
        "chart": bars([Part(str(line[0]), line[-1], None) for line in shown]) if shown else None,
    }
