"""What Exotel knows of our agents and ExoPhones: whose phones are on, and whether the numbers are the account's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, NamedTuple

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from django_exotel_ccm.diagnosis.account import client_of, may_ask
from django_exotel_ccm.diagnosis.finding import Finding, Run, ok
from django_exotel_ccm.diagnosis.people import has_phone, names_of
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exotel.account import Account
from django_exotel_ccm.exotel.directory import ExotelDevice, Listing, NumberListing, Row, UserListing
from django_exotel_ccm.exotel.errors import ExotelError
from django_exotel_ccm.models import Agent, ExoPhone
from django_exotel_ccm.models.agent import normalise_contact_uri
from django_exotel_ccm.phone_numbers import parse_number

MOST_PAGES = 4
MOST_ROWS = 200  # those pages have 50 rows each


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
    by_id = {user.id: user.devices or () for user in users}
    by_uri = {_uri(device.contact_uri): (device,) for user in users for device in user.devices or ()}
    found = {agent: by_id.get(agent.exotel_user_id or "", by_uri.get(_uri(agent.contact_uri))) for agent in agents}
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


def _states(run: Run, alias: str, devices_of: dict[Agent, tuple[ExotelDevice, ...]]) -> Finding:
    on = [agent for agent, devices in devices_of.items() if any(one.is_on and one.is_verified for one in devices)]
    unverified = [agent for agent, devices in devices_of.items() if not any(one.is_verified for one in devices)]
    off = [agent for agent in devices_of if agent not in on and agent not in unverified]
    words = [_("Phones of agents that are on%(account)s: %(count)s of %(all)s.")]
    words += [_("Off: %(off)s.")] * bool(off) + [_("Not verified: %(unverified)s.")] * bool(unverified)
    message = " ".join(words) % {
        "count": len(on),
        "all": len(devices_of),
        "account": run.of(alias),
        "off": names_of(off),
        "unverified": names_of(unverified),
    }
    if len(unverified) < len(devices_of):  # the others turn their phones off, when they go home
        return ok(name="devices", message=message)
    return Finding(
        name="devices",
        message=message,
        why=_("Exotel refuses calls of an agent whose phone is not verified, so nobody can call."),
        fix=_("In the Exotel dashboard open “Co-workers”, verify each agent's phone, and turn it on."),
    )


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
    theirs = {_e164(row.number) for row in rows}
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


def _e164(text: str) -> str:
    with suppress(InvalidNumber):
        return parse_number(text)
    return ""
