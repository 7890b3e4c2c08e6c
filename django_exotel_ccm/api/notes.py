"""Notes: what was written about a call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from django_exotel_ccm.api.calls import SEES_CALLS, CallView
from django_exotel_ccm.api.errors import invalid_fields
from django_exotel_ccm.api.moments import Moment
from django_exotel_ccm.api.serializers import Body, NoteSerializer, Text
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.exceptions import InvalidFollowUp, InvalidNote
from django_exotel_ccm.models import CallNote, Disposition
from django_exotel_ccm.services import add_note
from django_exotel_ccm.services.note_checks import MAX_TEXT


class WriteNote(Body):
    """The body of a POST that writes a note: at least one of the three."""

    text = Text(required=False, allow_blank=True, max_length=MAX_TEXT, help_text="What is to be written.")
    disposition = Text(
        required=False, allow_null=True, max_length=40, help_text="How the call went, by the code of a disposition."
    )
    follow_up_at = Moment(
        required=False, allow_null=True, help_text="When you are to call back: makes a call-back of your own."
    )


class Notes(CallView):
    """The notes about a call."""

    needs = {"GET": SEES_CALLS, "POST": [Permission.ADD_NOTE]}
    queryset = CallNote.objects.select_related("disposition").defer("request_key")
    serializer_class = NoteSerializer

    def get(self, request: Request, reference: UUID) -> Response:
        """List the notes about a call, the oldest first.

        Without ``view_callrecord`` one's own, and so where the call was moved to a ticket that one may not see.
        """
        call = self.call(reference)
        notes = self.get_queryset().filter(call=call)
        if not (Permission.VIEW_CALL.granted_to(request.user) and self.is_ticket_visible(call)):
            notes = notes.filter(author_id=request.user.pk)
        return self.get_paginated_response(self._shown(self.page_of(notes), many=True))

    def post(self, request: Request, reference: UUID) -> Response:
        """Write a note. A disposition that means "no calls" puts the customer on the do-not-call list."""
        call = self.call(reference)
        body = WriteNote(data=request.data)
        body.is_valid(raise_exception=True)
        wanted: dict[str, Any] = body.validated_data
        try:
            note = add_note(
                call,
                author=request.user,
                text=wanted.get("text", ""),
                disposition=_disposition(wanted.get("disposition")),
                follow_up_at=wanted.get("follow_up_at"),
            )
        except InvalidNote as error:
            raise invalid_fields({"text": [str(error)]}) from None
        except InvalidFollowUp as error:
            raise invalid_fields({"follow_up_at": [str(error)]}) from None
        return Response(self._shown(note), status=status.HTTP_201_CREATED)

    def _shown(self, notes: Any, *, many: bool = False) -> Any:
        return NoteSerializer(notes, many=many, context={"user": self.request.user}).data


def _disposition(code: str | None) -> Disposition | None:
    if code is None:
        return None
    found = Disposition.objects.filter(code=code, is_active=True).first()
    if found is None:
        told = _("There is no such disposition, or it is not offered any more. The list of dispositions has them.")
        raise invalid_fields({"disposition": [told]})
    return found
