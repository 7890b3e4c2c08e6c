"""A host's own URLs, views and middleware."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

GetResponse = Callable[[HttpRequest], HttpResponse]


class Control(APIView):
    """The host's own view, which obeys the host's REST framework settings."""

    def post(self, request: Request) -> Response:
        return Response({})


def in_transaction(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"in_transaction": connection.in_atomic_block})


def read_post(get_response: GetResponse) -> GetResponse:
    """Middleware that reads the form of every request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        bool(request.POST)
        return get_response(request)

    return middleware


def read_body(get_response: GetResponse) -> GetResponse:
    """Middleware that reads the body of every request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        len(request.body)
        return get_response(request)

    return middleware


def in_a_transaction(get_response: GetResponse) -> GetResponse:
    """Middleware that answers every request inside a transaction of its own."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            return get_response(request)

    return middleware


urlpatterns = [
    path("control/", Control.as_view()),
    path("in-transaction/", in_transaction),
    path("exotel/", include("django_exotel_ccm.urls")),
]
