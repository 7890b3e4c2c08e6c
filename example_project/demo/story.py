"""One call, simulated or real: placed through the admin, watched, and at the end compared."""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from html import unescape
from typing import Any

import requests
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from helpdesk.models import Status, Ticket
from helpdesk.seeding import PASSWORD, seed, seed_live

from demo.running import nap, say, stop
from django_exotel_ccm.accounts import get_account
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.simulator import Simulator


def call_simulated_phones(site: str, exotel: Simulator) -> int:
    """Place a call, print its course, and return 0 if the ticket and the simulator agree."""
    ticket = seed()
    say(f'\nAsha logs in at {site}/admin/, opens the ticket "{ticket}" and presses "Call customer".')
    call = press(ticket, "asha", PASSWORD)

    def news() -> list[str]:
        truth, reports, _placed = read_book(exotel, call)
        said = [f'Exotel reports "{event}"; the helpdesk answers {status}.' for event, status in reports]
        phase = truth["phase"].replace("_", " ")
        return [f"The phones of {truth['agent']['name']} and {truth['customer_number']}: {phase}.", *said]

    watch(call, ticket, news, patience=60 / exotel.speed + 10)
    with suppress(TimeoutError):  # a report was not taken, and is to be sent again
        exotel.wait_until_quiet(timeout=3)
    truth, reports, placed = read_book(exotel, call)
    talk = truth["talk_time"]
    words = f"{talk // 60}:{talk % 60:02d} minutes of talk" if talk else "no conversation"
    pairs = {
        "requests to call": (1, placed),
        "reports and answers": ([("answered", 200), ("terminal", 200)], reports),
        "state": (truth["state"], "terminal" if call.state == "ended" else call.state),
        "outcome": (truth["status"], call.outcome),
        "talk time, duration": ((talk, truth["total_duration"]), (call.talk_time, call.total_duration)),
        "customer": (truth["customer_number"], call.customer_number),
        "ticket": (truth["custom_field"], call.custom_field),
        "status of the ticket": ((Status.CALLED if talk else Status.CALL_AGAIN).value, ticket.status),
        f'notes "{words}"': (1, ticket.comments.filter(created_at__gte=call.created_at, text__contains=words).count()),
    }
    if wrong := [f"{name}: {one!r} expected, {two!r} found." for name, (one, two) in pairs.items() if one != two]:
        say("\n  ".join(["The ticket and the simulator DISAGREE:", *wrong]))
        return 1
    say(f"The simulator agrees: asked once, 2 callbacks delivered, {call.outcome}, {talk} s of talk.")
    return 0


def read_book(exotel: Simulator, call: CallRecord) -> tuple[dict[str, Any], list[tuple[str, int | None]], int]:
    """Return the simulator's truth of a call, its reports with their answers, and how many calls were asked for."""
    book = requests.get(f"{exotel.url}/book.json", timeout=10).json()
    truth = next(one for one in book["calls"] if one["call_sid"] == call.call_sid)
    reports = [(one["event"], one["status"]) for one in book["deliveries"] if one["call_sid"] == call.call_sid]
    return truth, reports, sum(one["method"] == "POST" for one in book["requests"])


def call_real_phones(options: argparse.Namespace) -> int:
    """Ask for a yes, place the call, print what Exotel reports, and return 0 if it reported the end."""
    say(f"This rings {options.agent}, then {options.customer}, through the Exotel account {get_account().sid}.")
    say("Real phones ring, and Exotel charges for the call. Type yes to go on:")
    if sys.stdin.readline().strip() != "yes":
        stop("nothing was dialled.")
    password = secrets.token_urlsafe(9)  # the callback address is open to the world, and with it the login page
    ticket = seed_live(agent=options.agent, customer=options.customer, exophone=options.exophone, password=password)
    call = press(ticket, "agent", password)

    def news() -> list[str]:
        events = call.events.order_by("pk")
        return [f"Exotel says: {one.event or one.verdict} ({one.get_kind_display()})." for one in events]

    watch(call, ticket, news, patience=900)  # Exotel tries to report the end for about a quarter of an hour
    if not call.is_over:
        say("Exotel has not reported the end of the call. Does CALLBACK_BASE_URL lead here?")
    if not options.once:
        say(f"The site stays open until Ctrl-C. Log in at /admin/ as agent, password {password}")
    return 0 if call.state == "ended" else 1


def press(ticket: Ticket, username: str, password: str) -> CallRecord:
    """Log in, open the ticket and press "Call customer"; print what the admin says, and return the call."""
    calls = CallRecord.objects.about(ticket).newest_first()
    before = calls.first()
    browser = Client(SERVER_NAME="127.0.0.1")
    if not browser.login(username=username, password=password):
        stop(f"{username} cannot log in with the demo's password. To start afresh: rm -r .demo")
    page = browser.get(reverse("admin:helpdesk_ticket_change", args=[ticket.pk])).content.decode()
    button = re.search(rf'"({reverse("exotel_ccm:place")}\?[^"]*)"', page)
    url = unescape(button[1]) if button else stop('the page of the ticket has no button "Call customer".')
    known = before.pk if before else 0  # a killed demo may have left a call that never ended: this is another one
    answer = browser.post(url, {"exotel_after": known, "exotel_confirmed": known}, follow=True).content.decode()
    for messages in re.findall(r'<ul class="messagelist">(.*?)</ul>', answer, re.DOTALL):
        say(f"  The admin says: {' '.join(unescape(strip_tags(messages)).split())}")
    call = calls.first()
    if call is None or call == before or not call.call_sid:
        stop("the press placed no call that Exotel accepted. To start afresh: rm -r .demo")
    return call


def watch(call: CallRecord, ticket: Ticket, news: Callable[[], list[str]], *, patience: float) -> None:
    """Print each line of ``news`` once, and each change of the ticket, until the call is over."""
    printed = {f'The ticket changes to "{ticket.get_status_display()}".'}
    over = False
    while not over:
        nap()
        seconds = (timezone.now() - call.created_at).total_seconds()
        over = call.is_over or seconds > patience
        # The ticket is read first, so that causes are printed before their effects.
        ticket.refresh_from_db()
        for line in (*news(), f'The ticket changes to "{ticket.get_status_display()}".'):
            if line not in printed:
                say(f"  {seconds:5.1f} s  {line}")
            printed.add(line)
        call.refresh_from_db()
    note = ticket.comments.order_by("pk").last()
    say(f'\nThe ticket "{ticket}" says: {ticket.get_status_display()}.\n  {note.text if note else ""}')


def invite(site: str, simulator: str) -> None:
    """Print what a person can try now."""
    say(f"""
Now you. The site stays open until Ctrl-C.
  Helpdesk:  {site}/admin/helpdesk/ticket/   log in as asha, password {PASSWORD}
             (admin, password {PASSWORD}, sees everything; vik, ola and uma have phones of their own)
  My calls:  {site}/exotel/my-calls/   whom to call back, and the calls of today
  Reports:   {site}/exotel/reports/   the figures of these calls; admin sees those of all agents,
             and who is on the phone right now: {site}/exotel/live/
  Phones:    {simulator}/   the simulated Exotel, now in real time; call Meera Nair and answer there.
             A call's recording is on the call's page five seconds after its end; Exotel takes about a minute.
             Lost, repeated and late reports can be tried there, too; exotel_reconcile runs along.""")
