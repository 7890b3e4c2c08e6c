"""Announcements: to which receivers they were delivered, how the others failed, and "Try now"."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import Truncator
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin, masked, seen, verbatim
from django_exotel_ccm.choices import AnnouncementState, Permission
from django_exotel_ccm.models import Announcement
from django_exotel_ccm.services.announcements.dispatch import deliver_pending, retry_now
from django_exotel_ccm.services.transactions import exempt_from_atomic_requests, open_transaction

_ = gettext_lazy

MAX_AT_ONCE = 100
TIME_LIMIT = 20.0  # seconds, after which no further call is begun: people wait for the page
MAX_MESSAGES = 5  # one for each announcement that is still pending
_KEY = re.compile(r"[0-9]{1,18}")
OVER = (AnnouncementState.DONE, AnnouncementState.SUPERSEDED)


class TriedAgainFilter(admin.SimpleListFilter):
    """Failed announcements: with a planned retry, or abandoned until somebody presses "Try now"."""

    title = _("next try")
    parameter_name = "tried_again"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both kinds."""
        return [("yes", _("Planned after a failure")), ("no", _("Abandoned"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the chosen kind, by the state, which has an index."""
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(state=AnnouncementState.FAILED, next_try_at__isnull=self.value() == "no")


@admin.register(Announcement)
class AnnouncementAdmin(ReadOnlyAdmin):
    """Announcements, the newest first."""

    list_filter = ["state", TriedAgainFilter, "signal"]
    list_select_related = ["call"]
    ordering = ["-pk"]
    actions = ["try_now"]
    change_form_template = "exotel_ccm/admin/announcement.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        """Do not load the calls' facts."""
        return super().get_queryset(request).defer("call__facts")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show which receivers failed, with which error, and when they are called again."""
        failures = masked(request, "failures", _("failed receivers"), _failures)
        return ["created_at", "signal", "state", failures, "next_try_at", "attempts", "call"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show what was announced, and the delivery to each receiver."""
        return ["created_at", "signal", "call", "event", "state", "next_try_at", "changed", _receivers(request)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return self.get_fields(request, obj)

    @admin.display(description=_("attempts"))
    def attempts(self, announcement: Announcement) -> int:
        """The number of calls of the receiver that was called most often."""
        return max((delivery["attempts"] for delivery in announcement.receivers), default=0)

    def has_try_now_permission(self, request: HttpRequest) -> bool:
        """Return True if the user may have receivers called, which the permission to change announcements allows."""
        return self.has_view_permission(request) and Permission.CHANGE_ANNOUNCEMENT.granted_to(request.user)

    def get_urls(self) -> list[URLPattern]:
        """Add a view outside of transactions: the admin's own views run in one, where nothing can be committed."""
        view = exempt_from_atomic_requests(self.admin_site.admin_view(require_POST(self._try_now)))
        return [path("try-now/", view, name="exotel_ccm_announcement_try_now"), *super().get_urls()]

    @admin.action(description=_("Try now"), permissions=["try_now"])
    def try_now(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Ask for a confirmation. Calls no receiver."""
        chosen = list(queryset.order_by("pk")[: MAX_AT_ONCE + 1])
        if len(chosen) > MAX_AT_ONCE:
            text = _("Choose at most %(max)d announcements at once.") % {"max": MAX_AT_ONCE}
            self.message_user(request, text, messages.WARNING)
            return None
        context = {
            "title": _("Try now"),
            "opts": self.opts,
            "list_url": self._list_url(),
            "back_url": request.get_full_path(),
            "try_now_url": self._url("try_now"),
            "tried": [(one, _failures_seen(request, one)) for one in chosen if one.state not in OVER],
            "left_out": [one for one in chosen if one.state in OVER],
        }
        return AdminAdapter(self.admin_site).render(request, "try_now.html", context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Offer "Try now" for an announcement that is not delivered to everybody."""
        announcement = kwargs.get("obj")
        if announcement is not None and announcement.state not in OVER and self.has_try_now_permission(request):
            context |= {"try_now_url": self._url("try_now"), "back_url": request.get_full_path()}
        return super().render_change_form(request, context, *args, **kwargs)

    def _try_now(self, request: HttpRequest) -> HttpResponse:
        """Deliver the chosen announcements, and report the result."""
        if not self.has_try_now_permission(request):
            raise PermissionDenied
        wanted = [key for key in request.POST.getlist("exotel_announcement")[:MAX_AT_ONCE] if _KEY.fullmatch(key)]
        if open_transaction() is not None:
            text = _("A middleware of this site has a transaction open, in which receivers cannot be called.")
            self.message_user(request, text, messages.ERROR)
        else:
            found = self.get_queryset(request).filter(pk__in=wanted).exclude(state__in=OVER)
            tried = list(found.order_by("pk").values_list("pk", flat=True))
            _deliver(tried)
            self._report(request, self.get_queryset(request).filter(pk__in=tried).select_related("call").order_by("pk"))
        back = request.POST.get("exotel_back", "")
        ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
        return HttpResponseRedirect(back if ours else self._list_url())

    def _report(self, request: HttpRequest, announcements: Iterable[Announcement]) -> None:
        over: list[Announcement] = []
        pending: list[Announcement] = []
        for announcement in announcements:
            self.log_change(request, announcement, gettext("Tried now."))
            (over if announcement.state in OVER else pending).append(announcement)
        if over:
            text = ngettext("%(count)d announcement is done.", "%(count)d announcements are done.", len(over))
            self.message_user(request, text % {"count": len(over)}, messages.SUCCESS)
        for announcement in pending[:MAX_MESSAGES]:
            failures = Truncator(_failures_seen(request, announcement)).chars(300)
            text = failures or gettext("It waits for an earlier announcement, or is being delivered.")
            text = f"{announcement.get_signal_display()} · {announcement.call}: {text}"
            self.message_user(request, text, messages.WARNING)
        more = len(pending) - MAX_MESSAGES
        if more > 0:
            text = ngettext("And %(count)d more.", "And %(count)d more.", more) % {"count": more}
            self.message_user(request, text, messages.WARNING)
        if not over and not pending:
            self.message_user(request, _("They had been delivered already."), messages.INFO)

    def _list_url(self) -> str:
        return self._url("changelist")

    def _url(self, name: str) -> str:
        return reverse(f"admin:exotel_ccm_announcement_{name}", current_app=self.admin_site.name)


def _deliver(announcements: list[int]) -> None:
    """Deliver until the time limit. The rest is due, so ``exotel_reconcile`` delivers it."""
    until = time.monotonic() + TIME_LIMIT
    calls = dict.fromkeys([retry_now(pk) for pk in announcements])
    for call in calls:
        if time.monotonic() > until:
            return
        deliver_pending(call)


def _failures(announcement: Announcement) -> str:
    failed = [delivery for delivery in announcement.receivers if delivery["error"]]
    return "; ".join(f"{delivery['receiver']}: {delivery['error']}" for delivery in failed)


def _failures_seen(request: HttpRequest, announcement: Announcement) -> str:
    return seen(_failures(announcement), request)


def _receivers(request: HttpRequest) -> Callable[[Any], str]:
    """Return the field that shows each delivery: its result, or its error and traceback."""

    @admin.display(description=_("receivers"))
    def receivers(announcement: Announcement) -> str:
        rows = (
            (
                delivery["receiver"],
                seen(delivery["error"], request) or (_("delivered") if delivery["delivered"] else _("pending")),
                verbatim(seen(delivery["traceback"], request)),
            )
            for delivery in announcement.receivers
        )
        nobody = _("No receiver is connected.") if announcement.state in OVER else _("Not looked up yet.")
        return format_html_join("", "<p><strong>{}</strong>: {}</p>{}", rows) or str(nobody)

    return receivers
