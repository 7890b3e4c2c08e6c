"""What the admins of calls, events and announcements share: nobody edits or deletes, and numbers are masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import ngettext

from django_exotel_ccm.admin.lists import BoundedPaginator, OfferedLookupsAdmin, column
from django_exotel_ccm.exotel.redact import redact
from django_exotel_ccm.masking import visible_to

SHOWN_CHARACTERS = 20_000
SHOWN_ROWS = 50


if TYPE_CHECKING:
    _Base = BaseModelAdmin[Any]
else:
    _Base = object


class _ReadOnly(_Base):
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included. A subclass says which fields it shows."""
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits rows."""
        return False


class IndexedChangeList(ChangeList):
    """A list that is sorted by the columns of ``sortable_by`` alone; Django lets the address name any."""

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return what sorts a column; None if nothing does."""
        name = field_name if isinstance(field_name, str) else getattr(field_name, "__name__", "")
        return super().get_ordering_field(field_name) if name in (self.sortable_by or ()) else None


class ReadOnlyAdmin(_ReadOnly, OfferedLookupsAdmin):
    """Rows that users with the view permission read, and nobody changes."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions: Any = None
    # Otherwise one click sorts a million rows. Lists name the columns that an index sorts.
    sortable_by: ClassVar[tuple[str, ...]] = ()

    class Media:
        css = {"all": ["exotel_ccm/call_customer.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that no address can have sorted without an index."""
        return IndexedChangeList

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes rows."""
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


class ReadOnlyInline(_ReadOnly, admin.TabularInline):
    """The newest rows that belong to a call, below it."""

    formset: type[BaseInlineFormSet[Any, Any, Any]] = NewestFormSet
    extra = 0
    can_delete = False
    show_change_link = True
    template = "exotel_ccm/admin/readonly_inline.html"
    deferred: list[str] = []
    """Large columns that the rows do not show."""

    def get_queryset(self, request: HttpRequest) -> Any:
        """Do not load the large columns."""
        return super().get_queryset(request).defer(*self.deferred)


def masked_column(
    request: HttpRequest, name: str, label: Any, text: Callable[[Any], str], *, keep: bool = False
) -> Callable[[Any], str]:
    """Return an admin column of ``text(row)``, masked for this request's user. ``keep`` keeps its lines and spaces."""

    def shown(row: Any) -> str:
        masked = masked_text(text(row), request)
        return verbatim(masked) if keep else masked

    return column(name, label, shown)


def masked_text(text: str, request: HttpRequest) -> str:
    """Return ``text`` with numbers as this request's user may see them, and without addresses of recordings."""
    return visible_to(redact(text), request.user)


def verbatim(text: str) -> str:
    """Return ``text`` as HTML that keeps its lines and spaces; at most :data:`SHOWN_CHARACTERS` of it."""
    if len(text) > SHOWN_CHARACTERS:
        left = len(text) - SHOWN_CHARACTERS
        more = ngettext("… and %(count)d more character", "… and %(count)d more characters", left) % {"count": left}
        text = f"{text[:SHOWN_CHARACTERS]}\n{more}"
    return format_html('<pre class="exotel-verbatim">{}</pre>', text) if text else ""
