"""Filters of the lists, by django-filter, which is an extra. What the address has besides them is never ignored."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from django_exotel_ccm.api.errors import Invalid, invalid_fields, unknown_filters
from django_exotel_ccm.api.paging import PARAMETERS


def is_installed() -> bool:
    """Return whether django-filter can be imported. It need not be in INSTALLED_APPS: only its forms are used."""
    return find_spec("django_filters") is not None


def filterset_of(view: Any) -> Any:
    """Return the class that filters the view's list; None if the list has no filters."""
    name: str = view.filterset_name
    return getattr(import_module("django_exotel_ccm.api.filtersets"), name) if name else None


class Filters(BaseFilterBackend):
    """Filters a list by the address; 400 for a filter that the list does not have, or that is given twice."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        """Return the rows that the address asks for."""
        given = request.query_params
        names = [name for name in given if name not in PARAMETERS]
        if names and not is_installed():
            advice = _('Lists are filtered by django-filter. Type: pip install "django-exotel-ccm[api]"')
            raise Invalid("filters_not_installed", advice)
        filterset_class = filterset_of(view) if names else None
        known = list(filterset_class.base_filters) if filterset_class is not None else []
        unknown = [name for name in names if name not in known]
        if unknown:
            raise unknown_filters(unknown, known)
        twice = [name for name in given if len(given.getlist(name)) > 1]
        if twice:
            raise invalid_fields({name: [_("Write it once.")] for name in twice})
        blank = [name for name in names if not given[name].strip()]
        if blank:
            raise invalid_fields({name: [_("Write a value, or leave the filter out.")] for name in blank})
        if filterset_class is None:
            return queryset
        filterset = filterset_class(data=given, queryset=queryset, request=view)
        if not filterset.is_valid():
            raise invalid_fields(filterset.errors)
        filtered: QuerySet[Any] = filterset.qs
        return filtered

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Return the filters as OpenAPI describes them."""
        filterset_class = filterset_of(view) if is_installed() else None
        return filterset_class.parameters() if filterset_class is not None else []
