"""A press from a call list: what its page showed of the ticket, and what a colleague has done since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_exotel_ccm.choices import ItemState
from django_exotel_ccm.descriptions import colleague_called_warning
from django_exotel_ccm.models import CallListItem, CallRecord
from django_exotel_ccm.models.call_queryset import NewestCalls
from django_exotel_ccm.models.ticket_link import link_key
from django_exotel_ccm.services.call_lists import find_item
from django_exotel_ccm.services.selection import whole_number

OF_ITEM = ("item", "listed_as", "seen")
"""The names, without our prefix, of what a press says of its item: its key, its state on the page, a key of a call.

That call is the newest of a colleague which the page showed as past; "0" for none.
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """An item as it is now: what a press from a page that shows it says, and what an older page does not show."""

    query: Mapping[str, str] = field(default_factory=dict)
    news: str = ""


def query_of(item: CallListItem, newest: CallRecord | None) -> dict[str, str]:
    """Return what a press says of ``item`` (:data:`OF_ITEM`). ``newest`` is the colleagues' newest call about it."""
    is_past = newest is not None and not newest.is_in_progress
    return {"item": str(item.pk), "listed_as": item.state, "seen": str(newest.pk) if newest and is_past else "0"}


def listed_now(request: HttpRequest, ticket: Model, values: Mapping[str, str]) -> Listed:
    """Return how the item of a press stands now. ``news`` is "" if nothing has happened since its page was made.

    ``values`` are those of the press. Takes two statements; none if it does not come from a call list.
    """
    key = whole_number(values.get("exotel_item", ""))
    item = find_item(request.user, key, link_key(ticket)) if key is not None else None
    if item is None:
        return Listed()
    since = item.call_list.created_at
    newest = (
        CallRecord.objects.newest_since(request.user, [ticket], since).get(link_key(ticket), NewestCalls()).of_others
    )
    query, news = query_of(item, newest), ""
    if newest is not None and query["seen"] not in ("0", values.get("exotel_seen")):
        news = colleague_called_warning(newest, request.user)
    elif item.state == ItemState.SKIPPED and values.get("exotel_listed_as") != item.state:
        news = _("This ticket was skipped since this page was loaded. Call only if you mean to.")
    return Listed(query, news)
