"""Hosts of all kinds: admin sites built for one test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.urls import include, path

from tests.admin.pages import AGENT_WORK, SEES_CALLS, SEES_NUMBERS, Session

LEADS = ("helpdesk.view_lead", "helpdesk.change_lead", "helpdesk.add_lead")
URGENT = ("helpdesk.view_urgentticket", "helpdesk.change_urgentticket")


def urls_of(*sites: Any) -> Any:
    """Return a URLconf with the sites and our own URLs."""
    patterns = [path(f"{site.name}{n or ''}/", site.urls) for n, site in enumerate(sites)]

    class URLs:
        urlpatterns = [*patterns, path("exotel/", include("django_exotel_ccm.urls"))]

    return URLs


@pytest.fixture
def make_session(host: Any, settings: Any) -> Callable[..., Session]:
    """Return a session in an admin site of its own that has ``model`` with ``model_admin``."""

    def make(model: Any, model_admin: Any, *, name: str = "crm") -> Session:
        # Models can be imported only once Django is set up.
        from django_exotel_ccm.admin import CallRecordAdmin
        from django_exotel_ccm.models import CallRecord

        site = admin.AdminSite(name=name)
        site.register(model, model_admin)
        site.register(CallRecord, CallRecordAdmin)
        settings.ROOT_URLCONF = urls_of(site)
        user = host.user("meera", *AGENT_WORK, *LEADS, *URGENT, SEES_CALLS, SEES_NUMBERS)
        session = Session(user, name)
        session.site_admin = site
        return session

    return make


@pytest.fixture
def exotel(exotel: Any) -> Any:
    """The simulated Exotel in real time: an unanswered call rings longer than a test lasts."""
    exotel.speed = 1.0
    return exotel
