"""The view that places a call: no other one does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import TicketAdapter, get_adapter, next_page_url, page_url
from django_exotel_ccm.choices import Permission, State
from django_exotel_ccm.descriptions import colleague_calling_warning, describe_call, repeated_call_warning
from django_exotel_ccm.exceptions import CallRefused, InvalidNumber, PlacedInsideTransaction, RequestKeyReused
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import Agent, CallRecord
from django_exotel_ccm.models.call import LONGEST_OVERRIDE_REASON
from django_exotel_ccm.panel import panel_of
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.call_lists import mark_called
from django_exotel_ccm.services.drafts import digest_of
from django_exotel_ccm.services.readiness import NumbersUnreadable, is_denied
from django_exotel_ccm.services.selection import choose_agent, choose_number, whole_number
from django_exotel_ccm.views.access import answer_own_page, answer_through, is_script, next_url_of
from django_exotel_ccm.views.call_request import (
    CallTarget,
    NeedsConfirmation,
    choose_exophone,
    number_of_call,
)
from django_exotel_ccm.views.listed import OF_ITEM, listed_now
from django_exotel_ccm.views.refused_press import Offers, after_the_press, offers_after

LEVELS = {State.ACTIVE.value: "success", State.UNCONFIRMED.value: "warning"}


@require_http_methods(["GET", "POST"])
@csrf_protect
def place(request: HttpRequest) -> HttpResponseBase:
    """Call the customer of one ticket, show what is known of the call, and go back to the page of the button.

    Takes ``exotel_adapter``, ``exotel_type``, ``exotel_ticket``, ``exotel_next`` and ``exotel_after``, the key of the
    newest call that the page showed (0 for none). The choose page adds ``exotel_agent``, ``exotel_exophone``,
    ``exotel_number`` or ``exotel_to``, and ``exotel_confirmed``, the keys of calls that the user knows to be going on.
    What is missing is asked there. ``exotel_override`` is why the call is placed although a rule says no.
    ``exotel_again`` is the key of a call about the ticket, whose number is called if the ticket has it. ``exotel_item``
    is the key of the item on the call list from which it is called; ``exotel_listed_as`` and ``exotel_seen`` are what
    its page knew of it (:mod:`~django_exotel_ccm.views.listed`).

    A request that prefers JSON, our script's, gets {level, text} and, for a call, {status, url, after, correction_url,
    override_url, phone, notice}, or {text, ask_url} when something is missing.

    A GET places no call. A login page leads here when the session had ended before the press: the user is told so, on
    the page of ``exotel_next``.
    """
    if request.method == "GET":
        if is_script(request):
            return HttpResponseNotAllowed(["POST"])
        return answer_own_page(request, lambda adapter: _not_placed(request, adapter))
    # The address wins, because a host's own form can be posted to it.
    values = request.POST.dict() | request.GET.dict()
    named = get_adapter(values.get("exotel_adapter", ""))
    return answer_through(
        request,
        values,
        lambda adapter: _answer(request, CallTarget.of(adapter, values), values),
        permission=Permission.PLACE_CALL,
        back=next_page_url(named, "place", next_url=next_url_of(request)),
    )


def _not_placed(request: HttpRequest, adapter: TicketAdapter) -> HttpResponse:
    adapter.add_message(request, "warning", format_html("{}", _("No call was placed. Press again.")))
    return HttpResponseRedirect(next_url_of(request) or page_url(adapter, "my-calls"))


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a press came to: ``level`` of the message ("error" for instance), its ``text``, and the call.

    ``notice`` is what the user has to know besides where the call stands.
    """

    level: str
    text: str
    call: CallRecord | None = None
    advice: str = ""
    notice: str = ""
    offers: Offers = field(default_factory=Offers)


def _answer(request: HttpRequest, target: CallTarget, values: Mapping[str, str]) -> HttpResponse:
    ticket = target.ticket(request, values.get("exotel_ticket", ""))
    next_url = target.next_url(request, values.get("exotel_next", ""))
    listed = {name: values.get(f"exotel_{name}", "") for name in OF_ITEM}
    if not target.ticket_type.allows(request.user, ticket):
        pressed = Pressed("error", _("This ticket is not yours to call."))
    else:
        try:
            pressed = _check_and_place(request, target, ticket, values)
            item = whole_number(listed["item"])
            if pressed.call is not None and item is not None:
                with after_the_press("The mark on the call list"):
                    mark_called(item, pressed.call, request.user)
            if pressed.call is not None:
                offers = offers_after(request, target, ticket, pressed.call, next_url=next_url, listed=listed)
                pressed = replace(pressed, offers=offers)
        except NeedsConfirmation as question:
            ask_url = target.choose_url([str(ticket.pk)], next_url, confirmed=question.confirmed, **listed)
            if is_script(request):
                return JsonResponse({"text": question.text or _("Choose whom to call."), "ask_url": ask_url})
            if question.text and not question.is_on_page:
                target.adapter.add_message(request, question.level, format_html("{}", question.text))
            return HttpResponseRedirect(ask_url)
    if is_script(request):
        return JsonResponse(_as_json(request, target.adapter, pressed))
    with after_the_press("The message"):
        _add_message(request, target.adapter, pressed)
    return HttpResponseRedirect(next_url)


def _as_json(request: HttpRequest, adapter: TicketAdapter, pressed: Pressed) -> dict[str, Any]:
    told = {"level": pressed.level, "text": pressed.text}
    if pressed.call is None:
        return told
    panel = panel_of(pressed.call, request.user, adapter, advice=pressed.advice)
    return {
        **told,
        "status": panel["status"],
        "url": panel["url"],
        "after": str(pressed.call.pk),
        **asdict(pressed.offers),
        "notice": pressed.notice,
    }


def _check_and_place(request: HttpRequest, target: CallTarget, ticket: Model, values: Mapping[str, str]) -> Pressed:
    agent = choose_agent(request.user, values.get("exotel_agent", ""))
    exophone = choose_exophone(request.user, values.get("exotel_exophone", ""))
    number = _number(request, ticket, values)
    after = whole_number(values.get("exotel_after", ""))
    if agent is None or after is None:
        raise NeedsConfirmation
    reason = _override_reason(request, values)
    # The ticket by its custom field, which is the same in the admin of a child model and of its parent.
    request_key = f"{request.user.pk}|{tickets.custom_field(ticket)}|{number}|{after}"
    own_calls = CallRecord.objects.about(ticket).filter(placed_by_id=request.user.pk)
    newest = own_calls.filter(customer_number=number).order_by("pk").last()
    if not _is_same_press(newest, request_key):
        _check_page(newest, request_key, after)
        question = _question(request, ticket, newest, values)
        # What a rule refuses anyway need not be confirmed first.
        if question is not None and not is_denied(agent, number, has_reason=bool(reason)):
            raise question
    chosen = {"exophone": exophone, "to": number, "override_reason": reason}
    return _place(request, target, ticket, agent=agent, request_key=request_key, **chosen)


def _override_reason(request: HttpRequest, values: Mapping[str, str]) -> str:
    """Return why the user calls although a rule says no; "" for no reason.

    Raises ``PermissionDenied`` for a reason without the permission.
    """
    reason = values.get("exotel_override", "").strip()
    if reason and not Permission.OVERRIDE_POLICY.granted_to(request.user):
        raise PermissionDenied
    if len(reason) > LONGEST_OVERRIDE_REASON:
        longest = {"longest": LONGEST_OVERRIDE_REASON}
        raise NeedsConfirmation(_("The reason may have %(longest)d characters. Make it shorter.") % longest, "error")
    return reason


def _number(request: HttpRequest, ticket: Model, values: Mapping[str, str]) -> str:
    named, typed = values.get("exotel_number", ""), values.get("exotel_to", "").strip()
    again = whole_number(values.get("exotel_again", ""))
    try:
        if again is not None:
            number = number_of_call(ticket, again)
        else:
            number = choose_number(request.user, ticket, named=named, typed=typed)
    except InvalidNumber as error:
        raise NeedsConfirmation(str(error), "error") from None
    except NumbersUnreadable:
        raise NeedsConfirmation from None  # the page shows the reason
    if number is None:
        raise NeedsConfirmation(_("The phone numbers have changed since this page was loaded.") if named else "")
    return number


def _is_same_press(newest: CallRecord | None, request_key: str) -> bool:
    """Return whether this very press (a double click, a second tab) has placed ``newest``, which goes on."""
    return newest is not None and newest.request_key == digest_of(request_key) and not newest.is_over


def _check_page(newest: CallRecord | None, request_key: str, after: int) -> None:
    """Raise :class:`NeedsConfirmation` if the page that was pressed is older than the user's call to this number.

    If this very press placed it, the press comes from an old page.
    """
    if newest is not None and (newest.request_key == digest_of(request_key) or newest.pk > after):
        raise NeedsConfirmation(repeated_call_warning(newest), confirmed=str(newest.pk))


def _question(
    request: HttpRequest, ticket: Model, newest: CallRecord | None, values: Mapping[str, str]
) -> NeedsConfirmation | None:
    """Return what to ask the user first: their own call to the number goes on, or a colleague's about the ticket.

    Or the page of a call list does not show what a colleague has done since. None if the user knows of all that.
    """
    confirmed = values.get("exotel_confirmed", "").split()
    if newest is not None and not newest.is_over and str(newest.pk) not in confirmed:
        return NeedsConfirmation(repeated_call_warning(newest), confirmed=str(newest.pk))
    for call in CallRecord.objects.in_progress_of_others(request.user, [ticket]).defer("facts"):
        if str(call.pk) not in confirmed:
            return NeedsConfirmation(colleague_calling_warning(call, request.user), confirmed=str(call.pk))
    news = listed_now(request, ticket, values).news
    return NeedsConfirmation(news, is_on_page=True) if news else None


def _place(request: HttpRequest, target: CallTarget, ticket: Model, *, agent: Agent, **call_options: Any) -> Pressed:
    adapter, options = target.adapter, {**target.ticket_type.call, **call_options}
    try:
        call = place_call(agent=agent, ticket=ticket, placed_by=request.user, **options)
    except CallRefused as refused:
        call, advice = refused.call, visible_to(refused.advice, request.user)
        pressed = Pressed("error", advice, call, advice=advice)
    except RequestKeyReused as reused:
        text = _(
            "You have just called this number with another agent or ExoPhone. Load the page again to call once more."
        )
        return Pressed("warning", text, reused.call, notice=text)
    except (ImproperlyConfigured, PlacedInsideTransaction, ValueError) as error:
        return Pressed("error", visible_to(str(error), request.user))
    else:
        text = describe_call(call, request.user)
        if call.state == State.ACTIVE and call.answered_at is None and agent.user_id == request.user.pk:
            text = f"{_('Your phone rings first: pick up.')} {text}"
        pressed = Pressed(LEVELS.get(call.state, "info"), text, call)
    # A double click gets the call of the first click, loaded from the database. That click has logged it.
    if call.agent is agent:
        with after_the_press("The log of changes"):
            adapter.log_change(request, ticket, describe_call(call, None))
    return pressed


def _add_message(request: HttpRequest, adapter: TicketAdapter, pressed: Pressed) -> None:
    """Show the text, with links to what corrects a refusal and to the call, for users who may follow them."""
    call_url = adapter.call_url(request, pressed.call) if pressed.call is not None else ""
    links = [
        (pressed.offers.correction_url, _("Correct it")),
        (pressed.offers.override_url, _("Call anyway")),
        (call_url, _("See the call")),
    ]
    shown = format_html_join("", ' <a href="{}">{}</a>', [link for link in links if link[0]])
    adapter.add_message(request, pressed.level, format_html("{}{}", pressed.text, shown))
