"""Announcements: which receivers were told, how the others fail, and "Try now"."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import Truncator
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from django_exotel_ccm.admin.door import AdminDoor
from django_exotel_ccm.admin.history import HistoryAdmin, masked, seen, verbatim
from django_exotel_ccm.choices import AnnouncementState
from django_exotel_ccm.models import Announcement
from django_exotel_ccm.services.committing import open_transaction, outside_transactions
from django_exotel_ccm.services.fates import attempts_of, fates_of
from django_exotel_ccm.services.telling import take_up, tell_call

_ = gettext_lazy

MOST = 100
PATIENCE = 20.0  # seconds, after which no further call is begun: people wait for the page
_KEY = re.compile(r"[0-9]{1,18}")
TOLD_OF = 5  # announcements, each in a message of its own
OVER = (AnnouncementState.DONE, AnnouncementState.SUPERSEDED)


class TriedAgainFilter(admin.SimpleListFilter):
    """Failed announcements: those that are tried again by themselves, and those that wait for a person."""

    title = _("next try")
    parameter_name = "tried_again"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both kinds."""
        return [("yes", _("Planned after a failure")), ("no", _("Given up"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the chosen kind; by its state, which has an index."""
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(state=AnnouncementState.FAILED, next_try_at__isnull=self.value() == "no")


@admin.register(Announcement)
class AnnouncementAdmin(HistoryAdmin):
    """Announcements, the newest first; those with a failed receiver are one filter away."""

    list_filter = ["state", TriedAgainFilter, "signal"]
    list_select_related = ["call"]
    ordering = ["-pk"]
    actions = ["try_now"]
    change_form_template = "exotel_ccm/admin/announcement.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the calls' facts in the database."""
        return super().get_queryset(request).defer("call__facts")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show which receivers failed, how, and when they are called again."""
        failures = masked(request, "failures", _("failed receivers"), _failures)
        return ["created_at", "signal", "state", failures, "next_try_at", "attempts", "call"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Tell what was announced, and what became of each receiver."""
        return ["created_at", "signal", "call", "event", "state", "next_try_at", "changed", _receivers(request)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return self.get_fields(request, obj)

    @admin.display(description=_("attempts"))
    def attempts(self, announcement: Announcement) -> int:
        """How often its receivers were called."""
        return attempts_of(announcement)

    # Try now.

    def has_try_now_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may have receivers called: by the permission to change announcements."""
        codename = get_permission_codename("change", self.opts)
        return self.has_view_permission(request) and request.user.has_perm(f"{self.opts.app_label}.{codename}")

    def get_urls(self) -> list[URLPattern]:
        """Add a view of our own: Django's run in a transaction, in which nothing can be known to be committed."""
        view = outside_transactions(self.admin_site.admin_view(require_POST(self._try_now)))
        return [path("try-now/", view, name="exotel_ccm_announcement_try_now"), *super().get_urls()]

    @admin.action(description=_("Try now"), permissions=["try_now"])
    def try_now(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Ask before the chosen announcements are tried. Calls no receiver."""
        chosen = list(queryset.order_by("pk")[: MOST + 1])
        if len(chosen) > MOST:
            text = _("Choose at most %(most)d announcements at once.") % {"most": MOST}
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
        return AdminDoor(self.admin_site).render(request, "try_now.html", context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Offer to try an announcement now that is not over."""
        announcement = kwargs.get("obj")
        if announcement is not None and announcement.state not in OVER and self.has_try_now_permission(request):
            context |= {"try_now_url": self._url("try_now"), "back_url": request.get_full_path()}
        return super().render_change_form(request, context, *args, **kwargs)

    def _try_now(self, request: HttpRequest) -> HttpResponse:
        """Call the receivers that the chosen announcements are still to tell, and say what came of it."""
        if not self.has_try_now_permission(request):
            raise PermissionDenied
        wanted = [key for key in request.POST.getlist("exotel_announcement")[:MOST] if _KEY.fullmatch(key)]
        if open_transaction() is not None:
            text = _("A middleware of this site has a transaction open, in which receivers cannot be called.")
            self.message_user(request, text, messages.ERROR)
        else:
            found = self.get_queryset(request).filter(pk__in=wanted).exclude(state__in=OVER)
            tried = list(found.order_by("pk").values_list("pk", flat=True))
            _tell(tried)
            self._report(request, self.get_queryset(request).filter(pk__in=tried).select_related("call").order_by("pk"))
        back = request.POST.get("exotel_back", "")
        ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
        return HttpResponseRedirect(back if ours else self._list_url())

    def _report(self, request: HttpRequest, announcements: Iterable[Announcement]) -> None:
        over: list[Announcement] = []
        left: list[Announcement] = []
        for announcement in announcements:
            self.log_change(request, announcement, gettext("Tried now."))
            (over if announcement.state in OVER else left).append(announcement)
        if over:
            text = ngettext("%(count)d announcement is done.", "%(count)d announcements are done.", len(over))
            self.message_user(request, text % {"count": len(over)}, messages.SUCCESS)
        for announcement in left[:TOLD_OF]:
            failures = Truncator(_failures_seen(request, announcement)).chars(300)
            text = failures or gettext("It waits for an earlier one, or is being told.")
            said = f"{announcement.get_signal_display()} · {announcement.call}: {text}"
            self.message_user(request, said, messages.WARNING)
        if len(left) > TOLD_OF:
            text = ngettext("And %(count)d more.", "And %(count)d more.", len(left) - TOLD_OF)
            self.message_user(request, text % {"count": len(left) - TOLD_OF}, messages.WARNING)
        if not over and not left:
            self.message_user(request, _("Every receiver had been told already."), messages.INFO)

    def _list_url(self) -> str:
        return self._url("changelist")

    def _url(self, name: str) -> str:
        return reverse(f"admin:exotel_ccm_announcement_{name}", current_app=self.admin_site.name)


def _tell(announcements: list[int]) -> None:
    """Try the announcements for a while; what is not begun by then is due, and left to ``exotel_reconcile``."""
    until = time.monotonic() + PATIENCE
    calls = dict.fromkeys([take_up(pk) for pk in announcements])
    for call in calls:
        if time.monotonic() > until:
            return
        tell_call(call)


def _failures(announcement: Announcement) -> str:
    failed = [fate for fate in fates_of(announcement) if fate["error"]]
    return "; ".join(f"{fate['receiver']}: {fate['error']}" for fate in failed)


def _failures_seen(request: HttpRequest, announcement: Announcement) -> str:
    return seen(_failures(announcement), request)


def _receivers(request: HttpRequest) -> Callable[[Any], str]:
    """Return the column that shows each receiver: told, waiting, or its error and traceback."""

    @admin.display(description=_("receivers"))
    def receivers(announcement: Announcement) -> str:
        rows = (
            (
                fate["receiver"],
                seen(fate["error"], request) or (_("told") if fate["told"] else _("still to be told")),
                verbatim(seen(fate["traceback"], request)),
            )
            for fate in fates_of(announcement)
        )
        nobody = _("Nobody listens.") if announcement.state in OVER else _("Still to be found out.")
        return format_html_join("", "<p><strong>{}</strong>: {}</p>{}", rows) or str(nobody)

    return receivers
