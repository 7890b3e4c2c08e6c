"""Our own pages in the index of an admin site, above the models of this app, for those who may open them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from django_exotel_ccm.adapters import page_url
from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.reports.filters import SEE_FIGURES

APP = "exotel_ccm"


def my_calls_url(site: AdminSite, request: HttpRequest) -> str:
    """Return the address of "My calls" in the frame of ``site``; "" for users who may not call."""
    return _url(site, "my-calls") if Permission.PLACE_CALL.granted_to(request.user) else ""


def reports_url(site: AdminSite, request: HttpRequest) -> str:
    """Return the address of the report in the frame of ``site``; "" for users who may see no figures."""
    return _url(site, "reports") if any(one.granted_to(request.user) for one in SEE_FIGURES) else ""


def live_url(site: AdminSite, request: HttpRequest) -> str:
    """Return the address of the live board in the frame of ``site``; "" without the permission for it."""
    return _url(site, "live") if Permission.VIEW_REPORTS.granted_to(request.user) else ""


def doctor_url(site: AdminSite, request: HttpRequest) -> str:
    """Return the address of the doctor's page in the frame of ``site``; "" for all but superusers."""
    return _url(site, "doctor") if getattr(request.user, "is_superuser", False) else ""


def _url(site: AdminSite, page: str) -> str:
    try:
        return page_url(AdminAdapter(site), page)
    except NoReverseMatch:
        return ""  # our URLs are not included: a check says so


def add_own_pages(site: AdminSite, request: HttpRequest, app_list: list[Any], app_label: str | None) -> list[Any]:
    """Return the list of apps, with our pages as the first lines of ours; an agent may have no model of ours to see."""
    if app_label not in (None, APP):
        return app_list
    pages = [
        (_("My calls"), "MyCalls", my_calls_url(site, request)),
        (pgettext("telephony", "Reports"), "Reports", reports_url(site, request)),
        (_("Live board"), "LiveBoard", live_url(site, request)),
        (_("Check of the set-up"), "Doctor", doctor_url(site, request)),
    ]
    lines = [_line(name, object_name, url) for name, object_name, url in pages if url]
    if not lines:
        return app_list
    ours = next((app for app in app_list if app["app_label"] == APP), None)
    if ours is None:
        name = apps.get_app_config(APP).verbose_name
        url = lines[0]["admin_url"]
        ours = {"name": name, "app_label": APP, "app_url": url, "has_module_perms": True, "models": []}
        app_list = [ours, *app_list]
    ours["models"][:0] = lines
    return app_list


def _line(name: str, object_name: str, url: str) -> dict[str, Any]:
    return {
        "model": CallRecord,
        "name": name,
        "object_name": object_name,
        "perms": {"add": False, "change": False, "delete": False, "view": True},
        "admin_url": url,
        "add_url": None,
        "view_only": True,
    }
