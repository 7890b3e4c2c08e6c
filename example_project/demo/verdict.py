"""Do the helpdesk and the simulator's book tell the same story?"""

from __future__ import annotations

from collections.abc import Iterator

from helpdesk.models import Status, Ticket

from demo.book import CallInBook
from django_exotel_ccm.models import CallRecord


def disagreements(book: CallInBook, call: CallRecord, ticket: Ticket) -> list[str]:
    """Return everything in which the ticket and its call's record differ from the book; nothing when they agree."""
    return [*_deliveries(book), *_record(book, call), *_ticket(book, call, ticket)]


def _deliveries(book: CallInBook) -> Iterator[str]:
    if len(book.requests) != 1:
        yield f"Exotel was asked {len(book.requests)} times for a call, not once."
    for event in ("answered", "terminal"):
        answers = [one["status"] for one in book.deliveries if one["event"] == event]
        if not any(status is not None and 200 <= status < 300 for status in answers):
            yield f'The callback "{event}" was not taken: the helpdesk answered {answers or "nothing"}.'


def _record(book: CallInBook, call: CallRecord) -> Iterator[str]:
    pairs = {
        "state": (book.call.get("state") == "terminal", call.state == "ended"),
        "outcome": (book.call.get("status"), call.outcome or None),
        "talk time": (book.call.get("talk_time"), call.talk_time),
        "duration": (book.call.get("total_duration"), call.total_duration),
        "customer": (book.call.get("customer_number"), call.customer_number),
        "ticket": (book.call.get("custom_field"), call.custom_field),
    }
    for name, (told, known) in pairs.items():
        if told != known:
            yield f"{name}: {told!r} in the book, {known!r} in the call's record."


def _ticket(book: CallInBook, call: CallRecord, ticket: Ticket) -> Iterator[str]:
    talk = book.call.get("talk_time")
    expected = Status.CALLED if talk else Status.CALL_AGAIN
    if ticket.status != expected:
        yield f'The ticket says "{ticket.get_status_display()}", not "{expected.label}".'
    minutes, seconds = divmod(talk or 0, 60)
    words = f"{minutes}:{seconds:02d} minutes of talk" if talk else "no conversation"
    notes = ticket.comments.filter(created_at__gte=call.created_at, text__contains=words).count()
    if notes != 1:
        yield f'The ticket has {notes} notes "{words}" about the call, not one.'
