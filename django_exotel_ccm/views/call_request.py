"""What a press of the button asks for: which ticket, through which adapter, as which agent, to which number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import TicketAdapter, call_query
from django_exotel_ccm.models import CallRecord, ExoPhone
from django_exotel_ccm.services import selection
from django_exotel_ccm.services.readiness import read_numbers
from django_exotel_ccm.tickets import TicketType
from django_exotel_ccm.views.access import is_of_this_host


class NeedsConfirmation(Exception):
    """A press leaves something open, so the choose page has to ask. ``confirmed`` is the key of the call it shows.

    ``is_on_page`` says that the page says ``text`` itself.
    """

    def __init__(
        self, text: str = "", level: str = "warning", confirmed: str = "", *, is_on_page: bool = False
    ) -> None:
        super().__init__(text)
        self.text = text
        self.level = level
        self.confirmed = confirmed
        self.is_on_page = is_on_page or bool(confirmed)


@dataclass(frozen=True, slots=True)
class CallTarget:
    """The adapter through which a request comes, and the kind of ticket that it is about."""

    adapter: TicketAdapter
    ticket_type: TicketType

    @classmethod
    def of(cls, adapter: TicketAdapter, values: Mapping[str, str]) -> CallTarget:
        """Return the target that a request names; raises ``Http404`` when it names no kind of ticket."""
        try:
            return cls(adapter, tickets.type_of(apps.get_model(values.get("exotel_type", ""))))
        except (LookupError, ValueError, ImproperlyConfigured):
            raise Http404 from None

    def ticket(self, request: HttpRequest, key: str) -> Model:
        """Return the ticket; raises ``Http404`` when the user may not see it."""
        found = self.adapter.visible_tickets(request, self.ticket_type, [key])
        if not found:
            raise Http404
        return found[0]

    def next_url(self, request: HttpRequest, wanted: str) -> str:
        """Return ``wanted`` if it leads to a page of this host, else the list of tickets."""
        return wanted if is_of_this_host(request, wanted) else self.adapter.list_url(self.ticket_type)

    def choose_url(self, keys: list[str], next_url: str, **more: str) -> str:
        """Return the address of the choose page: ``confirmed``, ``refused`` and ``item`` are among ``more``."""
        query = call_query(self.adapter, self.ticket_type, keys, next_url, **more)
        return f"{reverse('exotel_ccm:choose')}?{query}"


def choose_exophone(user: object, wanted: str) -> ExoPhone | None:
    """Return what :func:`~.selection.choose_exophone` does; raises :class:`NeedsConfirmation` for one that is gone."""
    try:
        return selection.choose_exophone(user, wanted)
    except ExoPhone.DoesNotExist:
        raise NeedsConfirmation(_("This ExoPhone is not used any more. Choose another."), "error") from None


def number_of_call(ticket: Model, key: int) -> str | None:
    """Return the number (E.164) of the call about ``ticket`` with this key; None when the user has to choose.

    That is when the ticket does not have the number any more, or other words stand beside it that have to be read.
    Raises :class:`~.readiness.NumbersUnreadable`.
    """
    number = CallRecord.objects.about(ticket).filter(pk=key).values_list("customer_number", flat=True).first()
    usable = [one.number for one in read_numbers(ticket) if one.number and not one.note]
    return number if number in usable else None
