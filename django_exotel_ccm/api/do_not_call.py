"""The do-not-call list."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from django_exotel_ccm.api.base import BaseView
from django_exotel_ccm.api.errors import Forbidden
from django_exotel_ccm.api.serializers import Body, DoNotCallSerializer, Text
from django_exotel_ccm.choices import DoNotCallSource, Permission
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models import DoNotCall
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services import add_do_not_call


class OneNumber(Body):
    """The body of a DELETE: a number in the body, because addresses stand in logs."""

    number = Text(max_length=64, help_text="The number, with its country code.")

    def validate_number(self, text: str) -> str:
        """Return the number as E.164."""
        try:
            return parse_number(text)
        except InvalidNumber as error:
            raise serializers.ValidationError(str(error)) from None


class AddNumber(OneNumber):
    """The body of a POST."""

    reason = Text(
        required=False,
        allow_blank=True,
        max_length=DoNotCall.LONGEST_REASON,
        help_text="For administrators: who asked for it, and when.",
    )


class DoNotCallList(BaseView):
    """The numbers that are not to be called."""

    needs = {
        "GET": [Permission.VIEW_DO_NOT_CALL],
        "POST": [Permission.ADD_DO_NOT_CALL],
        "DELETE": [Permission.DELETE_DO_NOT_CALL],
    }
    queryset = DoNotCall.objects.all()
    serializer_class = DoNotCallSerializer
    filterset_name = "DoNotCallFilters"
    ordering = ("-created_at", "-pk")

    def get(self, request: Request) -> Response:
        """List the numbers, the newest first; masked for users without ``view_customer_number``."""
        rows = self.page_of(self.get_queryset())
        return self.get_paginated_response([self._shown(row) for row in rows])

    def post(self, request: Request) -> Response:
        """Add a number for ever. 200 if it is on the list already.

        Who lacks ``view_donotcall`` or ``view_customer_number`` is told nothing: the answer is 204 either way.
        """
        body = AddNumber(data=request.data)
        body.is_valid(raise_exception=True)
        wanted: dict[str, Any] = body.validated_data
        # The answer would tell whether the number is on the list, as that of a DELETE.
        sees = all(one.granted_to(request.user) for one in (Permission.VIEW_DO_NOT_CALL, Permission.VIEW_NUMBER))
        is_known = sees and DoNotCall.objects.filter(number=wanted["number"]).exists()
        row = add_do_not_call(
            wanted["number"],
            source=DoNotCallSource.TYPED,
            reason=wanted.get("reason", ""),
            created_by=request.user,
        )
        if not sees:
            return Response(status=status.HTTP_204_NO_CONTENT)
        return Response(self._shown(row), status=status.HTTP_200_OK if is_known else status.HTTP_201_CREATED)

    def delete(self, request: Request) -> Response:
        """Take the ``number`` in the body off the list.

        Who may not see numbers names the entry by its id instead, and so does a client that sends no body with DELETE.
        """
        if not Permission.VIEW_NUMBER.granted_to(request.user):
            raise Forbidden(Permission.VIEW_NUMBER)  # the answer would tell whether it is on the list
        body = OneNumber(data=request.data)
        body.is_valid(raise_exception=True)
        return _deleted(DoNotCall.objects.filter(number=body.validated_data["number"]))

    def _shown(self, row: DoNotCall) -> dict[str, Any]:
        return dict(DoNotCallSerializer(row, context={"user": self.request.user}).data)


class OneDoNotCall(BaseView):
    """One entry of the do-not-call list."""

    needs = {"DELETE": [Permission.DELETE_DO_NOT_CALL]}
    queryset = DoNotCall.objects.all()
    pagination_class = None

    def delete(self, request: Request, key: int) -> Response:
        """Take an entry off the list."""
        return _deleted(self.get_queryset().filter(pk=key))


def _deleted(rows: QuerySet[Any]) -> Response:
    if not rows.delete()[0]:
        raise Http404
    return Response(status=status.HTTP_204_NO_CONTENT)
