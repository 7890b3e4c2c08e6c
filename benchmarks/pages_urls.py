"""The URLs of the host, and bare views that know their user."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.urls import urlpatterns as of_the_host


def bare(request: HttpRequest) -> JsonResponse:
    """Answer the user's name."""
    return JsonResponse({"user": request.user.get_username()})


class Bare(APIView):
    """Answer the user's name, to whoever is logged in."""

    permission_classes = [IsAuthenticated]
    renderer_classes = [JSONRenderer]

    def get(self, request: Request) -> Response:
        """Answer."""
        return Response({"user": request.user.get_username()})


urlpatterns = [*of_the_host, path("bare/", bare), path("bare-api/", Bare.as_view())]
