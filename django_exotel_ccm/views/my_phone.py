"""The agent's own phones: which of them rings, and turning one on or off in Exotel."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_exotel_ccm.adapters import TicketAdapter, next_page_url, page_url
from django_exotel_ccm.exceptions import DeviceNotSwitched
from django_exotel_ccm.models import Agent, Device
from django_exotel_ccm.own_phones import phone_name, phone_rows
from django_exotel_ccm.services import agents_for, refresh_devices, switch_device
from django_exotel_ccm.services.selection import whole_number
from django_exotel_ccm.views.access import answer_own_page, is_script, next_url_of

ASK_EVERY = 10  # seconds between two questions about the same agent


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@csrf_protect
def my_phone(request: HttpRequest) -> HttpResponseBase:
    """Show the user's own phones. A POST turns one on or off, or asks Exotel how they are.

    Takes ``exotel_adapter`` and ``exotel_next``, the page to go back to once a phone is switched. A POST has
    ``exotel_device``, the phone's key, and ``exotel_on``, "1" or "0"; without a key it asks.

    A POST that prefers JSON, our script's, gets {text}, or {code, advice} with status 409 if nothing was switched.
    """
    return answer_own_page(request, lambda adapter: _answer(request, adapter))


def _answer(request: HttpRequest, adapter: TicketAdapter) -> HttpResponseBase:
    agents, next_url = synced_agents(request.user), next_url_of(request)
    if request.method == "POST":
        return _switch(request, adapter, agents, next_url)
    context = {
        "title": _("My phone"),
        "is_known": bool(agents),
        "phones": phone_rows(agents),
        "phone_url": next_page_url(adapter, "my-phone", next_url=next_url),
        "next_url": next_url,
        "my_calls_url": page_url(adapter, "my-calls"),
    }
    return adapter.render(request, "my_phone.html", context)


def _switch(request: HttpRequest, adapter: TicketAdapter, agents: list[Agent], next_url: str) -> HttpResponseBase:
    """Do what the form asks for, and say what came of it on the next page: a reload must not send it once more."""
    here = request.get_full_path()
    try:
        said = _change(request, agents)
    except DeviceNotSwitched as refused:
        if is_script(request):
            return JsonResponse({"code": refused.code, "advice": refused.advice}, status=409)
        adapter.add_message(request, "error", format_html("{}", refused.advice))
        return HttpResponseRedirect(here)
    if is_script(request):
        return JsonResponse({"text": said})
    adapter.add_message(request, "success", format_html("{}", said))
    return HttpResponseRedirect(next_url if next_url and request.POST.get("exotel_device") else here)


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
    words = {"phone": phone_name(device, agents)}
    off = _("Your calls do not ring on %(phone)s any more.")
    return (_("Your calls ring on %(phone)s now.") if device.is_on else off) % words


def synced_agents(user: Any) -> list[Agent]:
    """Return the user's own agents whom Exotel knows."""
    return [agent for agent in agents_for(user) if agent.exotel_user_id]
