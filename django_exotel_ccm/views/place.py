"""The only place where a click becomes a call."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from django_exotel_ccm import tickets
from django_exotel_ccm.choices import State
from django_exotel_ccm.doors import Door
from django_exotel_ccm.exceptions import CallRefused, InvalidNumber, PlacedInsideTransaction, RequestKeyReused
from django_exotel_ccm.models import Agent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.drafting import digest_of
from django_exotel_ccm.views.press import Entrance, choose_agent, choose_number
from django_exotel_ccm.wording import describe

LONGEST_KEY = 19  # digits of the largest 64-bit key
LEVELS = {State.UNCONFIRMED.value: "warning", State.REQUESTED.value: "info"}


@require_POST
@csrf_protect
def place(request: HttpRequest) -> HttpResponse:
    """Call the customer of one ticket, say what is known, and go back to where the press came from.

    Takes ``door``, ``type``, ``ticket``, ``after`` (the key of the newest call that the page knew of, 0 for none),
    ``next``, and where they had to be asked ``agent``, ``number`` or ``to``. What it cannot know it asks on the choose
    page.
    """
    values = request.GET.dict() | request.POST.dict()
    entrance = Entrance.of(request, values)
    ticket = entrance.ticket(request, values.get("ticket", ""))
    key = str(ticket.pk)
    next_url = entrance.next_url(request, values.get("next", ""))
    question = HttpResponseRedirect(entrance.choose_url([key], next_url))

    agent = choose_agent(request.user, values.get("agent", ""))
    try:
        number = choose_number(request.user, ticket, named=values.get("number", ""), typed=values.get("to", "").strip())
    except InvalidNumber as error:
        entrance.door.tell(request, "error", format_html("{}", str(error)))
        return question
    if number is None and values.get("number"):
        entrance.door.tell(request, "warning", _("The phone numbers have changed since this page was loaded."))
    after = _whole_number(values.get("after") or values.get(f"exotel_after_{key}") or "")
    if agent is None or number is None or after is None:
        return question

    # The ticket by its name: a child's and its parent's admin mean the same one.
    request_key = f"{request.user.pk}|{tickets.custom_field(ticket)}|{number}|{after}"
    newer = _newer_call(request, ticket, number, after, request_key)
    if newer is not None:
        text = _("You have called this number since this page was loaded. Call again only if you mean to.")
        entrance.door.tell(request, "warning", format_html("{} {}", text, describe(newer, request.user)))
        return question
    _place(request, entrance, ticket, agent, number, request_key)
    return HttpResponseRedirect(next_url)


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < LONGEST_KEY else None


def _newer_call(request: HttpRequest, ticket: Model, number: str, after: int, request_key: str) -> CallRecord | None:
    """Return this user's newest call to the number, if the page did not know it.

    A call that this very press placed (a double click, a second tab) is none, unless it is over: then somebody has come
    back to an old page, and has to say that they mean another call.
    """
    mine = CallRecord.objects.about(ticket).filter(placed_by_id=request.user.pk)
    newest = mine.filter(customer_number=number).newest_first().first()
    if newest is None or newest.pk <= after:
        return None
    return newest if newest.is_over or newest.request_key != digest_of(request_key) else None


def _place(
    request: HttpRequest, entrance: Entrance, ticket: Model, agent: Agent, number: str, request_key: str
) -> None:
    door, asked = entrance.door, entrance.ticket_type.call
    try:
        call = place_call(
            agent=agent, to=number, ticket=ticket, placed_by=request.user, request_key=request_key, **asked
        )
    except CallRefused as refused:
        _tell(request, door, refused.call, "error", refused.advice)
        call = refused.call
    except RequestKeyReused as reused:
        text = _("You have just called this number as another agent. Load the page again to call once more.")
        _tell(request, door, reused.call, "warning", text)
        return
    except (ImproperlyConfigured, PlacedInsideTransaction) as error:
        door.tell(request, "error", format_html("{}", str(error)))
        return
    else:
        _tell(request, door, call, LEVELS.get(call.state, "success"), describe(call, request.user))
    # A double click is given the call that the first click placed, read from the database: it is noted already.
    if call.agent is agent:
        door.note(request, ticket, describe(call, None))


def _tell(request: HttpRequest, door: Door, call: CallRecord, level: str, text: str) -> None:
    url = door.call_url(request, call)
    if url:
        door.tell(request, level, format_html('{} <a href="{}">{}</a>', text, url, _("See the call")))
    else:
        door.tell(request, level, format_html("{}", text))
