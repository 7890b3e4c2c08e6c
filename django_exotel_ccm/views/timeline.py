"""The calls so far about a ticket, as a part of a page, which is shown anew when a call has come a step further."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from django_exotel_ccm.adapters import TicketAdapter
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.timeline import timeline_of
from django_exotel_ccm.views.access import answer_through
from django_exotel_ccm.views.call_request import CallTarget
from django_exotel_ccm.views.listed import listed_now


@require_safe
def timeline(request: HttpRequest) -> HttpResponseBase:
    """Return the history of a ticket as HTML, to users who may see calls and the ticket.

    Takes ``exotel_adapter``, ``exotel_type``, ``exotel_ticket``, ``exotel_next``, and ``exotel_after`` from a page
    whose user can call: then the calls have a press that calls again. ``exotel_item`` is the key of the item on the
    call list that shows the history.
    """
    values = request.GET.dict()
    return answer_through(
        request, values, lambda adapter: _answer(request, adapter, values), permission=Permission.VIEW_CALL, back=""
    )


def _answer(request: HttpRequest, adapter: TicketAdapter, values: Mapping[str, str]) -> HttpResponse:
    target = CallTarget.of(adapter, values)
    ticket = target.ticket(request, values.get("exotel_ticket", ""))
    after = None
    if (
        "exotel_after" in values
        and Permission.PLACE_CALL.granted_to(request.user)
        and target.ticket_type.allows(request.user, ticket)
    ):
        after = CallRecord.objects.newest_key_by(request.user, ticket)
    next_url = target.next_url(request, values.get("exotel_next", ""))
    listed = listed_now(request, ticket, values).query if after is not None else {}
    context = {"timeline": timeline_of(request, adapter, ticket, next_url=next_url, after=after, listed=listed)}
    response = render(request, "exotel_ccm/timeline.html", context)
    patch_cache_control(response, private=True, no_store=True)
    return response
