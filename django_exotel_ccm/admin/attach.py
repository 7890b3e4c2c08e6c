"""Gives the ModelAdmins of third-party tickets "Call customer", on every admin site, whenever they are registered."""

from __future__ import annotations

import functools
import threading
from contextlib import suppress
from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.sites import all_sites
from django.core import checks
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started, setting_changed
from django.db.models import Model
from django.http import HttpRequest
from django.urls import get_resolver

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import add_adapter_finder
from django_exotel_ccm.admin.adapter import find_admin_adapter, served_sites
from django_exotel_ccm.admin.app_list import add_own_pages
from django_exotel_ccm.admin.call_customer import CallCustomerMixin

_lock = threading.Lock()


def install() -> None:
    """Attach now, and whenever a model, a ticket type or a site's URLs come later; no request pays for it."""
    add_adapter_finder(find_admin_adapter, served_sites)
    checks.register(check_attached)
    attach_all()
    if not hasattr(AdminSite.register, "__wrapped__"):
        AdminSite.register = _then_attach(AdminSite.register)  # type: ignore[method-assign]
        AdminSite.get_urls = _attach_first(AdminSite.get_urls)  # type: ignore[method-assign]
        AdminSite.get_app_list = _with_own_pages(AdminSite.get_app_list)  # type: ignore[method-assign]
    tickets.call_when_registered(attach_all)
    setting_changed.connect(_attach_for_setting, dispatch_uid="django_exotel_ccm.attach")
    # A site whose class registers models in a way of its own is looked at once more when everything is loaded.
    request_started.connect(_attach_at_first_request, dispatch_uid="django_exotel_ccm.attach")


def _then_attach(register: Any) -> Any:
    @functools.wraps(register)
    def register_and_attach(site: AdminSite, *args: Any, **kwargs: Any) -> Any:
        result = register(site, *args, **kwargs)
        attach(site)
        return result

    return register_and_attach


def _attach_first(get_urls: Any) -> Any:
    @functools.wraps(get_urls)
    def attach_and_get_urls(site: AdminSite) -> Any:
        attach(site)
        return get_urls(site)

    return attach_and_get_urls


def _with_own_pages(get_app_list: Any) -> Any:
    @functools.wraps(get_app_list)
    def get_app_list_with_own_pages(site: AdminSite, request: HttpRequest, app_label: str | None = None) -> Any:
        return add_own_pages(site, request, get_app_list(site, request, app_label), app_label)

    return get_app_list_with_own_pages


def _attach_at_first_request(**kwargs: Any) -> None:
    request_started.disconnect(dispatch_uid="django_exotel_ccm.attach")
    attach_all()


def _attach_for_setting(*, setting: str, **kwargs: Any) -> None:
    if setting == "EXOTEL_CCM":
        attach_all()


def attach_all() -> None:
    """Attach to every ticket's ModelAdmin on every site."""
    for site in list(all_sites):
        attach(site)


def attach(site: AdminSite) -> None:
    """Give each ticket's ModelAdmin on ``site`` the mixin, keeping its own class, attributes and overrides."""
    with _lock:
        for model in _ticket_models():
            if site.is_registered(model) and not isinstance(site.get_model_admin(model), CallCustomerMixin):
                _add_mixin(site.get_model_admin(model))


def _ticket_models() -> list[type[Model]]:
    if not apps.models_ready:
        return []
    try:
        return [ticket_type.model for ticket_type in tickets.ticket_types().values()]
    except ImproperlyConfigured:
        return []  # the checks say what to write


def _add_mixin(model_admin: ModelAdmin) -> None:
    own: Any = type(model_admin)
    attributes = {
        "__module__": own.__module__,
        "exotel_is_attached": True,
        # A host's super(self.__class__, self) would otherwise find its own method again, and call it without end.
        "__class__": property(lambda _self: own),
    }
    # The instance changes its class in place, because the site's URLs may already hold its bound methods.
    model_admin.__class__ = type(own.__name__, (CallCustomerMixin, own), attributes)


def check_attached(**kwargs: Any) -> list[CheckMessage]:
    """W004: a ticket on no admin site has a button nowhere."""
    with suppress(Exception):  # many hosts register with a site of their own there; Django reports its errors
        get_resolver().url_patterns  # noqa: B018
    return [
        checks.Warning(
            f"{model._meta.label} is in TICKETS but on no admin site, so nobody sees its button.",
            hint="Register it with an admin site, or put {% exotel_call_button %} on your page and silence this check.",
            id="exotel_ccm.W004",
        )
        for model in _ticket_models()
        if not any(site.is_registered(model) for site in all_sites)
    ]
