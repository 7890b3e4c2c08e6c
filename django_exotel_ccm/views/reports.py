"""The figures of calls: a page, and the calls behind it as a CSV file."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_exotel_ccm.adapters import TicketAdapter, calls_that_may_be_seen, page_url
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.descriptions import is_about_first_ticket
from django_exotel_ccm.local_time import local_zone
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.reports import periods
from django_exotel_ccm.services.reports.export import Seen, csv_pieces
from django_exotel_ccm.services.reports.figures import report_of, within
from django_exotel_ccm.services.reports.filters import (
    SEE_FIGURES,
    ReportFilter,
    calls_in_reach_of,
    choices_for,
    sees_all_figures,
)
from django_exotel_ccm.services.reports.periods import InvalidPeriod, Period, read_period
from django_exotel_ccm.views.access import answer_page_of
from django_exotel_ccm.views.report_tables import figure_list, sections
from django_exotel_ccm.views.streaming import text_pieces_for


@require_safe
@never_cache
def reports(request: HttpRequest) -> HttpResponseBase:
    """Show the figures of the calls that the user may know the figures of.

    Takes ``exotel_adapter``; ``dates``, a period's name, or ``from`` and ``to``; and the names of a
    :class:`ReportFilter`. 400 for dates that are no period.
    """
    return answer_page_of(request, lambda adapter: _page(request, adapter), *SEE_FIGURES)


@require_safe
@never_cache
def reports_csv(request: HttpRequest) -> HttpResponseBase:
    """Send a line for each call that the page counts, and for each refused one. Takes what the page takes."""
    return answer_page_of(request, lambda adapter: _csv(request, adapter), *SEE_FIGURES)


def _page(request: HttpRequest, adapter: TicketAdapter) -> HttpResponse:
    context = _form(request, adapter)
    try:
        period = read_period(request.GET.dict())
    except InvalidPeriod as error:
        context |= {"problem": str(error), "first": request.GET.get("from", ""), "last": request.GET.get("to", "")}
    else:
        context |= _result(request, adapter, period)
    response = adapter.render(request, "reports.html", context)
    response.status_code = 400 if "problem" in context else 200
    return response


def _form(request: HttpRequest, adapter: TicketAdapter) -> dict[str, Any]:
    chosen = ReportFilter.read(request.GET.dict(), request.user)
    choices = choices_for(request.user, chosen)
    sees_all = sees_all_figures(request.user)
    may_call = Permission.PLACE_CALL.granted_to(request.user)
    return {
        "title": pgettext("telephony", "Reports") if sees_all else _("My figures"),
        "sees_all": sees_all,
        "adapter_name": adapter.name,
        "periods": [
            {"label": label, "url": page_url(adapter, "reports", dates=name, **chosen.chosen)}
            for name, label in periods.NAMES.items()
        ],
        "choices": [{"field": one, "chosen": getattr(chosen, one.name)} for one in choices],
        "only": [
            f"{one.label}: {label}"
            for one in choices
            for value, label in one.options
            if value == getattr(chosen, one.name)
        ],
        "all_url": page_url(adapter, "reports"),
        "live_url": page_url(adapter, "live") if sees_all else "",
        "my_calls_url": page_url(adapter, "my-calls") if may_call else "",
    }


def _result(request: HttpRequest, adapter: TicketAdapter, period: Period) -> dict[str, Any]:
    chosen = ReportFilter.read(request.GET.dict(), request.user)
    report = report_of(chosen.apply(calls_in_reach_of(request.user)), period)
    dates = {"from": period.first.isoformat(), "to": period.last.isoformat()}
    return {
        "first": dates["from"],
        "last": dates["to"],
        "dates": _dates(period),
        "zone": str(local_zone()),
        "is_empty": report.total.is_empty,
        "is_filtered": bool(chosen.chosen),
        "figures": figure_list(report.total),
        "sections": sections(report),
        "csv_url": page_url(adapter, "reports-csv", **dates, **chosen.chosen),
    }


def _dates(period: Period) -> str:
    first, last = (date_format(day, "DATE_FORMAT") for day in (period.first, period.last))
    return first if first == last else _("%(first)s to %(last)s") % {"first": first, "last": last}


def _csv(request: HttpRequest, adapter: TicketAdapter) -> HttpResponseBase:
    try:
        period = read_period(request.GET.dict())
    except InvalidPeriod:
        return _page(request, adapter)  # which says what is wrong
    calls = ReportFilter.read(request.GET.dict(), request.user).apply(calls_in_reach_of(request.user))
    if request.method == "HEAD":
        calls = calls.none()  # a server would make the whole file, and send nothing of it
    pieces = csv_pieces(within(calls, period), request.user, lambda batch: _seen(request, batch, adapter))
    name = f"calls-{period.first}-{period.last}.csv"
    response = StreamingHttpResponse(
        text_pieces_for(request, _in_their_words(pieces, translation.get_language(), timezone.get_current_timezone())),
        content_type="text/csv; charset=utf-8",
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _seen(request: HttpRequest, calls: Sequence[CallRecord], adapter: TicketAdapter) -> Seen:
    """Return what the user may see of the calls. Own calls may have moved to a ticket that they may not see."""
    customers = calls_that_may_be_seen(request, calls, adapter)
    moved = [call for call in calls if call.placed_by_id == request.user.pk and not is_about_first_ticket(call)]
    visible = adapter.visible_calls(request, moved) if moved else set()
    return Seen(customers, customers - {call.pk for call in moved} | visible)


def _in_their_words(pieces: Iterator[str], language: str | None, zone: datetime.tzinfo) -> Iterator[str]:
    """Make each piece in the language and the zone of the request: middleware has taken back its own by then."""
    while True:
        with translation.override(language), timezone.override(zone):
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece
