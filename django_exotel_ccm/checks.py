"""System checks: one for each way to be misconfigured, each with an id that the docs explain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import CompositePrimaryKey
from django.urls import NoReverseMatch, reverse

from django_exotel_ccm import accounts, conf, tickets


def register_all() -> None:
    """Register every check with Django."""
    register(check_settings)
    register(check_accounts, Tags.security)
    register(check_tickets)
    register(check_urls, Tags.urls)


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """E001 to E006: ``EXOTEL_CCM`` and the dotted paths in it."""
    settings = conf.get_settings()
    found: list[CheckMessage] = [
        Error(text, hint=hint, id=f"exotel_ccm.{number}") for number, text, hint in settings.problems
    ]
    base = settings.callback_base_url
    of_tickets = [options.get(name) for options in settings.tickets.values() for name in ("numbers", "can_call")]
    paths = [
        settings.agent_for_user,
        settings.work_context,
        *settings.policies,
        "" if "://" in base else base,
        *(path for path in of_tickets if isinstance(path, str)),
    ]
    for path in filter(None, paths):
        try:
            conf.load(path)
        except ImproperlyConfigured as error:
            found.append(Error(str(error), hint="Correct the dotted path.", id="exotel_ccm.E006"))
    if not base and not any(number == "E003" for number, *_rest in settings.problems):
        found.append(
            checks.Warning(
                "EXOTEL_CCM['CALLBACK_BASE_URL'] is not set, so no call can be placed.",
                hint='Write "CALLBACK_BASE_URL": "https://crm.example.com".',
                id="exotel_ccm.W001",
            )
        )
    return found


def check_accounts(**kwargs: Any) -> list[CheckMessage]:
    """E007, W002, W003: the accounts in the environment, and credentials where Django's error pages show them."""
    try:
        accounts.configured_accounts()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="The value itself is not shown.", id="exotel_ccm.E007")]
    found: list[CheckMessage] = [
        checks.Warning(
            f"The Exotel account {alias!r} has no credentials, so it can place no call.",
            hint=f"Set {wanted} in the environment.",
            id="exotel_ccm.W002",
        )
        for alias, wanted in accounts.missing_accounts().items()
    ]
    if conf.has_literal_account():
        found.append(
            checks.Warning(
                "EXOTEL_CCM['ACCOUNTS'] holds credentials instead of the name of an environment variable.",
                hint='Write "ACCOUNTS": {"default": "EXOTEL_URL"} and set EXOTEL_URL in the environment.',
                id="exotel_ccm.W003",
            )
        )
    return found


def check_tickets(**kwargs: Any) -> list[CheckMessage]:
    """E008 to E010: every entry of ``TICKETS``."""
    try:
        types = tickets.ticket_types()
        models = {label: ticket_type.model for label, ticket_type in types.items()}
    except ImproperlyConfigured as error:
        return [Error(str(error), id="exotel_ccm.E008")]
    found: list[CheckMessage] = []
    for label, model in models.items():
        if isinstance(model._meta.pk, CompositePrimaryKey):
            found.append(
                Error(
                    f"{model._meta.label} has a composite primary key, which custom_field cannot carry.",
                    hint="Declare a model with a single key.",
                    id="exotel_ccm.E009",
                )
            )
        found += _check_paths(types[label], model)
    return found


def _check_paths(ticket_type: tickets.TicketType, model: Any) -> Iterator[CheckMessage]:
    for path in ticket_type.phone:
        first = path.partition(".")[0]
        try:
            model._meta.get_field(first)
        except FieldDoesNotExist:
            if not hasattr(model, first):
                yield Error(
                    f"The phone path {path!r} of {model._meta.label} leads nowhere: there is no {first!r}.",
                    hint='Write a path of attributes, such as "phone": "customer.phone".',
                    id="exotel_ccm.E010",
                )


def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """E011: the callback view must be reachable."""
    try:
        reverse("exotel_ccm:callback", args=["token"])
    except NoReverseMatch:
        return [
            Error(
                "The URLs of django_exotel_ccm are not included, so Exotel has nowhere to report.",
                hint='Write path("exotel/", include("django_exotel_ccm.urls")) in the project\'s urls.py.',
                id="exotel_ccm.E011",
            )
        ]
    return []
