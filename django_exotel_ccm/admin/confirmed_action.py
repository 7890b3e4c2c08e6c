"""Actions that first show what they will do, then run outside of transactions, and report the result."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.services.transactions import exempt_from_atomic_requests, open_transaction

if TYPE_CHECKING:
    _Base = admin.ModelAdmin
else:
    _Base = object

MAX_AT_ONCE = 100
TIME_LIMIT = 20.0  # seconds, after which no further row is begun, because people wait for the page
_KEY = re.compile(r"[0-9]{1,18}")


class ConfirmedActionMixin(_Base):
    """Adds one action: on the list with a page that asks for a confirmation, on a row's own page as a button.

    The subclass has a method called :attr:`action_name`, an admin action that returns :meth:`ask_to_confirm`.
    """

    change_form_template = "exotel_ccm/admin/confirmed_change_form.html"
    action_name: str
    action_label: Any
    action_permission: Permission
    explanation: Any
    """What the page that asks for the confirmation says first."""
    too_many: Any
    """What is said when more than ``%(max)d`` rows are chosen."""

    def eligible_rows(self, rows: Any) -> Any:
        """Return those of a queryset to which the action applies."""
        raise NotImplementedError

    def preview(self, request: HttpRequest, rows: list[Any]) -> Iterable[tuple[Any, str, str]]:
        """Yield for each eligible row: the row, its name, and what will happen to it."""
        raise NotImplementedError

    def left_out(self, rows: Any) -> Iterable[str]:
        """Yield in sentences which of the chosen rows the action does not apply to."""
        raise NotImplementedError

    def run_and_report(self, request: HttpRequest, keys: list[str]) -> None:
        """Apply the action to the eligible ones of the rows with these keys, and show the user the result."""
        raise NotImplementedError

    def has_confirmed_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may run the action."""
        return self.has_view_permission(request) and self.action_permission.granted_to(request.user)

    def get_urls(self) -> list[URLPattern]:
        """Add a view that is exempt from transactions: the admin's own views run in one, so they can commit nothing."""
        pressed = require_http_methods(["GET", "POST"])(self._run)
        view = exempt_from_atomic_requests(self.admin_site.admin_view(pressed))
        return [path(f"{self.action_name.replace('_', '-')}/", view, name=self._url_name()), *super().get_urls()]

    def ask_to_confirm(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Show what the action will do to the chosen rows. Changes nothing."""
        eligible = list(self.eligible_rows(queryset).order_by("pk")[: MAX_AT_ONCE + 1])
        if len(eligible) > MAX_AT_ONCE:
            self.message_user(request, self.too_many % {"max": MAX_AT_ONCE}, messages.WARNING)
            return None
        context = self._context(request) | {
            "title": self.action_label,
            "opts": self.opts,
            "list_url": self._list_url(),
            "explanation": self.explanation,
            "rows": list(self.preview(request, eligible)),
            "left_out": list(self.left_out(queryset)),
        }
        return AdminAdapter(self.admin_site).render(request, "confirm.html", context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add the button for a row to which the action applies."""
        this = self.get_queryset(request).filter(pk=getattr(kwargs.get("obj"), "pk", None))
        if self.has_confirmed_permission(request) and self.eligible_rows(this).exists():
            context |= self._context(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def _run(self, request: HttpRequest) -> HttpResponse:
        if not self.has_confirmed_permission(request):
            raise PermissionDenied
        if request.method == "GET":
            return not_pressed(self, request, self._list_url())
        if open_transaction() is not None:
            text = _("A middleware of this site has a transaction open, in which nothing can be committed.")
            self.message_user(request, text, messages.ERROR)
        else:
            keys = request.POST.getlist("exotel_row")[:MAX_AT_ONCE]
            self.run_and_report(request, [key for key in keys if _KEY.fullmatch(key)])
        back = request.POST.get("exotel_back", "")
        ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
        return HttpResponseRedirect(back if ours else self._list_url())

    def _context(self, request: HttpRequest) -> dict[str, Any]:
        action_url = reverse(f"admin:{self._url_name()}", current_app=self.admin_site.name)
        return {"action_label": self.action_label, "action_url": action_url, "back_url": request.get_full_path()}

    def _url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{self.action_name}"

    def _list_url(self) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return reverse(name, current_app=self.admin_site.name)


def not_pressed(model_admin: admin.ModelAdmin, request: HttpRequest, list_url: str) -> HttpResponse:
    """Return the answer to a GET where a button posts to: the list, which says that nothing was done.

    A login page leads there when the session had ended before the press.
    """
    model_admin.message_user(request, _("Nothing was done. Press again."), messages.WARNING)
    return HttpResponseRedirect(list_url)
