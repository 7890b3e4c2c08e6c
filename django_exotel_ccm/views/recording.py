"""Plays a recording to users who may listen. The browser sees our address, not that of the recording."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from django_exotel_ccm.adapters import TicketAdapter
from django_exotel_ccm.choices import NoRecording, Permission
from django_exotel_ccm.exotel import ranges
from django_exotel_ccm.exotel.download import RecordingStream
from django_exotel_ccm.exotel.ranges import ByteRange
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.recordings import RecordingUnavailable, open_recording, record_access
from django_exotel_ccm.views.access import answer_outside_admin, answer_through
from django_exotel_ccm.views.streaming import pieces_for

logger = logging.getLogger("django_exotel_ccm.views")

STATUS = {NoRecording.NOT_READY: 503, NoRecording.FAILED: 502}
RETRY_AFTER = 60  # seconds
FIXED = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    # Pages of other sites cannot play it with the cookies of this one.
    "Cross-Origin-Resource-Policy": "same-origin",
}


@require_safe
def recording(request: HttpRequest, reference: UUID, recording: str) -> HttpResponseBase:
    """Play a recording of a call, or one range of it, to a user who may listen and may see the call's ticket.

    Takes ``exotel_adapter``, else sees with the eyes of the user's own pages; and ``page_view``: the requests of one
    view of a page are one listening. What a GET plays is recorded before its first byte; a HEAD plays nothing.
    """

    def play(adapter: TicketAdapter) -> HttpResponseBase:
        return _play(request, _call(request, adapter, reference), recording)

    named, back = request.GET.dict(), request.get_full_path()
    if "exotel_adapter" in named:
        return _guarded(answer_through(request, named, play, permission=Permission.LISTEN, back=back))
    return _guarded(answer_outside_admin(request, play, permission=Permission.LISTEN))


def _play(request: HttpRequest, call: CallRecord, recording: str) -> HttpResponseBase:
    try:
        opened = open_recording(call, recording, _wanted(request))
    except RecordingUnavailable as unavailable:
        return _unavailable(unavailable)
    headers = _headers(call, opened)
    if opened.status == 416 or request.method == "HEAD":
        opened.close()
        return HttpResponse(status=opened.status, headers=headers)
    try:
        record_access(call, recording, request.user, request.GET.get("page_view", ""))
    except DatabaseFailure:
        logger.exception("Who listens to call %s could not be recorded, so nothing was played.", call.reference)
        opened.close()
        return _text(_("Who listens could not be recorded, so nothing is played. Try again."), 503)
    return StreamingHttpResponse(pieces_for(request, opened), status=opened.status, headers=headers)


def _call(request: HttpRequest, adapter: TicketAdapter, reference: UUID) -> CallRecord:
    """Return the call; raises ``Http404`` for what this user may not know to exist."""
    call = CallRecord.objects.filter(reference=reference).first()
    if call is None or call.pk not in adapter.visible_calls(request, [call]):
        raise Http404
    if not call.ticket_object_id and not Permission.VIEW_CALL.granted_to(request.user):
        raise Http404
    return call


def _wanted(request: HttpRequest) -> ByteRange | None:
    # If-Range names a version of the recording. We send no version, so only the whole is right.
    if request.method == "HEAD" or "If-Range" in request.headers:
        return None
    return ranges.parse_range(request.headers.get("Range", ""))


def _headers(call: CallRecord, opened: RecordingStream) -> dict[str, str]:
    if opened.status == 416:
        return {} if opened.total is None else {"Content-Range": f"bytes */{opened.total}"}
    headers = {
        "Content-Type": opened.media_type,
        "Content-Disposition": f'inline; filename="{call.reference}.{opened.suffix}"',
        # Middleware that compresses would change the range.
        "Content-Encoding": "identity",
    }
    if opened.length is not None:
        headers |= {"Content-Length": str(opened.length), "Accept-Ranges": "bytes"}
    if opened.span is not None:
        first, last = opened.span
        headers["Content-Range"] = f"bytes {first}-{last}/{'*' if opened.total is None else opened.total}"
    return headers


def _unavailable(unavailable: RecordingUnavailable) -> HttpResponse:
    response = _text(str(unavailable), STATUS.get(unavailable.reason, 404))
    if unavailable.reason == NoRecording.NOT_READY:
        response["Retry-After"] = str(RETRY_AFTER)
        # Without this, Django logs an error and mails it to ADMINS, although nothing is wrong.
        response._has_been_logged = True  # type: ignore[attr-defined] # noqa: SLF001
    return response


def _text(text: str, status: int) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")


def _guarded(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in FIXED.items():
        response[name] = value
    patch_vary_headers(response, ["Cookie"])
    return response
