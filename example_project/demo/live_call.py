"""One call through a real account, told by the helpdesk's own history: nobody else keeps a book here."""

from __future__ import annotations

import argparse

from helpdesk.seeding import seed_live

from demo.console import say
from demo.helpdesk_visit import place_through_admin
from demo.watching import Ledger, OnTicket, Stopwatch, print_news, print_ticket

PATIENCE = 900.0  # seconds; Exotel tries to report the end for about a quarter of an hour


def live_call(site: str, options: argparse.Namespace, password: str) -> int:
    """Place the call, print what Exotel reports, and return 0 if its end was heard."""
    ticket = seed_live(agent=options.agent, customer=options.customer, exophone=options.exophone, password=password)
    call = place_through_admin(site, ticket, username="agent", password=password)
    watch, ledger, on_ticket = Stopwatch(call), Ledger(call), OnTicket(ticket)
    while watch.seconds < PATIENCE:
        call.refresh_from_db()
        ticket.refresh_from_db()
        print_news(watch, ledger, on_ticket)
        if call.is_over:
            break
    print_ticket(ticket)
    if not call.is_over:
        say("Exotel has not reported the end of the call. Does CALLBACK_BASE_URL lead here?")
    return 0 if call.state == "ended" else 1
