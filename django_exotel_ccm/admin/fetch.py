""" "Fetch from Exotel" on the lists of agents and ExoPhones: a run of exotel_sync, as far as a person waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from django_exotel_ccm import accounts
from django_exotel_ccm.admin.confirmed_action import TIME_LIMIT, not_pressed
from django_exotel_ccm.services.synchronisation.runs import RunOptions, SyncReport
from django_exotel_ccm.services.transactions import exempt_from_atomic_requests, open_transaction

if TYPE_CHECKING:
    _Base = admin.ModelAdmin
else:
    _Base = object

MOST_MESSAGES = 10


class FetchMixin(_Base):
    """Adds a button to the list that fetches its rows from Exotel, outside of transactions."""

    change_list_template = "exotel_ccm/admin/fetched_list.html"
    fetch_label: Any
    sync: Callable[[str, RunOptions], SyncReport]
    """A static method."""

    def has_fetch_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may do by hand what a run does."""
        return self.has_add_permission(request) and self.has_change_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """Add a view that is exempt from transactions: none may be open while Exotel is asked."""
        pressed = require_http_methods(["GET", "POST"])(self._fetch)
        view = exempt_from_atomic_requests(self.admin_site.admin_view(pressed))
        return [path("fetch/", view, name=f"{self._url_prefix}_fetch"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the button to who may press it."""
        context = dict(extra_context or {})
        if self.has_fetch_permission(request):
            context |= {"fetch_url": self._url("fetch"), "fetch_label": self.fetch_label}
        return super().changelist_view(request, context)

    @property
    def _url_prefix(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def _url(self, name: str) -> str:
        return reverse(f"admin:{self._url_prefix}_{name}", current_app=self.admin_site.name)

    def _fetch(self, request: HttpRequest) -> HttpResponse:
        if not self.has_fetch_permission(request):
            raise PermissionDenied
        if request.method == "GET":
            return not_pressed(self, request, self._url("changelist"))
        if open_transaction() is not None:
            text = _("A middleware of this site has a transaction open, in which nothing can be committed.")
            self.message_user(request, text, messages.ERROR)
        else:
            try:
                self._fetch_all(request)
            except ImproperlyConfigured as error:
                self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(self._url("changelist"))

    def _fetch_all(self, request: HttpRequest) -> None:
        aliases = list(accounts.configured_accounts())
        if not aliases:
            accounts.get_account()  # its error says what to set
        until = time.monotonic() + TIME_LIMIT
        for alias in aliases:
            report = self.sync(alias, RunOptions(time_limit=max(0.1, until - time.monotonic())))
            self._show(request, report, f"{alias}: " if len(aliases) > 1 else "")
        self.show_afterwards(request)

    def _show(self, request: HttpRequest, report: SyncReport, account: str) -> None:
        text = _(
            "Fetched from Exotel: %(added)d added, %(changed)d changed, %(reactivated)d activated again, "
            "%(deactivated)d deactivated, %(unchanged)d as before."
        )
        level = messages.SUCCESS if report.is_complete else messages.WARNING
        self.message_user(request, account + text % vars(report), level)
        for problem in report.problems[:MOST_MESSAGES]:
            text = _("Not complete, so nobody was deactivated. %(problem)s")
            self.message_user(request, account + text % {"problem": problem}, messages.WARNING)
        for note in report.notes[:MOST_MESSAGES]:
            self.message_user(request, account + note, messages.INFO)
        left = len(report.notes) - MOST_MESSAGES
        if left > 0:
            text = ngettext("And %(count)d more of this kind.", "And %(count)d more of this kind.", left)
            self.message_user(request, account + text % {"count": left}, messages.INFO)

    def show_afterwards(self, request: HttpRequest) -> None:
        """Say what is left to do once all accounts were read."""
