"""The agent's own phones: which of them rings, and turning one on or off in Exotel."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_exotel_ccm.adapters import TicketAdapter, page_url
from django_exotel_ccm.descriptions import describe_age
from django_exotel_ccm.exceptions import DeviceNotSwitched
from django_exotel_ccm.models import Agent, Device
from django_exotel_ccm.services import agents_for, refresh_devices, switch_device
from django_exotel_ccm.services.selection import whole_number
from django_exotel_ccm.views.access import answer_own_page

ASK_EVERY = 10  # seconds between two questions about the same agent


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@csrf_protect
def my_phone(request: HttpRequest) -> HttpResponseBase:
    """Show the user's own phones. A POST turns one on or off, or asks Exotel how they are.

    Takes ``exotel_adapter``. A POST has ``exotel_device``, the phone's key, and ``exotel_on``, "1" or "0"; without a
    key it asks.
    """
    return answer_own_page(request, lambda adapter: _answer(request, adapter))


def _answer(request: HttpRequest, adapter: TicketAdapter) -> HttpResponse:
    agents = synced_agents(request.user)
    said = problem = ""
    if request.method == "POST":
        try:
            said = _change(request, agents)
        except DeviceNotSwitched as refused:
            problem = refused.advice
    context = {
        "title": _("My phone"),
        "is_known": bool(agents),
        "phones": phone_rows(agents),
        "said": said,
        "problem": problem,
        "phone_url": page_url(adapter, "my-phone"),
        "my_calls_url": page_url(adapter, "my-calls"),
    }
    response = adapter.render(request, "my_phone.html", context)
    response.status_code = 409 if problem else 200
    return response


def _change(request: HttpRequest, agents: list[Agent]) -> str:
    """Do what the form asks for, and return what is said of it. Raises ``DeviceNotSwitched``."""
    wanted = request.POST.get("exotel_device", "")
    if not wanted:
        began = timezone.now()
        found = [device for agent in agents for device in refresh_devices(agent, max_age=ASK_EVERY)]
        is_new = not found or any(device.seen_at >= began for device in found)
        return _("This is what Exotel says now.") if is_new else _("Exotel was asked a few seconds ago, and said this.")
    key = whole_number(wanted) or 0
    device = Device.objects.filter(agent__in=agents, pk=key).select_related("agent").first()
    if device is None:
        raise Http404
    device = switch_device(device, on=request.POST.get("exotel_on") == "1")
    words = {"phone": device.contact_uri}
    return (_("Your calls ring on %(phone)s now.") if device.is_on else _("%(phone)s is off now.")) % words


def synced_agents(user: Any) -> list[Agent]:
    """Return the user's own agents whom Exotel knows."""
    return [agent for agent in agents_for(user) if agent.exotel_user_id]


def phone_rows(agents: list[Agent]) -> list[dict[str, Any]]:
    """Return the agents' phones as the pages show them; takes one statement, or none without agents."""
    devices = Device.objects.filter(agent__in=agents).with_later_call().order_by("agent", "pk") if agents else ()
    return [
        {
            "key": str(device.pk),
            "name": f"{capfirst(device.get_kind_display())} {device.contact_uri}",
            "state": _state_of(device),
            "is_on": device.is_on,
            "has_later_call": device.has_later_call,
            "can_switch": device.is_on or device.is_verified,
            "as_of": _as_of(device),
        }
        for device in devices
    ]


def _as_of(device: Any) -> str:
    words = {"age": describe_age(device.seen_at)}
    if device.has_later_call:
        return _("Exotel said so %(age)s, before your last call") % words
    return _("Exotel said so %(age)s") % words


def _state_of(device: Device) -> str:
    if not device.is_verified:
        return _("not verified: give a missed call from it to the number that the Exotel dashboard shows")
    if device.is_busy:
        return _("in a call")
    return _("on: your calls ring here") if device.is_on else pgettext("telephony", "off")
