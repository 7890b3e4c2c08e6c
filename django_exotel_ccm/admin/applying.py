""" "Apply again": events that were kept and not applied are read, linked and joined anew, one or many at a time."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.lists import COUNTED
from django_exotel_ccm.choices import EventReason, Permission
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services.reapplying import APPLICABLE, apply_again, is_applicable
from django_exotel_ccm.services.transactions import exempt_from_atomic_requests, open_transaction

if TYPE_CHECKING:
    _Base = admin.ModelAdmin
else:
    _Base = object

MOST = 100
_KEY = re.compile("[0-9]{1,18}")
PATIENCE = 20.0  # seconds, after which no further event is begun: people wait for the page


class ApplyAgainMixin(_Base):
    """Adds "Apply again" to the admin of events: an action, and a button on an event's page."""

    actions = ["apply_again"]
    change_form_template = "exotel_ccm/admin/event.html"

    def has_apply_again_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may have events applied: by the permission to change events."""
        return self.has_view_permission(request) and Permission.CHANGE_EVENT.granted_to(request.user)

    def get_urls(self) -> list[URLPattern]:
        """Add a view of our own: Django's run in a transaction, in which nothing can be known to be committed."""
        view = exempt_from_atomic_requests(self.admin_site.admin_view(require_POST(self._apply_again)))
        return [path("apply-again/", view, name="exotel_ccm_callevent_apply_again"), *super().get_urls()]

    @admin.action(description=gettext_lazy("Apply again"), permissions=["apply_again"])
    def apply_again(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Ask before the chosen events are applied. Changes nothing."""
        chosen = list(queryset.filter(APPLICABLE)[: MOST + 1])
        if len(chosen) > MOST:
            text = _(
                "Choose at most %(most)d events that were not applied. All whose call is known now are applied by: "
                "python manage.py exotel_replay --apply"
            )
            self.message_user(request, text % {"most": MOST}, messages.WARNING)
            return None
        context = {
            "title": _("Apply again"),
            "opts": self.opts,
            "list_url": self._url("changelist"),
            "back_url": request.get_full_path(),
            "apply_again_url": self._url("apply_again"),
            "rows": _prospects(chosen),
            "left_out": list(_left_out(queryset)),
        }
        return AdminAdapter(self.admin_site).render(request, "apply_again.html", context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Offer the button for an event that can be applied again."""
        event = kwargs.get("obj")
        if event is not None and is_applicable(event) and self.has_apply_again_permission(request):
            context |= {"apply_again_url": self._url("apply_again"), "back_url": request.get_full_path()}
        return super().render_change_form(request, context, *args, **kwargs)

    def _apply_again(self, request: HttpRequest) -> HttpResponse:
        """Apply the chosen events, and say what came of it."""
        if not self.has_apply_again_permission(request):
            raise PermissionDenied
        wanted = [key for key in request.POST.getlist("exotel_event")[:MOST] if _KEY.fullmatch(key)]
        if open_transaction() is not None:
            text = _("A middleware of this site has a transaction open, in which events cannot be applied.")
            self.message_user(request, text, messages.ERROR)
        else:
            found = list(self.get_queryset(request).filter(APPLICABLE, pk__in=wanted).order_by("pk"))
            self._report(request, _applied(found), chosen=len(wanted), found=len(found))
        back = request.POST.get("exotel_back", "")
        ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
        return HttpResponseRedirect(back if ours else self._url("changelist"))

    def _report(self, request: HttpRequest, events: list[CallEvent], *, chosen: int, found: int) -> None:
        for event in events:
            self.log_change(request, event, _("Applied again: %(result)s.") % {"result": _result(event.reason)})
        for reason, count in sorted(Counter(event.reason for event in events).items()):
            self.message_user(request, _told(reason, count), messages.WARNING if reason else messages.SUCCESS)
        if len(events) < found:
            text = _("It took too long: %(count)d events were not begun. Apply them again.")
            self.message_user(request, text % {"count": found - len(events)}, messages.WARNING)
        if found < chosen or not found:
            self.message_user(request, _("What had been applied meanwhile was left alone."), messages.INFO)

    def _url(self, name: str) -> str:
        return reverse(f"admin:exotel_ccm_callevent_{name}", current_app=self.admin_site.name)


def _applied(events: Iterable[CallEvent]) -> list[CallEvent]:
    """Apply the events for a while, and return as they are now those that were begun."""
    until = time.monotonic() + PATIENCE
    return [apply_again(event) for event in events if time.monotonic() < until]


def _result(reason: str) -> str:
    return _("not applied, %(reason)s") % {"reason": EventReason(reason).label} if reason else _("applied")


def _told(reason: str, count: int) -> str:
    if not reason:
        return ngettext("%(count)d event was applied.", "%(count)d events were applied.", count) % {"count": count}
    return ngettext(
        "%(count)d event was not applied: %(reason)s.", "%(count)d events were not applied: %(reason)s.", count
    ) % {"count": count, "reason": EventReason(reason).label}


def _left_out(events: Any) -> Iterable[str]:
    """Yield why some of the chosen events are not applied again; counts no further than the lists do."""
    applied = events.filter(reason="").order_by()[:COUNTED].count()
    if applied:
        text = ngettext("%(count)d event is applied already.", "%(count)d events are applied already.", applied)
        yield text % {"count": applied}
    unverified = events.exclude(APPLICABLE).exclude(reason="").order_by()[:COUNTED].count()
    if unverified:
        yield ngettext(
            "%(count)d event came to the account's own URL and is not verified: Call Details decides.",
            "%(count)d events came to the account's own URL and are not verified: Call Details decides.",
            unverified,
        ) % {"count": unverified}


def _prospects(events: list[CallEvent]) -> list[tuple[CallEvent, str]]:
    """Return each event with what will happen to it."""
    named = [event.reference for event in events if event.reference is not None]
    known = set(CallRecord.objects.filter(reference__in=named).values_list("reference", flat=True))
    return [(event, _prospect(event, known=event.reference in known)) for event in events]


def _prospect(event: CallEvent, *, known: bool) -> str:
    if not known:
        return _("Its call is still not known: it stays as it is.")
    if event.reason == EventReason.ANOTHER_CALL:
        return _("It is decided anew whether it is of this call.")
    if not event.is_readable and event.purged_at is not None:
        return _("Its raw body was emptied, so nothing can be read: it stays as it is.")
    if not event.is_readable:
        return _("Its raw body is read anew.")
    return _("Its call is known now: it is linked and applied.")
