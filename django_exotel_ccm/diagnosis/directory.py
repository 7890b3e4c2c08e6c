"""What Exotel knows of our agents and ExoPhones: whose phones are on, and whether the numbers are the account's."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, NamedTuple

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm.choices import State
from django_exotel_ccm.diagnosis.account import client_of, may_ask
from django_exotel_ccm.diagnosis.finding import Finding, Run, ok
from django_exotel_ccm.diagnosis.people import has_phone, names_of
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exotel.account import Account
from django_exotel_ccm.exotel.directory import (
    NUMBERS_PAGE,
    ExotelDevice,
    ExotelUser,
    Listing,
    NumberListing,
    Row,
    UserListing,
)
from django_exotel_ccm.exotel.errors import ExotelError
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.models.agent import normalise_contact_uri
from django_exotel_ccm.phone_numbers import parse_local_number

MOST_PAGES = 4
MOST_ROWS = 200  # those pages have 50 rows each
LATELY = datetime.timedelta(days=7)


class _Whole(NamedTuple, Generic[Row]):
    """A list of Exotel's, read to its end: its rows, or that it is too long. Neither, if Exotel does not give it."""

    rows: list[Row]
    is_too_long: bool = False


def check_directory(run: Run) -> Iterator[Finding]:
    """Compare active agents and ExoPhones with those of each account whose key is accepted."""
    for alias in sorted(run.reached):
        account = run.accounts[alias]
        yield from _devices(run, alias, account)
        yield from _exophones(run, alias, account)


def _read(run: Run, alias: str, listing: Listing[Row], *, ours: int) -> _Whole[Row]:
    """Read a list, of at most 200 rows as the list of ``ours``; of a longer one, only the page that says so."""
    if ours > MOST_ROWS:
        return _Whole([], is_too_long=True)
    rows: list[Row] = []
    with suppress(ExotelError):
        for _page in range(MOST_PAGES):
            if listing.is_over or run.is_over or not may_ask(run, alias):
                break
            rows += listing.next_page()
            if (listing.total or 0) > MOST_ROWS:
                return _Whole([], is_too_long=True)
    is_too_long = listing.received >= MOST_ROWS and not listing.is_over
    return _Whole(rows if listing.is_complete else [], is_too_long)


def _devices(run: Run, alias: str, account: Account) -> Iterator[Finding]:
    active = list(Agent.objects.active().filter(account=alias).order_by("pk")[: MOST_ROWS + 1])
    agents = [one for one in active if has_phone(one)]
    if not agents:
        return
    users, is_too_long = _read(run, alias, UserListing(client_of(run, account)), ours=len(active))
    if not users:
        message = _("Exotel does not tell whose phones are on%(account)s.")
        if is_too_long:
            message = _("Whose phones are on was not looked at%(account)s: there are more than %(most)s co-workers.")
        yield ok(name="devices", message=message % {"account": run.of(alias), "most": MOST_ROWS})
        return
    devices_of = _Devices(users)
    found = {agent: devices_of.agent(agent) for agent in agents}
    unknown = [agent for agent, devices in found.items() if devices is None]
    if unknown:
        yield Finding(
            name="agents",
            message=_("Exotel does not know these agents%(account)s: %(names)s.")
            % {"account": run.of(alias), "names": names_of(unknown)},
            why=_("Their calls are refused."),
            fix=_(
                "Add them as co-workers in the Exotel dashboard, then type: python manage.py exotel_sync --agents. If "
                "they have left, click Exotel calls > Agents > the agent in the admin, and take the tick from “active”."
            ),
        )
    known = {agent: devices for agent, devices in found.items() if devices is not None}
    if known:
        yield _states(run, alias, known)


class _Devices:
    """The devices that a whole list of users has."""

    def __init__(self, users: list[ExotelUser]) -> None:
        self._of_user = {user.id: user.devices or () for user in users}
        self._by_uri = {_uri(device.contact_uri): (device,) for user in users for device in user.devices or ()}
        self._are_told = all(user.devices is not None for user in users)

    def agent(self, agent: Agent) -> tuple[ExotelDevice, ...] | None:
        """Return the devices on which the agent's calls can ring, none if Exotel lists none, None for a stranger.

        Of a phone number that no user has, nobody is the owner. A softphone may have one who is not told, since not
        every account's list has them (docs/exotel.md 5.4).
        """
        if agent.exotel_user_id:
            return self._of_user.get(agent.exotel_user_id)
        uri = _uri(agent.contact_uri)
        return self._by_uri.get(uri, None if self._are_told and not uri.lower().startswith("sip:") else ())


def _states(run: Run, alias: str, devices_of: dict[Agent, tuple[ExotelDevice, ...]]) -> Finding:
    listed = {agent: devices for agent, devices in devices_of.items() if devices}
    unlisted = [agent for agent in devices_of if agent not in listed]
    on = [agent for agent, devices in listed.items() if any(one.is_on and one.is_verified for one in devices)]
    unverified = [agent for agent, devices in listed.items() if not any(one.is_verified for one in devices)]
    off = [agent for agent in listed if agent not in on and agent not in unverified]
    words = [_("Phones of agents that are on%(account)s: %(count)s of %(all)s.")] * bool(listed)
    words += [_("Off: %(off)s.")] * bool(off) + [_("Not verified: %(unverified)s.")] * bool(unverified)
    words += [_("Exotel lists no phone of these agents, who may have softphones: %(unlisted)s.")] * bool(unlisted)
    message = " ".join(words) % {
        "count": len(on),
        "all": len(listed),
        "account": run.of(alias),
        "off": names_of(off),
        "unverified": names_of(unverified),
        "unlisted": names_of(unlisted),
    }
    # Others turn their phones off when they go home, or have a softphone that Exotel does not list.
    if len(unverified) < len(devices_of) or _have_called(unverified):
        return ok(name="devices", message=message)
    return Finding(
        name="devices",
        message=message,
        why=_("Exotel refuses calls of an agent whose phone is not verified, so nobody can call."),
        fix=_("In the Exotel dashboard open “Co-workers”, verify each agent's phone, and turn it on."),
    )


def _have_called(agents: list[Agent]) -> bool:
    """Return whether Exotel has accepted a call of one of the agents lately, so that something of theirs rings."""
    accepted = CallRecord.objects.filter(agent__in=agents, state__in=[State.ACTIVE, State.ENDED])
    return accepted.filter(created_at__gt=timezone.now() - LATELY).exists()


def _uri(contact_uri: str | None) -> str:
    with suppress(ValidationError):
        return normalise_contact_uri(contact_uri or "") or ""
    return contact_uri or ""


def _exophones(run: Run, alias: str, account: Account) -> Iterator[Finding]:
    phones = list(ExoPhone.objects.filter(account=alias, is_active=True).order_by("pk")[: MOST_ROWS + 1])
    numbers = {phone: number for phone in phones if (number := _e164(phone.number))}
    if not numbers:
        return
    rows, is_too_long = _read(run, alias, NumberListing(client_of(run, account)), ours=len(phones))
    if is_too_long:
        message = _("Whether the account has our ExoPhones was not looked at%(account)s: there are more than %(most)s.")
        yield ok(name="exophones", message=message % {"account": run.of(alias), "most": MOST_ROWS})
    if not rows:
        return
    theirs = {_e164(row.number, row.country) for row in rows}
    if len(rows) >= NUMBERS_PAGE and not theirs.issuperset(numbers.values()):
        # A number that goes between two pages makes the reader skip another one, so only two lists say who is missing.
        again = _read(run, alias, NumberListing(client_of(run, account)), ours=len(phones)).rows
        theirs |= {_e164(row.number, row.country) for row in again} if again else set(numbers.values())
    missing = [phone for phone, number in numbers.items() if number not in theirs]
    # exotel_sync deactivates what it has found in Exotel before; it leaves alone what a person typed.
    yield from _missing(run, alias, [phone for phone in missing if phone.synced_at is None], is_typed=True)
    yield from _missing(run, alias, [phone for phone in missing if phone.synced_at is not None], is_typed=False)


def _missing(run: Run, alias: str, phones: list[ExoPhone], *, is_typed: bool) -> Iterator[Finding]:
    if phones:
        yield Finding(
            name="exophones",
            message=_("The account%(account)s does not have these ExoPhones: %(numbers)s.")
            % {"account": run.of(alias), "numbers": ", ".join(sorted(phone.number for phone in phones))},
            why=_("Calls from them are refused."),
            fix=_(
                "Type: python manage.py exotel_sync --exophones. Then click Exotel calls > ExoPhones > the ExoPhone in "
                "the admin, and take the ticks from “active” and “default”, or delete it."
            )
            if is_typed
            else _("Type: python manage.py exotel_sync --exophones"),
        )


def _e164(text: str, region: str = "") -> str:
    with suppress(InvalidNumber):
        return parse_local_number(text, region)
    return ""
