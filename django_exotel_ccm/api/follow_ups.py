"""Call-backs: promises to call about a ticket at some moment."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from django_exotel_ccm.adapters import tickets_of_rows
from django_exotel_ccm.api.base import BaseView
from django_exotel_ccm.api.errors import APIError, invalid_fields
from django_exotel_ccm.api.moments import Moment
from django_exotel_ccm.api.serializers import Body, FollowUpSerializer, Text
from django_exotel_ccm.api.tickets import visible_ticket
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.exceptions import InvalidFollowUp, InvalidNote
from django_exotel_ccm.exotel.calls import LONGEST_CUSTOM_FIELD
from django_exotel_ccm.models import FollowUp
from django_exotel_ccm.services import complete_follow_up, schedule_follow_up
from django_exotel_ccm.services.note_checks import MAX_TEXT

WRITES = (Permission.ADD_NOTE, Permission.ADD_FOLLOW_UP)
"""A note can make a call-back, so who writes notes may make one here."""


class ScheduleFollowUp(Body):
    """The body of a POST that notes a call-back."""

    ticket = Text(max_length=LONGEST_CUSTOM_FIELD, help_text="The ticket by its name.")
    due_at = Moment(help_text="When the customer is to be called.")
    text = Text(required=False, allow_blank=True, max_length=MAX_TEXT, help_text="What to talk about.")


class NothingMore(Body):
    """The body of a POST that needs none."""


class FollowUpView(BaseView):
    """A view of call-backs: one's own, and with ``view_followup`` those about tickets that one may see."""

    queryset = FollowUp.objects.select_related("call", "done_by").defer("call__facts", "done_by__facts")
    serializer_class = FollowUpSerializer
    filterset_name = "FollowUpFilters"
    ordering = ("due_at", "pk")

    def shown(self, rows: list[FollowUp]) -> list[dict[str, Any]]:
        """Return those of the rows that the user may see, as JSON values. Asks once for each kind of ticket."""
        user = self.request.user
        sees_all = Permission.VIEW_ALL_CALLS.granted_to(user)
        found = {} if sees_all else tickets_of_rows(self.adapter, self.http_request, rows)
        visible = {row.pk for row in rows if sees_all or not row.ticket_object_id or row.link_key in found}
        context = {"user": user, "visible": visible}
        mine = [row for row in rows if row.pk in visible or row.assigned_to_id == user.pk]
        return list(FollowUpSerializer(mine, many=True, context=context).data)


class FollowUps(FollowUpView):
    """The call-backs that the user may see: the open ones, the most urgent first, and then those that are settled."""

    needs = {"GET": [Permission.PLACE_CALL, Permission.VIEW_FOLLOW_UP], "POST": WRITES}

    def get(self, request: Request) -> Response:
        """List call-backs: one's own, and with ``view_followup`` those about tickets that one may see.

        The open ones come first, the most urgent before the others; those that are settled follow. Without
        ``view_all_calls``, a page looks through 500 call-backs that fit the filters. It can be short or empty while
        ``next`` leads on: the list ends where ``next`` is null.
        """
        return self.get_paginated_response(self.shown(self.page_of(self.get_queryset())))

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return one's own call-backs alone for who may see no others."""
        sees_others = Permission.VIEW_FOLLOW_UP.granted_to(self.request.user)
        return queryset if sees_others else queryset.filter(assigned_to_id=self.request.user.pk)

    def parts(self, queryset: QuerySet[Any]) -> list[QuerySet[Any]]:
        """Return the open ones, and those that are settled. Each is read in the order of an index."""
        return [queryset.filter(done_at=None), queryset.exclude(Q(done_at=None))]

    def part_of(self, row: FollowUp) -> int:
        """Return 0 for an open one."""
        return int(row.done_at is not None)

    @property
    def looked_at(self) -> tuple[str, ...]:
        """What says whose a call-back is, and what it is about, for who may not see all."""
        user = self.request.user
        if Permission.VIEW_ALL_CALLS.granted_to(user) or not Permission.VIEW_FOLLOW_UP.granted_to(user):
            return ()
        return ("due_at", "done_at", "assigned_to_id", "ticket_content_type_id", "ticket_object_id")

    def visible_rows(self, rows: list[FollowUp]) -> list[FollowUp]:
        """Return one's own call-backs, and those about tickets that one may see."""
        if not self.looked_at:
            return rows
        others = [row for row in rows if row.assigned_to_id != self.request.user.pk]
        found = tickets_of_rows(self.adapter, self.http_request, others)
        seen = {row.pk for row in others if not row.ticket_object_id or row.link_key in found}
        return [row for row in rows if row.pk in seen or row.assigned_to_id == self.request.user.pk]

    def post(self, request: Request) -> Response:
        """Note that you are to call about a ticket. A later call about it with a conversation settles it."""
        body = ScheduleFollowUp(data=request.data)
        body.is_valid(raise_exception=True)
        wanted: dict[str, Any] = body.validated_data
        ticket_type, ticket = visible_ticket(self.http_request, self.adapter, wanted["ticket"])
        if not ticket_type.allows(request.user, ticket):
            raise APIError(status.HTTP_403_FORBIDDEN, "can_call", _("This ticket is not yours to call."))
        text = wanted.get("text", "")
        try:
            row = schedule_follow_up(ticket=ticket, due_at=wanted["due_at"], assigned_to=request.user, text=text)
        except InvalidFollowUp as error:
            raise invalid_fields({"due_at": [str(error)]}) from None
        except InvalidNote as error:
            raise invalid_fields({"text": [str(error)]}) from None
        return Response(self.shown([row])[0], status=status.HTTP_201_CREATED)


class DoneFollowUp(FollowUpView):
    """One's own call-back that is done without a call."""

    needs = {"POST": [Permission.PLACE_CALL, *WRITES]}
    pagination_class = None

    def post(self, request: Request, key: int) -> Response:
        """Mark a call-back of your own as done. Sent again it changes nothing."""
        row = self.get_queryset().filter(pk=key, assigned_to_id=request.user.pk).first()
        if row is None:
            raise Http404
        body = NothingMore(data=request.data)
        body.is_valid(raise_exception=True)
        complete_follow_up(row)
        row.refresh_from_db(fields=["done_at"])
        return Response(self.shown([row])[0])
