"""The demo's first call, from the press of the button to what the ticket says."""

from __future__ import annotations

from helpdesk.models import Ticket
from helpdesk.seeding import PASSWORD, seed

from demo.book import CallInBook
from demo.console import Trouble, say
from demo.helpdesk_visit import place_through_admin
from demo.verdict import disagreements
from demo.watching import OnTicket, Stopwatch, print_news, print_ticket
from django_exotel_ccm.models import CallRecord

PATIENCE = 120.0  # seconds for the whole call
GRACE = 2.0  # seconds in which the helpdesk must have heard of the end


def first_call(site: str, simulator: str) -> int:
    """Place a call, print its life, and return 0 if the ticket and the simulator's book agree."""
    ticket = seed()
    say("")
    say(f'Asha logs in at {site}/admin/, opens the ticket "{ticket}" and presses "Call customer".')
    call = place_through_admin(site, ticket, username="asha", password=PASSWORD)
    if not call.call_sid:
        raise Trouble(f"the call was not placed: {call.get_state_display()} {call.refusal_code}".rstrip() + ".")
    book = CallInBook(simulator, call.call_sid)
    _watch(book, call, ticket)
    print_ticket(ticket)
    call.refresh_from_db()
    return _judge(book, call, ticket)


def _watch(book: CallInBook, call: CallRecord, ticket: Ticket) -> None:
    watch, on_ticket = Stopwatch(call), OnTicket(ticket)
    until = PATIENCE
    while watch.seconds < until:
        ticket.refresh_from_db()
        book.read()
        print_news(watch, book, on_ticket)
        if book.is_over:
            call.refresh_from_db()
            if call.is_over and on_ticket.is_quiet:
                break
            until = min(until, watch.seconds + GRACE) if until == PATIENCE else until


def _judge(book: CallInBook, call: CallRecord, ticket: Ticket) -> int:
    wrong = disagreements(book, call, ticket)
    if wrong:
        say("The ticket and the simulator's book DISAGREE:")
        for line in wrong:
            say(f"  {line}")
        return 1
    say(
        f"The simulator's book agrees: asked once, {len(book.deliveries)} callbacks delivered, "
        f"{book.call['status']}, {book.call['talk_time']} s of talk."
    )
    return 0


def invite(site: str, simulator: str) -> None:
    """Say where to go on by hand."""
    say("")
    say("Now you. The site stays open until Ctrl-C.")
    say(f"  Helpdesk:  {site}/admin/helpdesk/ticket/   log in as asha, password {PASSWORD}")
    say(f"             (admin, password {PASSWORD}, sees everything; vik, ola and uma have phones of their own)")
    say(f"  Phones:    {simulator}/   the simulated Exotel, now in real time; call Meera Nair and answer there")
    say('  Trouble:   under "Switches" there, set lost_events to terminal, and call Ravi Kumar. Five minutes later')
    say("             exotel_reconcile, which runs along, asks how the call ended, and the ticket hears it")
