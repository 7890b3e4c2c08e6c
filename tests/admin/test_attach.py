"""Promise 7: one settings entry puts the button on a third-party ticket, on every site, in whatever order."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import clear_url_caches

from django_exotel_ccm import tickets
from django_exotel_ccm.admin import CallCustomerMixin, CallRecordAdmin
from django_exotel_ccm.admin.attach import attach, attach_all, check_attached, install
from django_exotel_ccm.models import CallRecord
from tests.admin.conftest import urls_of
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS, Session
from tests.helpdesk.admin import TicketAdmin
from tests.helpdesk.models import Customer, Lead, LeadPhone, Ticket, UrgentTicket
from tests.subprocesses import python


class OwnAdmin(admin.ModelAdmin):
    list_display = ["subject"]


def test_settings_entry_attaches_mixin() -> None:
    model_admin = admin.site.get_model_admin(Ticket)

    assert isinstance(model_admin, CallCustomerMixin)
    assert isinstance(model_admin, TicketAdmin)
    assert type(model_admin).__name__ == "TicketAdmin"
    assert type(model_admin).__module__ == TicketAdmin.__module__


def test_model_that_is_no_ticket() -> None:
    site = admin.AdminSite(name="crm")
    site.register([Customer, Ticket])

    attach_all()

    attached = [isinstance(site.get_model_admin(model), CallCustomerMixin) for model in (Customer, Ticket)]
    assert attached == [False, True]


def test_attach_twice() -> None:
    before = type(admin.site.get_model_admin(Ticket))

    attach_all()

    assert type(admin.site.get_model_admin(Ticket)) is before


def test_concurrent_attach() -> None:
    site = admin.AdminSite(name="crm")
    site._registry[Ticket] = OwnAdmin(Ticket, site)
    barrier = threading.Barrier(8)
    failures: list[BaseException] = []

    def work() -> None:
        barrier.wait(10)
        try:
            attach(site)
        except BaseException as error:  # noqa: BLE001 - the test raises it in its own thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert failures == []
    assert type(site.get_model_admin(Ticket)).__bases__ == (CallCustomerMixin, OwnAdmin)


def test_each_site_has_its_own_rules(host: Any, exotel: Any, settings: Any) -> None:
    class ClosedAdmin(admin.ModelAdmin):
        def get_queryset(self, request: Any) -> Any:
            return super().get_queryset(request).none()

    crm, closed = admin.AdminSite(name="crm"), admin.AdminSite(name="closed")
    crm.register(Ticket, OwnAdmin)
    closed.register(Ticket, ClosedAdmin)
    settings.ROOT_URLCONF = urls_of(crm, closed)
    user, ticket = host.user("asha", *AGENT_WORK, SEES_CALLS), host.ticket(phone=BY_HAND)
    session = Session(user, "crm")

    page = session.press_row(ticket)
    forged = Client()
    forged.force_login(user)
    status = forged.post(
        "/exotel/place/",
        {
            "exotel_adapter": "closed",
            "exotel_type": "helpdesk.ticket",
            "exotel_ticket": ticket.pk,
            "exotel_after": 0,
        },
    )

    assert session.where == "/crm/helpdesk/ticket/"
    assert "Exotel accepted the request" in page.messages
    assert "See the call" not in page.text  # this site has no page for calls
    assert status.status_code == 404


def test_site_named_like_djangos_own(host: Any, exotel: Any, settings: Any) -> None:
    """Hosts often write ``site = OurSite()``: its name is "admin" too, and Django's own site is in no URL."""
    ours = admin.AdminSite()
    ours.register(Ticket, OwnAdmin)
    ours.register(CallRecord, CallRecordAdmin)
    settings.ROOT_URLCONF = urls_of(ours)
    user = host.user("asha", *AGENT_WORK, SEES_CALLS, last_name="north")
    ticket = host.ticket(phone=BY_HAND, team="south")

    # Django's own site would hide another team's ticket; this one does not.
    page = Session(user).press_row(ticket)

    assert "Exotel accepted the request" in page.messages


def test_model_registered_after_urls_were_built(
    host: Any, exotel: Any, settings: Any, make_session: Callable[..., Session]
) -> None:
    ticket, session = host.ticket(phone=BY_HAND), make_session(Ticket, OwnAdmin)
    session.changelist()
    session.site_admin.unregister(Ticket)
    session.site_admin.register(Ticket, OwnAdmin)
    clear_url_caches()

    session.press_row(ticket)

    assert CallRecord.objects.get().ticket == ticket


def test_ticket_type_declared_after_registration(host: Any, make_session: Callable[..., Session]) -> None:
    Customer.objects.create(name="Meera", phone=BY_HAND)
    session = make_session(Customer, admin.ModelAdmin)
    session.user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    before = session.changelist(model="helpdesk_customer")
    tickets.register(Customer, prefix="customer", phone="phone")
    try:
        after = session.changelist(model="helpdesk_customer")
    finally:
        tickets.unregister(Customer)

    assert (before.row_buttons, len(after.row_buttons)) == ([], 1)


def test_first_request_attaches() -> None:
    site = admin.AdminSite(name="crm")
    model_admin = site._registry[Ticket] = OwnAdmin(Ticket, site)
    install()

    Client().get("/admin/login/")

    assert isinstance(model_admin, CallCustomerMixin)


def test_later_requests_do_not_attach_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Client().get("/admin/login/")
    calls: list[Any] = []
    monkeypatch.setattr("django_exotel_ccm.admin.attach.attach", calls.append)

    Client().get("/admin/login/")

    assert calls == []


def test_lead_with_uuid_key(host: Any, exotel: Any, make_session: Callable[..., Session]) -> None:
    lead = Lead.objects.create(name="Meera's shop")
    LeadPhone.objects.create(lead=lead, kind="mobile", number=BY_HAND)
    LeadPhone.objects.create(lead=lead, kind="shop", number="+919000001010")
    session = make_session(Lead, admin.ModelAdmin)

    question = session.press_row(lead, model="helpdesk_lead")
    answer = session.press_choice(question)

    call = CallRecord.objects.get()
    assert f"{BY_HAND} (mobile)" in question.text
    assert "Exotel accepted the request" in answer.messages
    assert (call.ticket, call.custom_field) == (lead, f"lead_{lead.pk}")
    assert "Calling Meera to" in session.change_form(lead).text.partition("Calls")[2]


class Urgent(CallCustomerMixin, admin.ModelAdmin):
    pass


def test_multi_table_child(host: Any, exotel: Any, make_session: Callable[..., Session]) -> None:
    customer = host.ticket(phone=BY_HAND).customer
    urgent = UrgentTicket.objects.create(subject="Fire", customer=customer)
    session = make_session(UrgentTicket, Urgent)

    answer = session.press_row(urgent, model="helpdesk_urgentticket")

    call = CallRecord.objects.get()
    assert "Exotel accepted the request" in answer.messages
    assert session.where == "/crm/helpdesk/urgentticket/"
    assert (call.ticket, call.custom_field) == (urgent.ticket_ptr, f"ticket_{urgent.pk}")


def test_declared_multi_table_child(
    host: Any, exotel: Any, make_session: Callable[..., Session], settings: Any
) -> None:
    entry = {"prefix": "urgent", "phone": "customer.phone"}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.UrgentTicket": entry}}
    urgent = UrgentTicket.objects.create(subject="Fire", customer=host.ticket(phone=BY_HAND).customer)

    make_session(UrgentTicket, admin.ModelAdmin).press_button(urgent)

    assert CallRecord.objects.get().custom_field == f"urgent_{urgent.pk}"


def test_undeclared_model_has_ordinary_admin(host: Any, make_session: Callable[..., Session], settings: Any) -> None:
    ticket = host.ticket()
    session = make_session(Ticket, OwnAdmin)
    settings.EXOTEL_CCM = {"TICKETS": {}}

    pages = [session.changelist(), session.change_form(ticket)]

    assert isinstance(session.site_admin.get_model_admin(Ticket), CallCustomerMixin)
    assert all("Broken fan" in page.text and "Call customer" not in page.text for page in pages)


def test_own_mixin_on_undeclared_model(host: Any, make_session: Callable[..., Session], settings: Any) -> None:
    session = make_session(Ticket, Urgent)
    settings.EXOTEL_CCM = {"TICKETS": {}}

    with pytest.raises(ImproperlyConfigured, match=r"helpdesk.Ticket is not declared as a ticket. Write EXOTEL_CCM ="):
        session.changelist()


# The check.


def warnings() -> list[str]:
    return [warning.msg for warning in check_attached()]


def test_ticket_on_no_site_is_a_warning(settings: Any) -> None:
    entry = {"prefix": "phone", "phone": "number"}
    settings.EXOTEL_CCM = {"TICKETS": {"helpdesk.LeadPhone": entry}}

    [warning] = check_attached()

    assert warning.id == "exotel_ccm.W004"
    assert warning.msg == "helpdesk.LeadPhone is in TICKETS but on no admin site, so nobody sees its button."


@pytest.mark.django_db
def test_tickets_on_a_site_are_no_warning() -> None:
    assert warnings() == []
    assert not [one for one in checks.run_checks() if one.id == "exotel_ccm.W004"]


# Whatever the order of INSTALLED_APPS: in a process of its own.

ORDERS = {
    "ours first": ["django_exotel_ccm", "django.contrib.admin", "tests.helpdesk"],
    "ours last": ["django.contrib.admin", "tests.helpdesk", "django_exotel_ccm"],
    "host first": ["tests.helpdesk", "django_exotel_ccm", "django.contrib.admin"],
    "custom default site": ["tests.admin.custom_site.OwnAdminConfig", "tests.helpdesk", "django_exotel_ccm"],
    "no autodiscovery": ["django_exotel_ccm", "django.contrib.admin.apps.SimpleAdminConfig", "tests.helpdesk"],
}
PROGRAM = """
    import os, sys
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings
    fixed = [app for app in settings.INSTALLED_APPS if app not in
             ("django_exotel_ccm", "django.contrib.admin", "tests.helpdesk")]
    settings.INSTALLED_APPS = sys.argv[1].split(",") + fixed
    import django
    django.setup()
    from django.urls import reverse
    print(reverse("exotel_ccm:place"), reverse("admin:index"))
    import tests.helpdesk.admin
    from django.core.signals import request_started
    request_started.send(sender=None, environ={})
    from django.contrib import admin
    from tests.helpdesk.models import Ticket
    bases = type(admin.site.get_model_admin(Ticket)).__bases__
    print(type(admin.site).__name__, [base.__name__ for base in bases])
"""


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_installed_apps(order: str) -> None:
    addresses, added = python("-c", textwrap.dedent(PROGRAM), ",".join(ORDERS[order])).splitlines()

    assert addresses == "/exotel/place/ /admin/"
    assert added.endswith("['CallCustomerMixin', 'TicketAdmin']")
