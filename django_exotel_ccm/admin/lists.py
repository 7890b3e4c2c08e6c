"""What all of our lists share: actions, columns, bounded counts, and only cheap conditions from the address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import pgettext_lazy

from django_exotel_ccm import conf

COUNTED = 10_000
CHEAP = {"exact", "isnull", "in", "gte", "gt", "lte", "lt", "date", "year", "month", "day", "id", "pk"}
"""What the address of a list may ask of a field. A regular expression can occupy a database for minutes."""

_Action = TypeVar("_Action", bound=Callable[..., Any])


def action(description: Any, permission: str) -> Callable[[_Action], _Action]:
    """Return a decorator that makes a method an action of the list, for users with ``permission``.

    Since Django 6.1 ``admin.action`` also notes where an action is shown. django-simpleui cannot write that into its
    page, and every list with such an action would be a 500.
    """

    def decorate(method: _Action) -> _Action:
        vars(method).update(short_description=description, allowed_permissions=[permission])
        return method

    return decorate


def column(name: str, label: Any, text: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return a column of ``text(row)``, for what depends on the user of a request: the list or page makes it anew."""

    def shown(row: Any) -> str:
        return text(row) or "-"

    shown.__name__ = name
    shown.short_description = label  # type: ignore[attr-defined]
    return shown


class BoundedPaginator(Paginator):
    """Counts no further than the pages that anybody turns: a million calls is an ordinary size."""

    @cached_property
    def count(self) -> int:
        """The number of rows, at most :data:`COUNTED`; older ones are found with the filters."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())


class AccountFilter(admin.SimpleListFilter):
    """The configured accounts; Django's own filter would read every row to find out which there are."""

    title = pgettext_lazy("telephony", "account")
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer each account; nothing, and so no filter, where there is only one."""
        aliases = list(conf.get_settings().accounts)
        return [(alias, alias) for alias in aliases] if len(aliases) > 1 else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the chosen account's rows."""
        return queryset.filter(account=self.value()) if self.value() else queryset


class CheapLookupsAdmin(admin.ModelAdmin):
    """Refuses regular expressions and other costly conditions in the address of its list."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Return whether the list may be filtered by ``lookup``, such as ``created_at__year``."""
        _field, *asked = lookup.split("__")
        return CHEAP.issuperset(asked) and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]


class OfferedLookupsAdmin(CheapLookupsAdmin):
    """Lets the address of its list ask only what a filter offers: for lists that mask numbers."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Return whether a filter of the list offers ``lookup``. Others could find numbers that are masked."""
        offered = {
            one if isinstance(one, str) else one.parameter_name
            for one in [*self.list_filter, self.date_hierarchy]
            if one is not None
        }
        if lookup == "call__exact" and hasattr(self.model, "call"):  # the link to all rows of a call
            return True
        return lookup.partition("__")[0] in offered and super().lookup_allowed(lookup, value, request)
