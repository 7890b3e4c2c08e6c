"""Habits of hosts that stand in the way of a call."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def atomic_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Open one transaction round every request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            return get_response(request)

    return middleware


class TenantURLs:
    """The URLs of a tenant without an admin."""

    urlpatterns = [path("exotel/", include("django_exotel_ccm.urls"))]


def tenant_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give every request the tenant's own URLs."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.urlconf = TenantURLs
        return get_response(request)

    return middleware
