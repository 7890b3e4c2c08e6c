"""Announcements: to which receivers they were delivered, how the others failed, and "Try now"."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext_lazy

from django_exotel_ccm.admin.confirmed_action import MAX_AT_ONCE, TIME_LIMIT, ConfirmedActionMixin
from django_exotel_ccm.admin.lists import action
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin, masked_column, masked_text, verbatim
from django_exotel_ccm.choices import AnnouncementState, Permission
from django_exotel_ccm.models import Announcement
from django_exotel_ccm.services.announcements.dispatch import deliver_pending, retry_now

_ = gettext_lazy

MAX_MESSAGES = 5  # one for each announcement that is still pending
OVER = (AnnouncementState.DONE, AnnouncementState.SUPERSEDED)


class TriedAgainFilter(admin.SimpleListFilter):
    """Failed announcements: with a planned retry, or abandoned until somebody presses "Try now"."""

    title = _("next try")
    parameter_name = "tried_again"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both kinds."""
        return [("yes", _("Planned after a failure")), ("no", pgettext_lazy("telephony", "Abandoned"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the chosen kind, by the state, which has an index."""
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(state=AnnouncementState.FAILED, next_try_at__isnull=self.value() == "no")


@admin.register(Announcement)
class AnnouncementAdmin(ConfirmedActionMixin, ReadOnlyAdmin):
    """Announcements, the newest first."""

    list_filter = ["state", TriedAgainFilter, "signal"]
    list_select_related = ["call"]
    ordering = ["-pk"]
    actions = ["try_now"]
    action_name = "try_now"
    action_label = _("Try now")
    action_permission = Permission.CHANGE_ANNOUNCEMENT
    explanation = _(
        "Each receiver below that has not received its announcement is called now, after those of the same call's "
        "earlier announcements. This does their work: a ticket may change, a mail may be sent."
    )
    too_many = _("Choose at most %(max)d announcements at once.")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Do not load the calls' facts."""
        return super().get_queryset(request).defer("call__facts")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show which receivers failed, with which error, and when they are called again."""
        failures = masked_column(request, "failures", _("failed receivers"), _failures)
        return ["created_at", "signal", "state", failures, "next_try_at", "attempts", "call"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show what was announced, and the delivery to each receiver."""
        return ["created_at", "signal", "call", "event", "state", "next_try_at", "changed", _receivers(request)]

    @admin.display(description=pgettext_lazy("telephony", "attempts"))
    def attempts(self, announcement: Announcement) -> int:
        """The number of calls of the receiver that was called most often."""
        return max((delivery["attempts"] for delivery in announcement.receivers), default=0)

    @action(_("Try now"), "confirmed")
    def try_now(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Ask for a confirmation. Calls no receiver."""
        return self.ask_to_confirm(request, queryset)

    def eligible_rows(self, rows: Any) -> Any:
        """Return the announcements that are not delivered to everybody."""
        return rows.exclude(state__in=OVER)

    def preview(self, request: HttpRequest, rows: list[Any]) -> Iterable[tuple[Any, str, str]]:
        """Yield each announcement with the errors of its receivers."""
        for one in rows:
            yield one, _name(one), _failures_seen(request, one)

    def left_out(self, rows: Any) -> Iterable[str]:
        """Yield the announcements that are over."""
        return [f"{_name(one)}: {one.get_state_display()}" for one in rows.filter(state__in=OVER)[:MAX_AT_ONCE]]

    def run_and_report(self, request: HttpRequest, keys: list[str]) -> None:
        """Deliver the announcements, and report the result."""
        found = self.eligible_rows(self.get_queryset(request).filter(pk__in=keys))
        tried = list(found.order_by("pk").values_list("pk", flat=True))
        _deliver(tried)
        self._report(request, self.get_queryset(request).filter(pk__in=tried).select_related("call").order_by("pk"))

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
            self.message_user(request, f"{_name(announcement)}: {text}", messages.WARNING)
        more = len(pending) - MAX_MESSAGES
        if more > 0:
            text = ngettext("And %(count)d more.", "And %(count)d more.", more) % {"count": more}
            self.message_user(request, text, messages.WARNING)
        if not over and not pending:
            self.message_user(request, _("They had been delivered already."), messages.INFO)


def _deliver(announcements: list[int]) -> None:
    """Deliver until the time limit. The rest is due, so ``exotel_reconcile`` delivers it."""
    until = time.monotonic() + TIME_LIMIT
    calls = dict.fromkeys([retry_now(pk) for pk in announcements])
    for call in calls:
        if time.monotonic() > until:
            return
        deliver_pending(call)


def _name(announcement: Announcement) -> str:
    return f"{announcement.get_signal_display()} · {announcement.call}"


def _failures(announcement: Announcement) -> str:
    failed = [delivery for delivery in announcement.receivers if delivery["error"]]
    return "; ".join(f"{delivery['receiver']}: {delivery['error']}" for delivery in failed)


def _failures_seen(request: HttpRequest, announcement: Announcement) -> str:
    return masked_text(_failures(announcement), request)


def _receivers(request: HttpRequest) -> Callable[[Any], str]:
    """Return the field that shows each delivery: its result, or its error and traceback."""

    @admin.display(description=pgettext_lazy("telephony", "receivers"))
    def receivers(announcement: Announcement) -> str:
        rows = (
            (
                delivery["receiver"],
                masked_text(delivery["error"], request)
                or (
                    pgettext_lazy("telephony", "delivered")
                    if delivery["delivered"]
                    else pgettext_lazy("telephony", "pending")
                ),
                verbatim(masked_text(delivery["traceback"], request)),
            )
            for delivery in announcement.receivers
        )
        nobody = _("No receiver is connected.") if announcement.state in OVER else _("Not looked up yet.")
        return format_html_join("", "<p><strong>{}</strong>: {}</p>{}", rows) or str(nobody)

    return receivers
