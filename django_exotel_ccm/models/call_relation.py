"""The calls of a ticket as an attribute of the host's model, for hosts that want one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from django.db.models import Manager, Model

from django_exotel_ccm.models.call import CallRecord
from django_exotel_ccm.models.call_queryset import CallRecordQuerySet
from django_exotel_ccm.models.ticket_link import ticket_columns


class CallRelation:
    """The calls about a ticket: ``calls = CallRelation()`` in a model named in ``TICKETS``.

    Gives ``ticket.calls.all()``, ``ticket.calls.filter(…)`` and ``prefetch_related("calls")``. Unlike Django's
    ``GenericRelation`` it is no field: deleting a ticket leaves its calls, since history stays, and tickets cannot be
    filtered by it, since their keys are kept as text.
    """

    def __set_name__(self, owner: type[Model], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, ticket: None, owner: type[Model]) -> CallRelation: ...
    @overload
    def __get__(self, ticket: Model, owner: type[Model]) -> TicketCalls: ...
    def __get__(self, ticket: Model | None, owner: type[Model]) -> CallRelation | TicketCalls:
        return self if ticket is None else TicketCalls(ticket, self.name)


class TicketCalls(Manager.from_queryset(CallRecordQuerySet)):  # type: ignore[misc]
    """The manager behind :class:`CallRelation`, with what Django asks of one for ``prefetch_related``."""

    def __init__(self, ticket: Model, name: str) -> None:
        super().__init__()
        self.model, self._ticket, self._name = CallRecord, ticket, name

    def get_queryset(self) -> CallRecordQuerySet:
        """Return the calls about the ticket, from the cache if they have been prefetched."""
        fetched = getattr(self._ticket, "_prefetched_objects_cache", {}).get(self._name)
        return self._apply_rel_filters(super().get_queryset()) if fetched is None else fetched

    def _apply_rel_filters(self, queryset: CallRecordQuerySet) -> CallRecordQuerySet:
        return queryset.about(self._ticket)

    def get_prefetch_querysets(
        self, instances: Sequence[Model], querysets: Sequence[CallRecordQuerySet] | None = None
    ) -> tuple[CallRecordQuerySet, Callable[[CallRecord], Any], Callable[[Model], Any], bool, str, bool]:
        """Return the calls about all ``instances``, and how a call and a ticket are matched."""
        queryset = querysets[0] if querysets else super().get_queryset()
        return (
            queryset.about(*instances),
            lambda call: (call.ticket_content_type_id, call.ticket_object_id),
            lambda ticket: (ticket_columns(ticket)[0].pk, ticket_columns(ticket)[1]),
            False,  # one ticket has many calls
            self._name,
            False,
        )
