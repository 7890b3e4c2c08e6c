"""What Exotel knows of our agents and ExoPhones: whose phones are on, and whether the numbers are the account's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from django_exotel_ccm.diagnosis.account import client_of, may_ask
from django_exotel_ccm.diagnosis.finding import Finding, Run, ok
from django_exotel_ccm.diagnosis.people import MOST_AGENTS, has_phone, names_of
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exotel.account import Account
from django_exotel_ccm.exotel.directory import ExotelDevice, Listing, NumberListing, Row, UserListing
from django_exotel_ccm.exotel.errors import ExotelError
from django_exotel_ccm.models import Agent, ExoPhone
from django_exotel_ccm.models.agent import normalise_contact_uri
from django_exotel_ccm.phone_numbers import mask, parse_number

MOST_PAGES = 4  # of 50 rows


def check_directory(run: Run) -> Iterator[Finding]:
    """Compare active agents and ExoPhones with those of each account whose key is accepted."""
    for alias in sorted(run.reached):
        account = run.accounts[alias]
        yield from _devices(run, alias, account)
        yield from _exophones(run, alias, account)


def _read(run: Run, alias: str, listing: Listing[Row]) -> list[Row] | None:
    """Return the rows of a whole list; None if it is too long or empty, or Exotel does not give it."""
    rows: list[Row] = []
    with suppress(ExotelError):
        for _page in range(MOST_PAGES):
            if listing.is_over or run.is_over or not may_ask(run, alias):
                break
            rows += listing.next_page()
    return rows if listing.is_complete and rows else None


def _devices(run: Run, alias: str, account: Account) -> Iterator[Finding]:
    agents = [one for one in Agent.objects.active().filter(account=alias)[: MOST_AGENTS + 1] if has_phone(one)]
    if not agents:
        return
    users = _read(run, alias, UserListing(client_of(run, account)))
    if users is None:
        message = _("Exotel does not tell whose phones are on%(account)s.")
        yield ok(name="devices", message=message % {"account": run.of(alias)})
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
            fix=_("Add them as co-workers in the Exotel dashboard, then type: python manage.py exotel_sync --agents"),
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
    if on:  # people turn their phones off, when they go home
        return ok(name="devices", message=message)
    return Finding(
        name="devices",
        message=message,
        why=_("Exotel refuses calls of an agent whose phone is off or not verified, so nobody can call."),
        fix=_("In the Exotel dashboard open “Co-workers”, verify each agent's phone, and turn it on."),
    )


def _uri(contact_uri: str | None) -> str:
    with suppress(ValidationError):
        return normalise_contact_uri(contact_uri or "") or ""
    return contact_uri or ""


def _exophones(run: Run, alias: str, account: Account) -> Iterator[Finding]:
    ours = _numbers(
        ExoPhone.objects.filter(account=alias, is_active=True).values_list("number", flat=True)[:MOST_AGENTS]
    )
    rows = _read(run, alias, NumberListing(client_of(run, account))) if ours else None
    if rows is None:
        return
    missing = sorted(ours - _numbers(row.number for row in rows))
    if missing:
        yield Finding(
            name="exophones",
            message=_("The account%(account)s does not have these ExoPhones: %(numbers)s.")
            % {"account": run.of(alias), "numbers": ", ".join(map(mask, missing))},
            why=_("Calls from them are refused."),
            fix=_("Type: python manage.py exotel_sync --exophones"),
        )


def _numbers(texts: Iterable[str]) -> set[str]:
    found = set()
    for text in texts:
        with suppress(InvalidNumber):
            found.add(parse_number(text))
    return found
