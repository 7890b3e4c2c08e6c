"""The box after a call, and its Save."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from django_exotel_ccm.adapters import TicketAdapter, get_adapter, may_see_call
from django_exotel_ccm.call_back_times import chosen_time, describe_call_back
from django_exotel_ccm.choices import Means, Permission
from django_exotel_ccm.descriptions import describe_status
from django_exotel_ccm.exceptions import InvalidFollowUp, InvalidNote
from django_exotel_ccm.host_pages import HostPagesAdapter
from django_exotel_ccm.models import CallRecord, Disposition
from django_exotel_ccm.note_box import note_box, note_url
from django_exotel_ccm.policies import asks_do_not_call_list
from django_exotel_ccm.services import add_note
from django_exotel_ccm.services.note_checks import check_not_erased
from django_exotel_ccm.views.access import is_script, next_url_of, through_adapter

_View = Callable[[HttpRequest, UUID], HttpResponseBase]


def _keeping_the_text(view: _View) -> _View:
    """Check the CSRF token as ``csrf_protect`` does; but show the text again that was sent without a valid one.

    A login in another tab changes the token. Django's own page about that would lose what was written.
    """

    @csrf_exempt  # for the middleware of the host: we check it here
    @wraps(view)
    def checked(request: HttpRequest, reference: UUID) -> HttpResponseBase:
        is_valid = False

        @csrf_protect
        def if_valid(request: HttpRequest, reference: UUID) -> HttpResponseBase:
            nonlocal is_valid
            is_valid = True
            return view(request, reference)

        response = if_valid(request, reference)
        return response if is_valid or is_script(request) else _refuse_old_page(request, reference)

    return checked


@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required  # who is not logged in is told so, and keeps the text; a redirect would lose it
@never_cache
@_keeping_the_text
def note(request: HttpRequest, reference: UUID) -> HttpResponseBase:
    """Show the box of a call, or write the note that it was filled with.

    For users with ``add_callnote`` who may ask for the call's status. Takes ``exotel_disposition`` (a code),
    ``exotel_text``, ``exotel_call_back`` ("", "hour", "evening", "tomorrow" or "chosen"), ``exotel_call_back_at`` (the
    local date and time of "chosen"), ``exotel_key``, which is the same when Save is pressed twice, and ``exotel_next``.

    A request that prefers JSON, our script's, gets {html, csrf_token, has_note} for the box, {text} once it is saved,
    and {code, advice} with status 400, 401 or 403 if it is not.
    """
    name = request.GET.get("exotel_adapter")
    if not request.user.is_authenticated:
        return _ask_to_log_in(request, (get_adapter(name) if name is not None else None) or HostPagesAdapter())
    if not Permission.ADD_NOTE.granted_to(request.user):
        if is_script(request):
            advice = _("You may not write notes. Ask an administrator.")
            return JsonResponse({"code": "forbidden", "advice": advice}, status=403)
        raise PermissionDenied
    return through_adapter(request, name, lambda adapter: _answer(request, reference, adapter))


def _ask_to_log_in(request: HttpRequest, adapter: TicketAdapter) -> HttpResponseBase:
    login = adapter.login_url(request.get_full_path())
    if is_script(request):
        advice = _("You are logged out. Your note is kept here: log in again in another tab, then save it.")
        return JsonResponse({"code": "logged_out", "advice": advice}, status=401)
    if login and request.method != "POST":
        return HttpResponseRedirect(login)
    return _not_saved(request, 401, problem=_("You are logged out, so nothing was saved."), login_url=login)


def _refuse_old_page(request: HttpRequest, reference: UUID) -> HttpResponseBase:
    adapter = get_adapter(request.GET.get("exotel_adapter", ""))
    if not request.user.is_authenticated:
        return _ask_to_log_in(request, adapter or HostPagesAdapter())
    again_url = note_url(reference, adapter, next_url_of(request))
    return _not_saved(request, 403, problem=_("The page was too old, so nothing was saved."), again_url=again_url)


def _not_saved(request: HttpRequest, status: int, **context: str) -> HttpResponse:
    """Return a page with the text that was sent, and nothing about the call, whoever this is."""
    shown = {"title": _("After the call"), "text": request.POST.get("exotel_text", ""), **context}
    return TemplateResponse(request, "exotel_ccm/note_not_saved.html", shown, status=status)


def _answer(request: HttpRequest, reference: UUID, adapter: TicketAdapter | None) -> HttpResponse:
    call = CallRecord.objects.select_related("agent").filter(reference=reference).first()
    if call is None or not may_see_call(request, call, adapter):
        raise Http404
    return _save(request, call, adapter) if request.method == "POST" else _show(request, call, adapter)


def _show(request: HttpRequest, call: CallRecord, adapter: TicketAdapter | None) -> HttpResponse:
    try:
        check_not_erased(call)  # a box that can never be saved is not offered
    except InvalidNote as error:
        if is_script(request):
            return JsonResponse({"code": "invalid", "advice": str(error)}, status=400)
        return _page(request, call, adapter, None, said=str(error))
    if not is_script(request):
        return _page(request, call, adapter, note_box(request, call, adapter, next_url=next_url_of(request)))
    box = note_box(request, call, adapter)
    return JsonResponse(
        {
            "html": render_to_string("exotel_ccm/note_box.html", {"box": box}),
            "csrf_token": box["csrf_token"],
            "has_note": call.notes.filter(author_id=request.user.pk).exists(),
        }
    )


def _save(request: HttpRequest, call: CallRecord, adapter: TicketAdapter | None) -> HttpResponse:
    posted = request.POST.dict()
    try:
        said = _write(request, call, posted)
    except (InvalidNote, InvalidFollowUp) as error:
        if is_script(request):
            return JsonResponse({"code": "invalid", "advice": str(error)}, status=400)
        box = note_box(request, call, adapter, next_url=next_url_of(request), posted=posted, problem=str(error))
        return _page(request, call, adapter, box, status=400)
    if is_script(request):
        return JsonResponse({"text": said})
    next_url = next_url_of(request)
    if next_url:
        (adapter or HostPagesAdapter()).add_message(request, "success", format_html("{}", said))
        return HttpResponseRedirect(next_url)
    return _page(request, call, adapter, None, said=said)


def _write(request: HttpRequest, call: CallRecord, posted: dict[str, Any]) -> str:
    """Write the note, and return what is said of it."""
    choice, typed = posted.get("exotel_call_back", ""), posted.get("exotel_call_back_at", "")
    # A date stays in its field, out of sight, when another choice follows it.
    follow_up_at = chosen_time(choice, typed) if choice else None
    key, disposition = posted.get("exotel_key", ""), _disposition(posted.get("exotel_disposition", ""))
    add_note(
        call,
        author=request.user,
        text=posted.get("exotel_text", ""),
        disposition=disposition,
        follow_up_at=follow_up_at,
        request_key=f"{key}|{choice}|{typed}" if key else None,
    )
    said = [pgettext("telephony", "Saved.")]
    is_listed = disposition is not None and disposition.means == Means.DO_NOT_CALL and call.customer_number
    if is_listed and asks_do_not_call_list():
        said.append(_("This customer is on the do-not-call list now."))
        said.append(_("If you chose that by mistake, an administrator can take them off it."))
    if follow_up_at is not None:
        said.append(describe_call_back(follow_up_at))
    return " ".join(said)


def _disposition(code: str) -> Disposition | None:
    if not code:
        return None
    found = Disposition.objects.filter(code=code.replace("\0", "")[:40]).first()
    if found is None:
        raise InvalidNote(_("What you chose is not offered any more. Choose again how it went."))
    return found


def _page(
    request: HttpRequest,
    call: CallRecord,
    adapter: TicketAdapter | None,
    box: dict[str, Any] | None,
    *,
    said: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {"title": describe_status(call, request.user).headline, "box": box, "said": said}
    response = (adapter or HostPagesAdapter()).render(request, "note.html", context)
    response.status_code = status
    return response
