"""The URLs of the host, and a bare view that knows its user."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path

from tests.urls import urlpatterns as of_the_host


def bare(request: HttpRequest) -> JsonResponse:
    """Answer the user's name."""
    return JsonResponse({"user": request.user.get_username()})


urlpatterns = [*of_the_host, path("bare/", bare)]
