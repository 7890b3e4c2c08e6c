"""One visit to the helpdesk's admin: log in, open a ticket, press "Call customer"."""

from __future__ import annotations

from django.urls import reverse
from helpdesk.models import Ticket

from demo.browser import Browser, Page
from demo.console import Trouble, say
from django_exotel_ccm.models import CallRecord

AFRESH = "To start afresh: rm -r .demo"


def place_through_admin(site: str, ticket: Ticket, *, username: str, password: str) -> CallRecord:
    """Do what an agent does, through HTTP alone; say what the admin says, and return the call."""
    calls = CallRecord.objects.about(ticket).newest_first()
    before = calls.first()
    with Browser() as browser:
        form_page = _open_ticket(browser, site, ticket, username, password)
        after = browser.send(form_page, form_page.form("Call customer"))
    for text in after.messages:
        say(f"  The admin says: {' '.join(text.split())}")
    call = calls.first()
    if call is None or call == before:
        raise Trouble(f"the press placed no call. {AFRESH}")
    return call


def _open_ticket(browser: Browser, site: str, ticket: Ticket, username: str, password: str) -> Page:
    welcome = browser.open(f"{site}{reverse('admin:index')}")
    login = next((form for form in welcome.forms if "username" in form.fields), None)
    if login is None:
        raise Trouble(f"{welcome.address} shows no login form. {AFRESH}")
    index = browser.send(welcome, login, username=username, password=password)
    if any("username" in form.fields for form in index.forms):
        raise Trouble(f"{username} cannot log in with the demo's password. {AFRESH}")
    tickets = browser.open(index.link("Tickets"))
    return browser.open(tickets.link(ticket.subject))
