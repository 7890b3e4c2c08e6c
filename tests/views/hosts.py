"""Habits of hosts that stand in the way of a call."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.http import HttpRequest, HttpResponse


def atomic_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Open one transaction round every request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            return get_response(request)

    return middleware
