"""Which ExoPhone a customer sees.

A strategy is a callable named in ``EXOTEL_CCM["EXOPHONE_CHOICE"]``. It gets the ``CallRecord`` that is about to be
dialled (not saved yet), and returns an ``ExoPhone``, or None to leave the choice to the next. The name of the function
that chose is then the call's ``exophone_choice``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import phonenumbers
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet

from django_exotel_ccm import conf
from django_exotel_ccm.models import CallRecord, ExoPhone


def first_choice(call: CallRecord) -> tuple[ExoPhone | None, str]:
    """Return the ExoPhone that the first strategy with an answer chose, and that strategy's name; (None, "") if none.

    The caller enters ``WORK_CONTEXT``. An exception of a strategy is not caught: nothing is dialled then. Raises
    ``ImproperlyConfigured`` for an answer that is no saved ExoPhone.
    """
    for path in conf.get_settings().exophone_choice:
        chosen = conf.load(path)(call)
        if chosen is None:
            continue
        if not isinstance(chosen, ExoPhone) or chosen.pk is None:
            raise ImproperlyConfigured(f"{path} in EXOPHONE_CHOICE returned {type(chosen).__name__}, not an ExoPhone.")
        return chosen, path.rpartition(".")[2][:40]
    return None, ""


def depends_on_ticket() -> bool:
    """Return whether the choice may depend on the ticket or its customer: then it is known at the press alone."""
    return any(strategy not in (of_agent, of_group, default) for strategy in _strategies())


def has_default() -> bool:
    """Return whether :func:`default` is one of the strategies."""
    return default in _strategies()


def _strategies() -> list[Any]:
    return [conf.load(path) for path in conf.get_settings().exophone_choice]


def of_agent(call: CallRecord) -> ExoPhone | None:
    """Return the agent's own ExoPhone; None without one, or where it is not active any more."""
    own = call.agent.exophone if call.agent is not None else None
    return own if own is not None and own.is_active else None


def of_group(call: CallRecord) -> ExoPhone | None:
    """Return an ExoPhone of a group (Django's) of which the agent's user is a member; None without one.

    Of several, the account's default comes first, then the one that was added first.
    """
    agent = call.agent
    if agent is None or agent.user_id is None:
        return None
    user = call.placed_by if call.placed_by_id == agent.user_id else agent.user
    groups = getattr(user, "groups", None)  # a user model need not have any
    return _active(call).filter(groups__in=groups.all()).first() if groups is not None else None


def of_region(call: CallRecord) -> ExoPhone | None:
    """Return an ExoPhone of the region where the customer's number is at home; None without one, or if it is unknown.

    Regions are those that phonenumbers' data tells of a number. In India a landline has one: its state or its large
    city, which comes near to a telecom circle. A mobile number has none. Where the account's ExoPhones are of several
    countries, one of the customer's country is the next best; else the next strategy is asked.
    """
    home = region_of(call.customer_number)
    phones = [(phone, region_of(phone.number)) for phone in _active(call)]
    near = [phone for phone, region in phones if home.place and region == home]
    if not near and len({region.country for _phone, region in phones}) > 1:
        near = [phone for phone, region in phones if region.country == home.country]
    return near[0] if near else None


def default(call: CallRecord) -> ExoPhone | None:
    """Return the account's default ExoPhone; else its only active one; else None."""
    return ExoPhone.objects.default_of(call.account)


class Region(NamedTuple):
    """Where a number is at home: its country's code, and its place in there, such as "Karnataka"; "" if unknown."""

    country: str
    place: str


def region_of(number: str) -> Region:
    """Return the region of a number in E.164."""
    # Imported late, because it loads the places of the whole world.
    from phonenumbers import geocoder  # noqa: PLC0415

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return Region("", "")
    country = phonenumbers.region_code_for_number(parsed) or ""
    # "Bangalore, Karnataka". Of a number without a region it is the country's name, or nothing.
    place = geocoder.description_for_number(parsed, "en").rpartition(", ")[2]
    return Region(country, "" if place == geocoder.country_name_for_number(parsed, "en") else place)


def _active(call: CallRecord) -> QuerySet[ExoPhone]:
    return ExoPhone.objects.filter(account=call.account, is_active=True).order_by("-is_default", "pk")
