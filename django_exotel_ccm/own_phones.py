"""The agent's own phones, as pages show them: what Exotel has told of them, and how old that news is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from django_exotel_ccm.adapters import TicketAdapter, next_page_url
from django_exotel_ccm.descriptions import describe_age
from django_exotel_ccm.models import Agent, Device
from django_exotel_ccm.models.device import is_busy_still


@dataclass(frozen=True, slots=True)
class PhoneLine:
    """What a ticket's page says of the phone on which the user's calls ring."""

    text: str
    url: str
    """The page of one's own phones, which leads back to the ticket."""
    is_off: bool = False
    switches: Sequence[tuple[str, str]] = ()
    """The phones that can be turned on: the key of each, and what its button says."""


def phone_line(adapter: TicketAdapter, agents: Sequence[Agent], next_url: str) -> PhoneLine | None:
    """Return which phone of the user's own agents is on, as far as Exotel has told, or that none is.

    It does not stand before a call, because the news may be old. None if nothing is known, or if none was on and
    Exotel has accepted a call since. Costs one statement, or none where Exotel knows nobody.
    """
    synced = [agent for agent in agents if agent.exotel_user_id]
    phones = list(Device.objects.filter(agent__in=synced).with_later_call().order_by("seen_at")) if synced else []
    ready = [phone for phone in phones if phone.is_verified]
    on = [phone for phone in ready if phone.is_on]
    newest = {phone.agent_id: phone for phone in phones}.values()
    if not phones or (not on and any(phone.has_later_call for phone in newest)):
        return None
    url = next_page_url(adapter, "my-phone", next_url=next_url)
    if on and all(map(is_busy_still, on)):
        text = _("Your phone is busy with another call, so your calls may be refused. (Exotel said so %(age)s.)")
        return PhoneLine(text % {"age": describe_age(on[0].seen_at)}, url)
    if on:
        words = {"phones": ", ".join(phone_name(phone, synced) for phone in on), "age": describe_age(on[0].seen_at)}
        return PhoneLine(_("Your calls ring on %(phones)s. (Exotel said so %(age)s.)") % words, url)
    if ready:
        text = _("Your phone is off in Exotel, so your calls may be refused. (Exotel said so %(age)s.)")
    else:
        text = _("Your phone is not verified in Exotel, so your calls may be refused. (Exotel said so %(age)s.)")
    names = [phone_name(phone, synced) for phone in ready]
    labels = [_("Turn it on") if len(ready) == 1 else _("Turn on %(phone)s") % {"phone": name} for name in names]
    switches = [(str(phone.pk), label) for phone, label in zip(ready, labels, strict=True)]
    return PhoneLine(text % {"age": describe_age(phones[-1].seen_at)}, url, is_off=True, switches=switches)


def phone_name(phone: Device, agents: Sequence[Agent]) -> str:
    """Return the address of a phone of one of ``agents``, with its account where they are of several.

    The same telephone can be in several accounts, and be on in one of them and off in the other.
    """
    accounts = {agent.pk: agent.account for agent in agents}
    several = len(set(accounts.values())) > 1
    return f"{phone} ({accounts[phone.agent_id]})" if several else str(phone)


def phone_rows(agents: Sequence[Agent]) -> list[dict[str, Any]]:
    """Return the agents' phones as lists of them show each; takes one statement, or none without agents."""
    devices = Device.objects.filter(agent__in=agents).with_later_call().order_by("agent", "pk") if agents else ()
    return [
        {
            "key": str(device.pk),
            "name": f"{capfirst(device.get_kind_display())} {phone_name(device, agents)}",
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
