"""Events: what Exotel sent, to the byte, what was read of it, and "Apply again"."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, ngettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.admin.confirmed_action import TIME_LIMIT, ConfirmedActionMixin
from django_exotel_ccm.admin.lists import COUNTED, action
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin, masked_column
from django_exotel_ccm.choices import EventReason, Permission
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services.replay import REPROCESSABLE, reprocess


@admin.register(CallEvent)
class CallEventAdmin(ConfirmedActionMixin, ReadOnlyAdmin):
    """Events, the newest first; those that were not applied are one filter away."""

    list_display = ["received_at", "kind", "event", "reason", "call", "authentication", "account", "verdict", "code"]
    list_filter = ["kind", "reason", "received_at"]
    list_select_related = ["call"]
    search_fields = ["=reference", "=request_id", "=fingerprint"]
    ordering = ["-received_at", "-pk"]
    sortable_by = ("received_at",)
    actions = ["apply_again"]
    action_name = "apply_again"
    action_label = _("Apply again")
    action_permission = Permission.CHANGE_EVENT
    explanation = _(
        "Each event below is read by today's rules and joined with the other events of its call. "
        "What changes is announced."
    )
    too_many = _(
        "Choose at most %(max)d events that were not applied. All whose call is known now are applied by: "
        "python manage.py exotel_replay --apply"
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        """Do not load the bodies for the list."""
        return super().get_queryset(request).defer("raw", "facts", "call__facts")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show what came, what was read of it, and the raw body."""
        advice = masked_column(
            request, "advice_shown", pgettext_lazy("telephony", "advice"), lambda event: event.advice
        )
        opening = ["received_at", "kind", "event", "call", "reference", "authentication", "account", "reason"]
        body = ["http_status", "request_id", "tries", "content_type", _raw(request), "fingerprint"]
        return [
            (None, {"fields": opening}),
            (_("What it says"), {"fields": [_facts(request), "verdict", "code", advice]}),
            (_("As it came"), {"fields": body}),
        ]

    @action(_("Apply again"), "confirmed")
    def apply_again(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Ask for a confirmation. Changes nothing."""
        return self.ask_to_confirm(request, queryset)

    def eligible_rows(self, rows: Any) -> Any:
        """Return the events that were not applied and can be."""
        return rows.filter(REPROCESSABLE)

    def preview(self, request: HttpRequest, rows: list[Any]) -> Iterable[tuple[Any, str, str]]:
        """Yield each event with what will happen to it."""
        references = [event.reference for event in rows if event.reference is not None]
        known = set(CallRecord.objects.filter(reference__in=references).values_list("reference", flat=True))
        for event in rows:
            parts = [display_for_value(event.received_at, "-"), event.get_kind_display(), event.event]
            name = " · ".join(filter(None, [*parts, event.get_reason_display()]))
            yield event, name, _expected_result(event, is_call_known=event.reference in known)

    def left_out(self, rows: Any) -> Iterable[str]:
        """Yield how many events cannot be applied, and why; counts no further than the lists do."""
        applied = rows.filter(reason="").order_by()[:COUNTED].count()
        if applied:
            text = ngettext("%(count)d event is applied already.", "%(count)d events are applied already.", applied)
            yield text % {"count": applied}
        unverified = rows.exclude(REPROCESSABLE).exclude(reason="").order_by()[:COUNTED].count()
        if unverified:
            yield ngettext(
                "%(count)d event came to the account's own URL and is not verified: Call Details decides.",
                "%(count)d events came to the account's own URL and are not verified: Call Details decides.",
                unverified,
            ) % {"count": unverified}

    def run_and_report(self, request: HttpRequest, keys: list[str]) -> None:
        """Apply the events until the time limit, and report the result."""
        found = list(self.eligible_rows(self.get_queryset(request).filter(pk__in=keys)).order_by("pk"))
        until = time.monotonic() + TIME_LIMIT
        events = [reprocess(event) for event in found if time.monotonic() < until]
        for event in events:
            self.log_change(request, event, gettext("Applied again: %(result)s.") % {"result": _result(event.reason)})
        for reason, count in sorted(Counter(event.reason for event in events).items()):
            self.message_user(request, _report(reason, count), messages.WARNING if reason else messages.SUCCESS)
        if len(events) < len(found):
            left = len(found) - len(events)
            text = ngettext(
                "It took too long: %(count)d event was not begun. Apply it again.",
                "It took too long: %(count)d events were not begun. Apply them again.",
                left,
            )
            self.message_user(request, text % {"count": left}, messages.WARNING)
        if len(found) < len(keys) or not found:
            self.message_user(request, _("Events that had been applied meanwhile were left alone."), messages.INFO)


def _result(reason: str) -> str:
    if not reason:
        return pgettext("telephony", "applied")
    return gettext("not applied, %(reason)s") % {"reason": EventReason(reason).label}


def _report(reason: str, count: int) -> str:
    if not reason:
        return ngettext("%(count)d event was applied.", "%(count)d events were applied.", count) % {"count": count}
    return ngettext(
        "%(count)d event was not applied: %(reason)s.", "%(count)d events were not applied: %(reason)s.", count
    ) % {"count": count, "reason": EventReason(reason).label}


def _expected_result(event: CallEvent, *, is_call_known: bool) -> str:
    if not is_call_known:
        return gettext("Its call is still not known, so it stays as it is.")
    if event.reason == EventReason.ANOTHER_CALL:
        return gettext("It is checked again whether it belongs to this call.")
    if not event.is_readable and event.purged_at is not None:
        return gettext("Its raw body was emptied, so nothing can be read, and it stays as it is.")
    if not event.is_readable:
        return gettext("Its raw body is read again.")
    return gettext("Its call is known now, so it is linked and applied.")


def _raw(request: HttpRequest) -> Callable[[Any], str]:
    def text(event: CallEvent) -> str:
        if event.purged_at is not None:
            return str(_("emptied on %(time)s") % {"time": display_for_value(event.purged_at, "-")})
        return bytes(event.raw).decode("utf-8", "replace")

    return masked_column(request, "raw_body", _("raw body"), text, keep=True)


def _facts(request: HttpRequest) -> Callable[[Any], str]:
    def text(event: CallEvent) -> str:
        return json.dumps(event.facts, indent=2, ensure_ascii=False) if event.facts else ""

    return masked_column(request, "facts_read", pgettext_lazy("telephony", "facts"), text, keep=True)
