"""Lists in pages: ``next`` and ``previous`` lead on from where a page ends, whatever is added meanwhile."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param

from django_exotel_ccm import conf
from django_exotel_ccm.api.errors import Invalid, invalid_fields
from django_exotel_ccm.services.selection import whole_number

MAX_PAGE_SIZE = 100
LOOKED_THROUGH = 500
"""How many rows one page looks through for those about tickets that the user may see."""
PARAMETERS = ("cursor", "page_size", "format")
"""Names in an address that are no filter."""


class Place(NamedTuple):
    """Where a row stands in its list. The pages beside it begin there, also when the row is gone."""

    part: int
    value: Any
    key: int


class Pages(CursorPagination):
    """Pages of 50 rows, or of ``page_size``, in the order of the view's ``ordering``.

    Where each row has to be asked for, a page looks through at most ``LOOKED_THROUGH`` rows from where it begins. If
    too few of them may be seen the page is short, and the next one goes on behind the last that was looked at.
    """

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    invalid_cursor_message = ""

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

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the rows of the page. A cursor that was not made by this list is 400."""
        self.request, self._view = request, view
        self.base_url: str = request.build_absolute_uri()
        self._list = queryset.model._meta.model_name
        self._column = queryset.model._meta.get_field(view.ordering[0].lstrip("-"))
        self._parts = view.parts(queryset)
        size = self.get_page_size(request)
        try:
            cursor = self.decode_cursor(request)
        except NotFound:
            raise _wrong_cursor() from None
        reverse, begin = (cursor.reverse, self._place_in(cursor)) if cursor is not None else (False, None)
        rows, last = self._read(begin, size, reverse=reverse)
        back = rows[0] if rows else last
        links = {reverse: self._link(self._place_of(last), reverse=reverse) if last is not None else None}
        # Of an empty page the way back is from the end: a place would tell of rows that the user may not see.
        links[not reverse] = self._link(self._place_of(back), reverse=not reverse) if begin is not None else None
        self._next, self._previous = links[False], links[True]
        self.display_page_controls = any(links.values())  # on REST framework's pages for people
        if view.looked_at:
            loaded = queryset.in_bulk([row.pk for row in rows])
            rows = [loaded[row.pk] for row in rows if row.pk in loaded]
        return rows[::-1] if reverse else rows

    def get_next_link(self) -> str | None:
        """Return the address of the page after this one; None if there is none."""
        return self._next

    def get_previous_link(self) -> str | None:
        """Return the address of the page before this one; None if there is none."""
        return self._previous

    def _read(self, begin: Place | None, size: int, *, reverse: bool) -> tuple[list[Any], Any]:
        """Return the rows of the page as they are read, and that behind which the next goes on, if there is one."""
        most = LOOKED_THROUGH if self._view.looked_at else size
        found = self._rows(begin, most + 1, reverse=reverse)
        rows = self._view.visible_rows(found[:most])
        if len(rows) > size:
            return rows[:size], rows[size - 1]
        return rows, found[most - 1] if len(found) > most else None

    def _rows(self, begin: Place | None, limit: int, *, reverse: bool) -> list[Any]:
        """Return so many rows behind a place, or before it."""
        falls = self._view.ordering[0].startswith("-") != reverse
        order = [f"{'-' if falls else ''}{name.lstrip('-')}" for name in self._view.ordering]
        rows: list[Any] = []
        parts = list(enumerate(self._parts))
        for number, part in reversed(parts) if reverse else parts:
            if begin is not None and (number > begin.part if reverse else number < begin.part):
                continue
            queryset = part.order_by(*order)
            if begin is not None and number == begin.part:
                queryset = queryset.filter(_beyond(self._column.name, begin, "lt" if falls else "gt"))
            if self._view.looked_at:
                queryset = queryset.select_related(None).only(*self._view.looked_at)
            rows += queryset[: limit - len(rows)]
            if len(rows) == limit:
                break
        return rows

    def _place_of(self, row: Any) -> Place | None:
        return None if row is None else Place(self._view.part_of(row), getattr(row, self._column.attname), row.pk)

    def _link(self, place: Place | None, *, reverse: bool) -> str:
        """Return the address of the page behind a place, or before it; without one of the first, or of the last.

        Its cursor names the list, because a place may be one of other lists, too.
        """
        if place is None and not reverse:
            return str(remove_query_param(self.base_url, self.cursor_query_param))
        position = None if place is None else f"{self._list} {place.part} {place.key} {place.value}"
        return str(self.encode_cursor(Cursor(0, reverse, position)))  # type: ignore[arg-type]

    def _place_in(self, cursor: Cursor) -> Place | None:
        """Return where to go on; what is no value of the column would fail in the database."""
        if cursor.offset or cursor == Cursor(0, False, None):
            raise _wrong_cursor()  # no link of a list is empty
        if cursor.position is None:
            return None
        try:
            name, part, key, value = str(cursor.position).split(" ", 3)
            if name != self._list or part not in map(str, range(len(self._parts))):
                raise _wrong_cursor()
            column_of_key = self._parts[0].model._meta.pk
            return Place(int(part), _checked(self._column, value), _checked(column_of_key, key))
        except (ValidationError, ValueError, OverflowError):
            raise _wrong_cursor() from None


def _beyond(column: str, place: Place, side: str) -> Q:
    """Return the condition of the rows on one side of the place; an index of the column serves it."""
    is_there = Q(**{f"{column}__{side}e": place.value})
    return is_there & (Q(**{f"{column}__{side}": place.value}) | Q(**{f"pk__{side}": place.key}))


def _checked(column: Any, text: str) -> Any:
    """Return the value of the column that the text is; raises what Django does when it is none."""
    value = column.to_python(text)
    column.run_validators(value)  # SQLite raises OverflowError for a number out of range
    if isinstance(value, datetime.datetime):
        _check_moment(value)
    return value


def _check_moment(value: datetime.datetime) -> None:
    """Raise for a moment that our lists never write. In another zone it may be in no year that there is."""
    if value.year not in range(1900, 2200) or timezone.is_aware(value) != conf.uses_time_zones():
        raise _wrong_cursor()


def _wrong_cursor() -> Invalid:
    return Invalid("invalid_cursor", _("This cursor is of another list. Follow next and previous as they are."))
