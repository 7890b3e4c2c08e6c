"""What callbacks are measured beside: a bare Django view, and dj-stripe's webhook."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid

from django.apps import apps
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import include, path, reverse
from django.views.decorators.csrf import csrf_exempt

from tests.helpdesk.models import Ticket
from tests.urls import urlpatterns as of_the_host

SECRET = "whsec_benchmark"
API_KEY = f"sk_test_{'0' * 24}"


@csrf_exempt
def bare(request: HttpRequest) -> JsonResponse:
    """Insert a row, update it, answer."""
    with transaction.atomic():
        ticket = Ticket.objects.create(subject="Broken fan")
        Ticket.objects.filter(pk=ticket.pk).update(status="called")
    return JsonResponse({"status": "kept"})


urlpatterns = [*of_the_host, path("bare/", bare), path("stripe/", include("djstripe.urls", namespace="djstripe"))]


def stripe_url() -> str:
    """Return the URL of a webhook endpoint of dj-stripe, whose account is known."""
    account, _made = apps.get_model("djstripe.Account").objects.get_or_create(id="acct_1")
    apps.get_model("djstripe.APIKey").objects.get_or_create(
        secret=API_KEY, defaults={"type": "secret", "livemode": False, "djstripe_owner_account": account}
    )
    endpoint, _made = apps.get_model("djstripe.WebhookEndpoint").objects.get_or_create(
        id="we_1", defaults={"secret": SECRET, "url": "http://testserver/", "enabled_events": ["*"], "livemode": False}
    )
    return reverse("djstripe:djstripe_webhook_by_uuid", args=[endpoint.djstripe_uuid])


def stripe_event() -> tuple[bytes, dict[str, str]]:
    """Return body and headers of an event that dj-stripe stores, and for which it asks Stripe nothing."""
    balance = {"object": "balance", "livemode": False, "available": [{"amount": 12345, "currency": "inr"}]}
    event = {
        "id": f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "type": "balance.available",
        "created": int(time.time()),
        "livemode": False,
        "api_version": "2024-06-20",
        "pending_webhooks": 1,
        "request": None,
        "data": {"object": balance},
    }
    body = json.dumps(event).encode()
    at = int(time.time())
    signature = hmac.new(SECRET.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return body, {"HTTP_STRIPE_SIGNATURE": f"t={at},v1={signature}"}
