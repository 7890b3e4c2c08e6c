"""The do-not-call list, and its import."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models, router
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.agents import NumberField
from django_exotel_ccm.admin.lists import BoundedPaginator, OfferedLookupsAdmin
from django_exotel_ccm.admin.readonly import IndexedChangeList, masked_column
from django_exotel_ccm.choices import DoNotCallSource, Permission
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.local_time import to_local
from django_exotel_ccm.models import DoNotCall
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services.do_not_call import add_do_not_call, lasts_longer
from django_exotel_ccm.services.do_not_call_import import (
    MAX_BYTES,
    ImportReport,
    UnreadableFile,
    import_do_not_call,
)
from django_exotel_ccm.services.transactions import exempt_from_atomic_requests

SHOWN_LINES = 1_000
"""How many lines that were not read the page shows."""


class InForceFilter(admin.SimpleListFilter):
    """Entries that hold, and those that have expired."""

    title = _("in force")
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both."""
        return [("yes", _("Not to be called")), ("no", pgettext_lazy("telephony", "Expired"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the chosen entries."""
        holds = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        match self.value():
            case "yes":
                return queryset.filter(holds)
            case "no":
                return queryset.exclude(holds)
        return queryset


class ImportForm(forms.Form):
    """The file of an import."""

    file = forms.FileField(
        label=_("CSV file"),
        help_text=_(
            "Numbers in the first column, or below headings such as “number” and “mobile”. Columns “reason” and "
            "“expires” (2027-01-31) may stand beside it."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
    )

    def clean_file(self) -> Any:
        """Refuse a file that is too large before it is read."""
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise forms.ValidationError(_("The file is too large. Import it in several parts."))
        return file


class DoNotCallForm(forms.ModelForm):
    """An entry. A new one may take the place of one that does not last as long, as it does everywhere."""

    replaced_until: datetime.datetime | None = None
    """When the entry expires whose place the new one takes; None if there is none."""

    def clean(self) -> dict[str, Any] | None:
        """Take the entry of a number that is to stay on the list for longer; another one counts as a duplicate."""
        if self.instance.pk is None and not self.errors:
            wanted = DoNotCall(number=self.cleaned_data["number"], expires_at=self.cleaned_data["expires_at"])
            entries = DoNotCall.objects.using(router.db_for_write(DoNotCall))
            known = entries.filter(number=wanted.number).first()
            if known is not None and (not known.is_in_force or lasts_longer(wanted, known)):
                self.replaced_until, self.instance = known.expires_at, known
        return super().clean()


@admin.register(DoNotCall)
class DoNotCallAdmin(OfferedLookupsAdmin):
    """Numbers that are not called, the newest first."""

    form = DoNotCallForm
    list_filter = [InForceFilter, "source", "created_at"]
    list_select_related = ["created_by"]
    ordering = ["-created_at"]
    sortable_by = ("created_at", "expires_at")
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "exotel_ccm/admin/do_not_call_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that no address can have sorted without an index."""
        return IndexedChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show numbers as this user may see them."""
        return [self._number(request), "expires_at", "source", self._reason(request), "created_at", "created_by"]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Search only for users who may see numbers: a search that finds one tells it."""
        return ["number", "reason"] if Permission.VIEW_NUMBER.granted_to(request.user) else []

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Find a number in any spelling."""
        if search_term and Permission.VIEW_NUMBER.granted_to(request.user):
            try:
                return queryset.filter(number=parse_number(search_term)), False
            except InvalidNumber:
                pass
        return super().get_search_results(request, queryset, search_term)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for the number when it is added; it is not changed afterwards."""
        if obj is None:
            return ["number", "reason", "expires_at"]
        return [
            self._number(request),
            *self._reason_fields(request),
            "expires_at",
            "source",
            "created_at",
            "created_by",
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show how the entry came here, and the reason where its numbers are masked."""
        if obj is None:
            return ()
        masked = [one for one in self._reason_fields(request) if callable(one)]
        return [self._number(request), *masked, "source", "created_at", "created_by"]

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """Accept numbers as people write them."""
        if db_field.name == "number":
            label = capfirst(db_field.verbose_name)
            return NumberField(label=label, help_text=db_field.help_text, max_length=64)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Add a new one as everywhere; note who has typed it, and say what was there before."""
        if change:
            super().save_model(request, obj, form, change)
            return
        given = {name: getattr(obj, name) for name in ("number", "reason", "expires_at")}
        obj.pk = add_do_not_call(**given, source=DoNotCallSource.TYPED, created_by=request.user).pk
        if form.replaced_until is not None:
            sees = Permission.VIEW_NUMBER.granted_to(request.user) and self.has_view_permission(request)
            self.message_user(request, _replaced(form.replaced_until if sees else None, obj), messages.INFO)

    def _number(self, request: HttpRequest) -> Callable[[Any], str]:
        """Return the masked number."""
        return self._masked(request, "number", pgettext_lazy("telephony", "number"))

    def _reason(self, request: HttpRequest) -> Callable[[Any], str]:
        """Return the reason, in which people write numbers too, masked."""
        return self._masked(request, "reason", pgettext_lazy("telephony", "reason"))

    def _reason_fields(self, request: HttpRequest) -> list[Any]:
        """Return the field of the reason on the form: as it is for users who may see numbers, else masked."""
        return ["reason" if Permission.VIEW_NUMBER.granted_to(request.user) else self._reason(request)]

    def _masked(self, request: HttpRequest, name: str, label: Any) -> Callable[[Any], str]:
        """Return the masked column, the same one for a whole request: Django compares the fields of a form."""
        columns: dict[str, Callable[[Any], str]] = vars(request).setdefault("_exotel_columns", {})
        if name not in columns:
            columns[name] = masked_column(request, f"shown_{name}", label, attrgetter(name))
        return columns[name]

    # The import.

    def get_urls(self) -> list[URLPattern]:
        """Add the import, which commits by itself."""
        view = exempt_from_atomic_requests(self.admin_site.admin_view(self.import_view))
        return [path("import/", view, name="exotel_ccm_donotcall_import"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Link to the import."""
        url = self._url("import") if self.has_add_permission(request) else ""
        return super().changelist_view(request, {"import_url": url, **(extra_context or {})})

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Take a file, and say what became of each of its lines."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        report = self._import(request, form) if request.method == "POST" and form.is_valid() else None
        context = {
            "title": gettext("Import do-not-call numbers"),
            "opts": self.opts,
            "list_url": self._url("changelist"),
            "form": form,
            "report": _described(report) if report is not None else None,
        }
        return AdminAdapter(self.admin_site).render(request, "import_do_not_call.html", context)

    def _import(self, request: HttpRequest, form: ImportForm) -> ImportReport | None:
        try:
            return import_do_not_call(form.cleaned_data["file"].read(), created_by=request.user)
        except UnreadableFile as error:
            form.add_error("file", str(error))
            return None

    def _url(self, name: str) -> str:
        return reverse(f"admin:exotel_ccm_donotcall_{name}", current_app=self.admin_site.name)


def _replaced(until: datetime.datetime | None, new: DoNotCall) -> str:
    """Say until when a number was on the list, None for users who may not know it, and until when it is on it now."""
    was, now = gettext("The number was on the list before."), gettext("It is on it for ever now.")
    if until is not None:
        was = gettext("The number was on the list until %(date)s.") % {"date": _date_of(until)}
    if new.expires_at is not None:
        now = gettext("It is on it until %(date)s now.") % {"date": _date_of(new.expires_at)}
    return f"{was} {now}"


def _date_of(moment: datetime.datetime) -> str:
    return date_format(to_local(moment), "DATETIME_FORMAT")


def _described(report: ImportReport) -> dict[str, Any]:
    """Return the report in sentences."""
    unread = len(report.unread)
    counts = [
        (report.added, ngettext("%(count)d number added", "%(count)d numbers added", report.added)),
        (
            report.extended,
            ngettext(
                "%(count)d number was on the list and stays on it for longer now",
                "%(count)d numbers were on the list and stay on it for longer now",
                report.extended,
            ),
        ),
        (
            report.known,
            ngettext(
                "%(count)d number was on the list already", "%(count)d numbers were on the list already", report.known
            ),
        ),
        (
            report.repeated,
            ngettext(
                "%(count)d line repeats the number of another",
                "%(count)d lines repeat the number of another",
                report.repeated,
            ),
        ),
        (unread, ngettext("%(count)d line was not read", "%(count)d lines were not read", unread)),
    ]
    return {
        "said": [text % {"count": count} for count, text in counts if count],
        "unread": report.unread[:SHOWN_LINES],
        "has_more": unread > SHOWN_LINES,
    }
