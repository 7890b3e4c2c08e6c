"""Calls: the list, which also places, each of them, what we were told of it, and where many stand."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from django_exotel_ccm.adapters import calls_that_may_be_seen, may_see_call
from django_exotel_ccm.api.base import BaseView
from django_exotel_ccm.api.errors import invalid_fields
from django_exotel_ccm.api.paging import MAX_PAGE_SIZE
from django_exotel_ccm.api.placing import PlaceCall, place
from django_exotel_ccm.api.serializers import CallSerializer, EventSerializer, calls_as_shown
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.panel import status_of

SEES_CALLS = (Permission.PLACE_CALL, Permission.VIEW_CALL)


class CallView(BaseView):
    """A view of one call, which the address names."""

    def call(self, reference: UUID) -> CallRecord:
        """Return the call; raises ``Http404`` when the user may not see it."""
        found = CallRecord.objects.select_related("agent").filter(reference=reference).first()
        if found is None or not may_see_call(self.http_request, found, self.adapter):
            raise Http404
        return found

    def is_ticket_visible(self, call: CallRecord) -> bool:
        """Return whether the user may see the ticket that the call is about now: one's own call can be moved."""
        return call.pk in self.adapter.visible_calls(self.http_request, [call])


class Calls(BaseView):
    """The calls that the user may see, the newest first; and the place where a POST becomes a call."""

    needs = {"GET": SEES_CALLS, "POST": [Permission.PLACE_CALL]}
    filterset_name = "CallFilters"
    ordering = ("-created_at", "-pk")
    queryset = CallRecord.objects.defer("facts")
    serializer_class = CallSerializer

    def get(self, request: Request) -> Response:
        """List calls: one's own, and with ``view_callrecord`` those about tickets that one may see.

        Without ``view_all_calls``, a page looks through 500 calls that fit the filters. It can be short or empty while
        ``next`` leads on: the list ends where ``next`` is null.
        """
        calls = self.page_of(self.get_queryset())
        return self.get_paginated_response(calls_as_shown(calls, self.http_request, self.adapter))

    def visible(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return one's own calls alone for who may see no others."""
        sees_others = Permission.VIEW_CALL.granted_to(self.request.user)
        return queryset if sees_others else queryset.filter(placed_by_id=self.request.user.pk)

    @property
    def looked_at(self) -> tuple[str, ...]:
        """What says whose a call is, and what it is about, for who may not see all."""
        user = self.request.user
        if Permission.VIEW_ALL_CALLS.granted_to(user) or not Permission.VIEW_CALL.granted_to(user):
            return ()
        return ("created_at", "placed_by_id", "ticket_content_type_id", "ticket_object_id")

    def visible_rows(self, rows: list[Any]) -> list[Any]:
        """Return one's own calls, and those about tickets that one may see."""
        if not self.looked_at:
            return rows
        seen = calls_that_may_be_seen(self.http_request, rows, self.adapter)
        return [row for row in rows if row.pk in seen]

    def post(self, request: Request) -> Response:
        """Ring the agent, then the customer.

        Send the header ``Idempotency-Key``, a text of your own for each call, and send the same one when you try
        again: the same key from the same user places one call. A request that you change takes a new key.
        """
        body = PlaceCall(data=request.data)
        body.is_valid(raise_exception=True)
        return place(self, body.validated_data)


class OneCall(CallView):
    """One call."""

    needs = {"GET": SEES_CALLS}
    queryset = CallRecord.objects.all()
    serializer_class = CallSerializer

    def get(self, request: Request, reference: UUID) -> Response:
        """Return a call that the user placed, or that they may see with its ticket."""
        self.refuse_parameters()
        [shown] = calls_as_shown([self.call(reference)], self.http_request, self.adapter)
        return Response(shown)


class Events(CallView):
    """What we were told about a call."""

    needs = {"GET": [Permission.VIEW_EVENT]}
    queryset = CallEvent.objects.defer("raw")
    serializer_class = EventSerializer

    def get(self, request: Request, reference: UUID) -> Response:
        """List the events of a call, the oldest first, without their raw bodies."""
        call = self.call(reference)
        if not self.is_ticket_visible(call):
            raise Http404
        events = self.page_of(self.get_queryset().filter(call=call))
        context = {"user": request.user}
        return self.get_paginated_response(EventSerializer(events, many=True, context=context).data)


class Statuses(BaseView):
    """Where many calls stand, for a front end that follows them."""

    needs = {"GET": SEES_CALLS}
    queryset = CallRecord.objects.select_related("agent").with_advice()
    pagination_class = None
    filter_backends = []

    def get(self, request: Request) -> HttpResponseBase:
        """Return where each of up to 100 calls stands, in the order asked; those that one may not see are left out.

        With ``If-None-Match`` an unchanged answer is 304. Ask again after the smallest ``poll_after`` (seconds).
        """
        references = _references(request)
        found = {call.reference: call for call in self.get_queryset().filter(reference__in=references)}
        calls = [found[one] for one in references if one in found]
        visible = calls_that_may_be_seen(self.http_request, calls, self.adapter)
        told = [status_of(call, request.user) for call in calls if call.pk in visible]
        lasting = json.dumps([one | {"seconds": 0} for one in told])
        etag = quote_etag(hashlib.sha256(lasting.encode()).hexdigest()[:32])
        answer: Any = get_conditional_response(self.http_request, etag=etag)
        if answer is None or answer.status_code != status.HTTP_304_NOT_MODIFIED:  # other conditions are for writers
            answer = Response({"next": None, "previous": None, "results": told})
        answer["ETag"] = etag
        patch_cache_control(answer, private=True, no_cache=True)
        return answer  # type: ignore[no-any-return]


def _references(request: Request) -> list[UUID]:
    unknown = [name for name in request.query_params if name not in ("reference", "format")]
    if unknown:
        raise invalid_fields(
            {
                name: [_("There is no such filter here. Known filters: %(known)s.") % {"known": "reference"}]
                for name in unknown
            }
        )
    given = request.query_params.getlist("reference")
    if not 0 < len(given) <= MAX_PAGE_SIZE:
        told = _("Write reference=… once for each call, from 1 to %(max)d times.") % {"max": MAX_PAGE_SIZE}
        raise invalid_fields({"reference": [told]})
    try:
        return list(dict.fromkeys(map(UUID, given)))
    except ValueError:
        raise invalid_fields({"reference": [_("That is no reference of a call, which is a UUID.")]}) from None
