"""Where a call stands, as JSON: what the panel on the pages asks again and again.

A panel that follows no call asks the same address without a call's reference (:data:`~.panel.NO_CALL`).
"""

from __future__ import annotations

import hashlib
import json
from uuid import UUID

from django.apps import apps
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.cache import add_never_cache_headers, get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from django_exotel_ccm.adapters import TicketAdapter, may_see_call, page_url
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.ticket_link import LinkKey, link_key_of
from django_exotel_ccm.panel import NO_CALL, find_call, status_of
from django_exotel_ccm.tickets import declared_type
from django_exotel_ccm.views.access import through_adapter


@require_safe
@login_not_required  # who is not logged in is told so; a redirect to a login page would be no JSON
def status(request: HttpRequest, reference: UUID) -> HttpResponseBase:
    """Return where a call stands: 304 when nothing has changed, 401 for who is not logged in, else 404 for strangers.

    The user who placed the call may see it, and whoever may see the call and its ticket through the adapter that
    ``exotel_adapter`` names.

    For the reference of no call it returns {status, url, after} of the user's own call in progress, or of their newest
    about the ticket that ``exotel_type`` and ``exotel_ticket`` name, until two minutes after its end; 204 for none.
    ``after`` is the call's key if it is about that ticket.
    """
    if not request.user.is_authenticated:
        advice = _("You are logged out. The call goes on. Log in again to see it.")
        response = JsonResponse({"code": "logged_out", "advice": advice}, status=401)
        add_never_cache_headers(response)
        return response
    name = request.GET.get("exotel_adapter")
    if reference == NO_CALL:
        return through_adapter(request, name, lambda adapter: _find(request, adapter))
    return through_adapter(request, name, lambda adapter: _answer(request, reference, adapter))


def _find(request: HttpRequest, adapter: TicketAdapter | None) -> HttpResponse:
    link = _link_named_in(request)
    call = find_call(request.user, link)
    response = HttpResponse(status=204)
    if call is not None:
        found = {
            "status": status_of(call, request.user),
            "url": page_url(adapter, "status", call.reference),
            "after": str(call.pk) if call.link_key == link else "",
        }
        response = JsonResponse(found)
    add_never_cache_headers(response)
    return response


def _link_named_in(request: HttpRequest) -> LinkKey | None:
    label, key = (request.GET.get(name, "") for name in ("exotel_type", "exotel_ticket"))
    if not (label and key):
        return None
    try:
        return link_key_of(declared_type(apps.get_model(label)).model, key.replace("\0", ""))
    except (LookupError, ValueError, ImproperlyConfigured):
        raise Http404 from None


def _answer(request: HttpRequest, reference: UUID, adapter: TicketAdapter | None) -> HttpResponse:
    # Not first(), which would sort one row.
    call = next(iter(CallRecord.objects.select_related("agent").with_advice().filter(reference=reference)), None)
    if call is None or not may_see_call(request, call, adapter):
        raise Http404
    told = status_of(call, request.user)
    etag = quote_etag(hashlib.sha256(json.dumps({**told, "seconds": 0}).encode()).hexdigest()[:32])
    response: HttpResponse = get_conditional_response(request, etag=etag) or JsonResponse(told)
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response
