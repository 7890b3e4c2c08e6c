"""Serves our style and script, to everybody."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from django_exotel_ccm.assets import assets

YEAR = 365 * 24 * 60 * 60  # seconds


@require_safe
@login_not_required  # the pages that ask for it have decided who sees what
def asset(request: HttpRequest, version: str, name: str) -> HttpResponse:
    """Return one of our files. The address of another version gets today's, which is then not kept."""
    found = assets().get(name)
    if found is None:
        raise Http404
    etag = quote_etag(found.version)
    response: HttpResponse = get_conditional_response(request, etag=etag) or HttpResponse(
        found.content, content_type=found.media_type
    )
    response["ETag"] = etag
    response["X-Content-Type-Options"] = "nosniff"
    if version == found.version:
        patch_cache_control(response, public=True, max_age=YEAR, immutable=True)
    else:
        # A server that is still being renewed may be asked for the next version already.
        patch_cache_control(response, no_cache=True)
    return response
