"""Button, panel and history of calls for a host's own templates: ``{% load exotel_ccm %}``.

The user is that of the template's ``request``. Whoever may not call or see gets nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django import template
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template import Context
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import TicketAdapter, page_url
from django_exotel_ccm.assets import asset_url
from django_exotel_ccm.call_button import CallButton, call_button, call_buttons
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.host_pages import HostPagesAdapter, OwnPagesAdapter, kept_messages, may_see
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.ticket_link import link_key
from django_exotel_ccm.panel import call_to_show, panel_of
from django_exotel_ccm.timeline import timeline_of

register = template.Library()
OF_TIMELINE = ("timeline.js", "recording.js")


_Link = tuple[type[Model], str]
_ButtonAndCall = tuple[CallButton | None, CallRecord | None]


@dataclass
class _Page:
    """What our tags have put on the page of a request so far."""

    assets: set[str] = field(default_factory=set)
    has_panel: bool = False
    shows_call: bool = False
    buttons: dict[_Link, _ButtonAndCall] = field(default_factory=dict)
    """Those that were made for many tickets at once."""
    among: list[Iterable[Any]] = field(default_factory=list)
    """What was read for them."""

    @classmethod
    def of(cls, request: HttpRequest) -> _Page:
        page: _Page = request.__dict__.setdefault("_exotel_ccm_page", cls())
        return page

    def takes_panel(self, call: CallRecord | None) -> bool:
        """Return whether a panel with ``call`` is to be put on the page: the first one, and the first with a call."""
        is_taken = not self.has_panel or (call is not None and not self.shows_call)
        self.has_panel, self.shows_call = True, self.shows_call or call is not None
        return is_taken


@register.inclusion_tag("exotel_ccm/call_button.html", takes_context=True)
def exotel_call_button(context: Context, ticket: Any, among: Iterable[Any] = ()) -> dict[str, Any]:
    """Show the button that calls the ticket's customer, and the panel that follows the call.

    In a loop, ``among`` is what the loop goes over: the buttons of all are then made for a fixed number of queries.
    """
    request = _request_of(context)
    if not _is_ticket(ticket, "exotel_call_button") or request is None:
        return {}
    if not Permission.PLACE_CALL.granted_to(request.user) or not may_see(request.user, ticket):
        return {}
    adapter, link = HostPagesAdapter.of(request.user, ticket), tickets.link_of(ticket)
    try:
        page = _Page.of(request)
        if link not in page.buttons and not any(among is read for read in page.among):
            page.among.append(among)
            page.buttons |= _buttons_of_many(request, among)
        button, call = page.buttons.get(link) or _button_of_one(request, adapter, ticket)
        shown: dict[str, Any] = {
            "button": button,
            "label": _("Call customer: %(ticket)s") % {"ticket": visible_to(str(ticket), request.user)},
            "csrf_token": get_token(request),
            **_assets(context, request),
        }
        if page.takes_panel(call):
            shown["panel"] = panel_of(call, request.user, adapter, next_url=request.get_full_path())
            shown["kept_messages"] = kept_messages(request) if button is not None else []
    except NoReverseMatch:
        return {}  # our URLs are not included: a check says so
    return shown


def _button_of_one(request: HttpRequest, adapter: TicketAdapter, ticket: Model) -> _ButtonAndCall:
    own, in_progress = CallRecord.objects.newest_and_in_progress(request.user, [ticket])
    newest = own.get(link_key(ticket))
    return call_button(adapter, request, ticket, newest), call_to_show(newest, in_progress)


def _buttons_of_many(request: HttpRequest, among: Iterable[Any]) -> dict[_Link, _ButtonAndCall]:
    kinds: defaultdict[type[Model], list[Model]] = defaultdict(list)
    for one in among:
        if _is_ticket(one, "exotel_call_button") and may_see(request.user, one):
            kinds[tickets.link_of(one)[0]].append(one)
    found: dict[_Link, _ButtonAndCall] = {}
    for its in kinds.values():
        own, in_progress = CallRecord.objects.newest_and_in_progress(request.user, its)
        for ticket, button in zip(its, call_buttons(HostPagesAdapter(), request, its, own), strict=True):
            link = tickets.link_of(ticket)
            found[link] = button, call_to_show(own.get(link_key(ticket)), in_progress)
    return found


@register.inclusion_tag("exotel_ccm/call_panel.html", takes_context=True)
def exotel_call_panel(context: Context) -> dict[str, Any]:
    """Show the user's call in progress, on every page whose template has this; hidden until there is one."""
    request = _request_of(context)
    if request is None or not Permission.PLACE_CALL.granted_to(request.user):
        return {}
    _none, in_progress = CallRecord.objects.newest_and_in_progress(request.user, [])
    if not _Page.of(request).takes_panel(in_progress):
        return {}
    try:
        panel = panel_of(in_progress, request.user, next_url=request.get_full_path())
        # Named, so that it stays in the frame of the host: staff may work here, and see no ticket in the admin.
        panel["my_calls_url"] = page_url(OwnPagesAdapter.of_owner(request.user), "my-calls")
        return {"panel": panel, "kept_messages": kept_messages(request), **_assets(context, request)}
    except NoReverseMatch:
        return {}


@register.inclusion_tag("exotel_ccm/call_timeline.html", takes_context=True)
def exotel_call_timeline(context: Context, ticket: Any) -> dict[str, Any]:
    """Show the calls so far about the ticket, with their recordings, to users who may see calls."""
    request = _request_of(context)
    if not _is_ticket(ticket, "exotel_call_timeline") or request is None:
        return {}
    # Asked first, so that a user who may not see calls costs no query.
    if not Permission.VIEW_CALL.granted_to(request.user) or not may_see(request.user, ticket):
        return {}
    adapter = HostPagesAdapter.of(request.user, ticket)
    may_call = Permission.PLACE_CALL.granted_to(request.user)
    after = CallRecord.objects.newest_key_by(request.user, ticket) if may_call else None
    try:
        timeline = timeline_of(request, adapter, ticket, next_url=request.get_full_path(), after=after)
        return {"timeline": timeline, **_assets(context, request, *OF_TIMELINE)}
    except NoReverseMatch:
        return {}


@register.inclusion_tag("exotel_ccm/assets.html", takes_context=True)
def exotel_assets(context: Context, *names: str) -> dict[str, Any]:
    """Bring our style and scripts where this stands, for the head of a page; the other tags then bring none.

    ``names`` are those of further files of ours, which our own pages in the host's frame need.
    """
    request = _any_request_of(context)
    try:
        return {} if request is None else _assets(context, request, *OF_TIMELINE, *names)
    except NoReverseMatch:
        return {}


def _any_request_of(context: Context) -> HttpRequest | None:
    request: HttpRequest | None = context.get("request") or getattr(context, "request", None)
    return request


def _request_of(context: Context) -> HttpRequest | None:
    """Return the request of a user who is logged in; None where a template has no request, or nobody is."""
    request = _any_request_of(context)
    user = getattr(request, "user", None)
    return request if getattr(user, "is_authenticated", False) else None


def _is_ticket(ticket: Any, tag: str) -> bool:
    """Return whether there is a ticket; raises ``ImproperlyConfigured`` for an object that can be none."""
    if ticket in (None, ""):
        return False  # an empty relation, or a variable that the template does not know
    if not isinstance(ticket, Model):
        problem = f"{{% {tag} %}} takes an object of a model in EXOTEL_CCM['TICKETS'], not a {type(ticket).__name__}."
        raise ImproperlyConfigured(problem)
    tickets.type_of(ticket)
    return ticket.pk is not None


def _assets(context: Context, request: HttpRequest, *names: str) -> dict[str, Any]:
    """Return the addresses of our style and scripts that are not on the page yet, and the nonce that they need."""
    page = _Page.of(request)
    wanted = ("call_customer.css", "note.css", "note.js", "panel.js", "call_customer.js", *names)
    missing = [name for name in wanted if name not in page.assets]
    page.assets.update(missing)
    return {
        "styles": [asset_url(name) for name in missing if name.endswith(".css")],
        "scripts": [asset_url(name) for name in missing if name.endswith(".js")],
        "nonce": _nonce(context, request),
    }


def _nonce(context: Context, request: HttpRequest) -> str:
    """Return the nonce of the page's Content-Security-Policy; "" if there is none.

    Django puts it into the context, django-csp onto the request. Both make it when it is first read as text.
    """
    for nonce in (context.get("csp_nonce"), getattr(request, "csp_nonce", None), getattr(request, "_csp_nonce", None)):
        if nonce is not None:
            return str(nonce)
    return ""
