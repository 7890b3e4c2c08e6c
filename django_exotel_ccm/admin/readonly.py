"""What all of the history's admins share: read, never edited or deleted, numbers masked, no full counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _

from django_exotel_ccm.admin.lists import BoundedPaginator, CheapLookupsAdmin
from django_exotel_ccm.exotel.redact import redact
from django_exotel_ccm.phone_numbers import visible_to

SHOWN_CHARACTERS = 20_000
SHOWN_ROWS = 50


class ReadOnlyAdmin(CheapLookupsAdmin):
    """A list that can be read by those with the view permission, and changed by nobody."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions: Any = None

    class Media:
        css = {"all": ["exotel_ccm/call_customer.css"]}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Take from the address what the filters offer and no more: else it finds numbers that are masked."""
        offered = {
            one if isinstance(one, str) else one.parameter_name
            for one in [*self.list_filter, self.date_hierarchy]
            if one is not None
        }
        if lookup == "call__exact" and hasattr(self.model, "call"):  # the link to all rows of a call
            return True
        return lookup.partition("__")[0] in offered and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """History is not written by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not deleted."""
        return False


class NewestFormSet(BaseInlineFormSet):
    """The newest rows of a call. The others are on the list that the inline links to."""

    def get_queryset(self) -> Any:
        """Return the newest rows, the newest first."""
        if not hasattr(self, "_newest"):
            self._newest = list(super().get_queryset().order_by("-pk")[: SHOWN_ROWS + 1])
        return self._newest[:SHOWN_ROWS]

    @property
    def has_more(self) -> bool:
        """Whether there are rows that are not shown."""
        return len(self._newest) > SHOWN_ROWS


class ReadOnlyInline(admin.TabularInline):
    """The newest rows of history below the call they belong to."""

    formset = NewestFormSet
    extra = 0
    can_delete = False
    show_change_link = True
    template = "exotel_ccm/admin/readonly_inline.html"
    heavy: list[str] = []
    """Columns that the rows do not show, and that can be large."""

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the large columns in the database."""
        return super().get_queryset(request).defer(*self.heavy)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not written by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """History is not edited."""
        return False


def masked(
    request: HttpRequest, name: str, label: Any, text: Callable[[Any], str], *, keep: bool = False
) -> Callable[[Any], str]:
    """Return an admin column of ``text(row)`` as :func:`seen` by this request's user.

    ``keep`` shows its lines and spaces as they are.
    """

    def column(row: Any) -> str:
        told = seen(text(row), request)
        return (verbatim(told) if keep else told) or "-"

    column.__name__ = name
    column.short_description = label  # type: ignore[attr-defined]
    return column


def seen(text: str, request: HttpRequest) -> str:
    """Return ``text`` with numbers as this request's user may see them, and with nobody's way to a recording."""
    return visible_to(redact(text), request.user)


def verbatim(text: str) -> str:
    """Return ``text`` as HTML that keeps its lines and spaces; at most :data:`SHOWN_CHARACTERS` of it."""
    if len(text) > SHOWN_CHARACTERS:
        more = _("… and %(count)d more characters") % {"count": len(text) - SHOWN_CHARACTERS}
        text = f"{text[:SHOWN_CHARACTERS]}\n{more}"
    return format_html('<pre class="exotel-verbatim">{}</pre>', text) if text else ""
