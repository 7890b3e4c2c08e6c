"""What all of the history's admins share: read, never edited or deleted, numbers masked, no full counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property

from django_exotel_ccm.numbers import shown

COUNTED = 10_000


class BoundedPaginator(Paginator):
    """Counts no further than the pages that anybody turns: a million calls is an ordinary size."""

    @cached_property
    def count(self) -> int:
        """The number of rows, at most :data:`COUNTED`; older ones are found with the filters."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())


class HistoryAdmin(admin.ModelAdmin):
    """A list that can be read by those with the view permission, and changed by nobody."""

    paginator = BoundedPaginator
    show_full_result_count = False
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """History is not written by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not deleted."""
        return False


class HistoryInline(admin.TabularInline):
    """Rows of history below the call they belong to."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not written by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not edited."""
        return False


def masked(request: HttpRequest, name: str, label: Any, text: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return an admin column of ``text(row)`` in which the numbers are shown as this request's user may see them."""

    def column(row: Any) -> str:
        return shown(text(row), request.user) or "-"

    column.__name__ = name
    column.short_description = label  # type: ignore[attr-defined]
    return column
