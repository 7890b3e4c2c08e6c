"""Which admin site decides about a press: only one that the project's URLs serve, by all of its own rules."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpResponseRedirect
from django.test import Client
from django.test.utils import override_script_prefix
from django.urls import include, path, reverse

from django_exotel_ccm.admin import CallRecordAdmin
from django_exotel_ccm.models import CallRecord
from tests.admin.conftest import urls_of
from tests.admin.pages import AGENT_WORK, BY_HAND, Session, orders
from tests.helpdesk.models import Ticket
from tests.servers.scripted_http import answering, http
from tests.views.recording_player import LISTEN, SOUND, TYPE, RecordingPlayer, url_of

SEEN_BY_NOBODY = {"get_queryset": lambda self, request: Ticket.objects.none()}


def site_of(name: str = "crm", kind: type[admin.AdminSite] = admin.AdminSite, **rules: Any) -> admin.AdminSite:
    """Return an admin site with tickets and calls; ``rules`` are methods of its ticket admin."""
    site = kind(name=name)
    site.register(Ticket, type("TicketAdmin", (admin.ModelAdmin,), rules))
    site.register(CallRecord, CallRecordAdmin)
    return site


def old_call(ticket: Any) -> CallRecord:
    return CallRecord.objects.create(
        account="default", ticket=ticket, created_at="2026-01-01T00:00Z", state="refused", refusal_code="1"
    )


def press_through(site: str, user: Any, ticket: Any) -> tuple[int, int, int]:
    """Return the statuses of the choose page, of the press and of a recording through the site of that name."""
    client = Client()
    client.force_login(user)
    press = {"exotel_adapter": site, "exotel_type": "helpdesk.ticket", "exotel_ticket": ticket.pk, "exotel_after": 0}
    choose = client.get(reverse("exotel_ccm:choose"), press)
    placed = client.post(reverse("exotel_ccm:place"), press)
    return choose.status_code, placed.status_code, client.get(url_of(old_call(ticket), site)).status_code


def test_site_outside_the_urls_decides_nothing(host: Any, exotel: Any, settings: Any) -> None:
    """The host mounts only its restricted site. Django's own exists, unrestricted, and serves no page."""
    restricted = site_of("crm", **SEEN_BY_NOBODY)
    settings.ROOT_URLCONF = urls_of(restricted)
    user, ticket = host.user("asha", *AGENT_WORK, LISTEN), host.ticket(phone=BY_HAND)

    assert press_through("admin", user, ticket) == (404, 404, 404)
    assert press_through("crm", user, ticket) == (200, 404, 404)
    assert orders(exotel) == []


def test_site_of_another_urlconf_decides_nothing(host: Any, exotel: Any, settings: Any) -> None:
    """A tenant whose own URLs have no admin is not served by the admin of the others."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.views.host_middleware.tenant_middleware"]
    user, ticket = host.user("asha", *AGENT_WORK, LISTEN), host.ticket(phone=BY_HAND)

    assert press_through("admin", user, ticket) == (404, 404, 404)
    assert orders(exotel) == []


def test_site_named_admin_below_a_script_prefix(host: Any, exotel: Any, settings: Any) -> None:
    settings.ROOT_URLCONF = urls_of(site_of("admin"))
    client, ticket = Client(), host.ticket(phone=BY_HAND)
    client.force_login(host.user("asha", *AGENT_WORK))
    press = {"exotel_adapter": "admin", "exotel_type": "helpdesk.ticket", "exotel_ticket": ticket.pk, "exotel_after": 0}

    with override_script_prefix("/behind/"):
        answer = client.post("/exotel/place/", press)

    assert (answer.status_code, answer["Location"]) == (302, "/behind/admin/helpdesk/ticket/")
    assert len(orders(exotel)) == 1


def test_hosts_page_at_the_admins_index(host: Any, exotel: Any, settings: Any) -> None:
    """Hosts put a dashboard of their own in front of the admin's first page."""
    site = site_of("admin")

    class URLs:
        urlpatterns = [
            path("admin/", lambda request: HttpResponseRedirect("/dashboard/")),
            path("admin/", site.urls),
            path("exotel/", include("django_exotel_ccm.urls")),
        ]

    settings.ROOT_URLCONF = URLs

    assert press_through("admin", host.user("asha", *AGENT_WORK), host.ticket(phone=BY_HAND))[:2] == (200, 302)
    assert len(orders(exotel)) == 1


# A site's own rules for all of its pages.


class SecondFactorSite(admin.AdminSite):
    """Lets in only those who have given a second factor, as packages for it do."""

    def has_permission(self, request: Any) -> bool:
        return super().has_permission(request) and "second_factor" in request.session


class WrappedSite(admin.AdminSite):
    """Does the same in the wrapper of its views."""

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        def guarded(request: Any, *args: Any, **kwargs: Any) -> Any:
            if "second_factor" not in request.session:
                return HttpResponseRedirect("/second-factor/")
            return view(request, *args, **kwargs)

        return super().admin_view(guarded, cacheable)


@pytest.mark.parametrize(("kind", "status"), [(SecondFactorSite, 403), (WrappedSite, 302)])
def test_sites_second_factor_holds_for_our_views(
    host: Any, settings: Any, player: RecordingPlayer, kind: Any, status: int
) -> None:
    """A scripted server stands for Exotel; it gets no request."""
    settings.ROOT_URLCONF = urls_of(site_of("crm", kind))
    server = player.serve(answering(http(200, SOUND, TYPE)))
    client, ticket = Client(), host.ticket(phone=BY_HAND)
    user = host.user("asha", *AGENT_WORK, LISTEN)
    client.force_login(user)
    press = {"exotel_adapter": "crm", "exotel_type": "helpdesk.ticket", "exotel_ticket": ticket.pk, "exotel_after": 0}
    call = player.call(ticket)

    answers = [
        client.get(reverse("exotel_ccm:choose"), press),
        client.post(reverse("exotel_ccm:place"), press),
        client.get(url_of(call, "crm")),
    ]
    CallRecord.objects.update(placed_by=user)  # a caller's own call is no exception
    where_it_stands = client.get(reverse("exotel_ccm:status", args=[call.reference]) + "?exotel_adapter=crm")

    assert [answer.status_code for answer in answers] == [status] * 3
    assert where_it_stands.status_code == (404 if status == 403 else status)
    assert all(answer.headers.get("Location", "/second-factor/") == "/second-factor/" for answer in answers)
    assert server.requests == []


# Permissions are checked only for users who are logged in.


class RoleBackend:
    """A host's backend that reads an attribute which only the host's users have."""

    def authenticate(self, request: Any, **credentials: Any) -> None:
        return None

    def get_user(self, user_id: Any) -> Any:
        from django.contrib.auth.models import User

        return User.objects.filter(pk=user_id).first()

    def has_perm(self, user: Any, permission: str, obj: Any = None) -> bool:
        return bool(user.role == "agent")


@pytest.mark.parametrize("site", ["admin", "elsewhere", ""])
def test_anonymous_user_is_not_checked_for_permissions(host: Any, settings: Any, site: str) -> None:
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.RoleBackend"]
    client, ticket = Client(), host.ticket(phone=BY_HAND)
    press = {"exotel_adapter": site, "exotel_type": "helpdesk.ticket", "exotel_ticket": ticket.pk, "exotel_after": 0}
    call = old_call(ticket)

    answers = [
        client.get(reverse("exotel_ccm:choose"), press),
        client.post(reverse("exotel_ccm:place"), press),
        client.get(url_of(call, site)),
    ]

    # A recording without a site is heard with the eyes of the host's own pages, which have a login page.
    expected = {"admin": [302, 302, 302], "elsewhere": [403, 403, 403], "": [403, 403, 302]}
    assert [answer.status_code for answer in answers] == expected[site]


class OpenSite(admin.AdminSite):
    """A demonstration that anybody may read."""

    def has_permission(self, request: Any) -> bool:
        return True


def test_site_open_to_anonymous_users(host: Any, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.RoleBackend"]
    anybody = dict.fromkeys(["has_view_permission", "has_module_permission"], lambda self, *args: True)
    denied = dict.fromkeys([f"has_{name}_permission" for name in ("add", "change", "delete")], lambda *args: False)
    site = site_of("crm", OpenSite, **anybody, **denied)
    settings.ROOT_URLCONF = urls_of(site)
    ticket, visitor = host.ticket("Broken fan"), Session(None, "crm")

    pages = [visitor.changelist(), visitor.change_form(ticket)]

    assert all("Broken fan" in page.text and "Call customer" not in page.text for page in pages)
