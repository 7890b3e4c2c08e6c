"""What callbacks are measured beside: a bare Django view that does one INSERT and one UPDATE in a transaction."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.helpdesk.models import Ticket
from tests.urls import urlpatterns as of_the_host


@csrf_exempt
def bare(request: HttpRequest) -> JsonResponse:
    """Insert a row, update it, answer."""
    with transaction.atomic():
        ticket = Ticket.objects.create(subject="Broken fan")
        Ticket.objects.filter(pk=ticket.pk).update(status="called")
    return JsonResponse({"status": "kept"})


urlpatterns = [*of_the_host, path("bare/", bare)]
