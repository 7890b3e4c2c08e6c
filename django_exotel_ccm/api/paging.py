"""Lists in pages: ``next`` and ``previous`` lead on from where a page ends, whatever is added meanwhile."""

from __future__ import annotations

import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from django_exotel_ccm import conf
from django_exotel_ccm.api.errors import Invalid, invalid_fields
from django_exotel_ccm.services.selection import whole_number

MAX_PAGE_SIZE = 100
MAX_OFFSET = 10_000
PARAMETERS = ("cursor", "page_size", "format")
"""Names in an address that are no filter."""


class Pages(CursorPagination):
    """Pages of 50 rows, or of ``page_size``, in the order of the view's ``ordering``."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    offset_cutoff = MAX_OFFSET
    invalid_cursor_message = ""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        """Return the order of the view, whose first column has an index."""
        ordering: tuple[str, ...] = view.ordering  # type: ignore[attr-defined]
        return ordering

    def get_page_size(self, request: Request) -> int:
        """Return ``page_size``; raises when it is no number from 1 to 100."""
        text = request.query_params.get("page_size")
        size = self.page_size if text is None else whole_number(text)
        if size is None or not 0 < size <= MAX_PAGE_SIZE:
            told = _("Write a number from 1 to %(max)d.") % {"max": MAX_PAGE_SIZE}
            raise invalid_fields({"page_size": [told]})
        return size

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters as OpenAPI describes them."""
        found: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in found:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}
        return found

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any] | None:
        """Return the rows of the page. A cursor that was not made by this list is 400."""
        self._list = queryset.model._meta.model_name
        self._column = queryset.model._meta.get_field(view.ordering[0].lstrip("-"))  # type: ignore[union-attr]
        try:
            return super().paginate_queryset(queryset, request, view)
        except NotFound:
            raise _wrong_cursor() from None

    def encode_cursor(self, cursor: Cursor) -> str:
        """Return the link to a page. Its cursor names the list, because a position may be one of other lists, too."""
        position = None if cursor.position is None else f"{self._list} {cursor.position}"
        link: str = super().encode_cursor(Cursor(cursor.offset, cursor.reverse, position))  # type: ignore[arg-type]
        return link

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return where to go on; a position that is no value of the column would fail in the database."""
        cursor = super().decode_cursor(request)
        if cursor == Cursor(0, False, None):
            raise _wrong_cursor()  # no link of a list is empty
        if cursor is None or cursor.position is None:
            return cursor
        name, _space, position = str(cursor.position).partition(" ")
        if name != self._list:
            raise _wrong_cursor()
        self._check_position(position)
        return Cursor(cursor.offset, cursor.reverse, position)  # type: ignore[arg-type]

    def _check_position(self, position: str) -> None:
        try:
            value = self._column.to_python(position)
            self._column.run_validators(value)  # SQLite raises OverflowError for a number out of range
            if isinstance(value, datetime.datetime):
                _check_moment(value)
        except (ValidationError, ValueError, OverflowError):
            raise _wrong_cursor() from None


def _check_moment(value: datetime.datetime) -> None:
    """Raise for a moment that our lists never write. In another zone it may be in no year that there is."""
    if value.year not in range(1900, 2200) or timezone.is_aware(value) != conf.uses_time_zones():
        raise _wrong_cursor()


def _wrong_cursor() -> Invalid:
    return Invalid("invalid_cursor", _("This cursor is of another list. Follow next and previous as they are."))
