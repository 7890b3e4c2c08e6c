"""A line "My calls" in the index of an admin site, above the models of this app."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _

from django_exotel_ccm.adapters import page_url
from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallRecord

APP = "exotel_ccm"


def my_calls_url(site: AdminSite, request: HttpRequest) -> str:
    """Return the address of "My calls" in the frame of ``site``; "" for users who may not call."""
    if not Permission.PLACE_CALL.granted_to(request.user):
        return ""
    try:
        return page_url(AdminAdapter(site), "my-calls")
    except NoReverseMatch:
        return ""  # our URLs are not included: a check says so


def add_my_calls(site: AdminSite, request: HttpRequest, app_list: list[Any], app_label: str | None) -> list[Any]:
    """Return the list of apps, with "My calls" as the first line of ours; an agent may have no model of ours to see."""
    url = my_calls_url(site, request) if app_label in (None, APP) else ""
    if not url:
        return app_list
    ours = next((app for app in app_list if app["app_label"] == APP), None)
    if ours is None:
        name = apps.get_app_config(APP).verbose_name
        ours = {"name": name, "app_label": APP, "app_url": url, "has_module_perms": True, "models": []}
        app_list = [ours, *app_list]
    ours["models"].insert(
        0,
        {
            "model": CallRecord,
            "name": _("My calls"),
            "object_name": "MyCalls",
            "perms": {"add": False, "change": False, "delete": False, "view": True},
            "admin_url": url,
            "add_url": None,
            "view_only": True,
        },
    )
    return app_list
