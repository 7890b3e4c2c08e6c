"""System checks: one for each way to be misconfigured, each with an id that the docs explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.contrib.contenttypes.fields import GenericRelation
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFailure
from django.db import router
from django.db.models import CharField, CompositePrimaryKey
from django.urls import NoReverseMatch, reverse

from django_exotel_ccm import accounts, background, conf, signals, tickets
from django_exotel_ccm.choices import SignalName
from django_exotel_ccm.exotel.account import is_loopback_host, is_public_host
from django_exotel_ccm.exotel.calls import LONGEST_CUSTOM_FIELD
from django_exotel_ccm.models import CallRecord, DoNotCall
from django_exotel_ccm.policies import asks_do_not_call_list, load_rule
from django_exotel_ccm.services.announcements.deliveries import duplicate_identities
from django_exotel_ccm.services.due_work import is_reconciler_missing


def register_all() -> None:
    """Register every check with Django."""
    register(check_settings)
    register(check_policies)
    register(check_accounts, Tags.security)
    register(check_callbacks)
    register(check_tickets)
    register(check_relations, Tags.models)
    register(check_urls, Tags.urls)
    register(check_receivers, Tags.signals)
    register(check_runner)
    register(check_databases)
    register(check_reconciling, Tags.database)
    register(check_do_not_call, Tags.database)


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
        "" if settings.agent_match == conf.BY_EMAIL else settings.agent_match,
        settings.work_context,
        *settings.exophone_choice,
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


def check_policies(**kwargs: Any) -> list[CheckMessage]:
    """E006, E017: every entry of ``POLICIES`` can be asked. Nobody is called while one cannot."""
    found: list[CheckMessage] = []
    for entry in conf.get_settings().policies or ():
        try:
            load_rule(entry)
        except ImproperlyConfigured as error:
            is_path = isinstance(error.__cause__, ImportError)
            number, hint = ("E006", "Correct the dotted path.") if is_path else ("E017", "Correct the entry.")
            found.append(Error(str(error), hint=f"{hint} Until then no call is placed.", id=f"exotel_ccm.{number}"))
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


def check_callbacks(**kwargs: Any) -> list[CheckMessage]:
    """W011, W012: an account on this machine reports to this machine alone, and Exotel cannot report to it."""
    base = conf.get_settings().callback_base_url
    if "://" not in base:
        return []  # W001, or a dotted path that decides for each call
    try:
        configured = accounts.configured_accounts()
    except ImproperlyConfigured:
        return []  # E007
    parts = urlsplit(base)
    host, shown = parts.hostname or "", parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return [
        _unreachable(alias, shown, is_simulated=account.is_loopback)
        for alias, account in configured.items()
        if not (is_loopback_host(host) if account.is_loopback else is_public_host(host))
    ]


def _unreachable(alias: str, base: str, *, is_simulated: bool) -> CheckMessage:
    if is_simulated:
        return checks.Warning(
            f"The Exotel account {alias!r} is a simulator on this machine, and it reports to this machine alone: "
            f"with the CALLBACK_BASE_URL {base!r} its calls never end.",
            hint='Write "CALLBACK_BASE_URL": "http://127.0.0.1:8000", with the port of your runserver.',
            id="exotel_ccm.W011",
        )
    return checks.Warning(
        f"Exotel cannot reach the CALLBACK_BASE_URL {base!r}, which is an address of this machine or of your network: "
        f"no call of the account {alias!r} reports its end.",
        hint='Write the public address of this site, such as "CALLBACK_BASE_URL": "https://crm.example.com".',
        id="exotel_ccm.W012",
    )


def check_tickets(**kwargs: Any) -> list[CheckMessage]:
    """E008 to E010 and E012: every entry of ``TICKETS``."""
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
        found += _check_key(types[label], model)
        found += _check_paths(types[label], model)
    return found


def _check_key(ticket_type: tickets.TicketType, model: Any) -> Iterator[CheckMessage]:
    key: Any = model._meta.pk
    while key.remote_field is not None:
        key = key.target_field  # the key of a child's parent
    room = LONGEST_CUSTOM_FIELD - len(f"{ticket_type.prefix}_")
    if isinstance(key, CharField) and (key.max_length or 0) > room:
        yield Error(
            f"The key of {model._meta.label} may have {key.max_length} characters, "
            f"but custom_field has room for {room} behind {ticket_type.prefix + '_'!r}.",
            hint=f"Give the key a max_length of {room} at most, or declare a model with a shorter key.",
            id="exotel_ccm.E012",
        )


def _check_paths(ticket_type: tickets.TicketType, model: Any) -> Iterator[CheckMessage]:
    for path in ticket_type.phone:
        here = model
        for name in path.split("."):
            if not _has(here, name):
                yield Error(
                    f"The phone path {path!r} of {model._meta.label} leads nowhere: "
                    f"{here._meta.label} has no {name!r}.",
                    hint='Write a path of attributes, such as "phone": "customer.phone".',
                    id="exotel_ccm.E010",
                )
                break
            here = _model_behind(here, name)
            if here is None:
                break  # what a field's value or a property has is known only when it is there


def _has(model: Any, name: str) -> bool:
    # Not every descriptor can be asked of the class, and __getattr__ may answer to any name.
    return hasattr(model, name) or hasattr(model, "__getattr__") or name in {f.name for f in model._meta.fields}


def _model_behind(model: Any, name: str) -> Any:
    """Return the model of the one object to which a relation leads; None where the models do not tell."""
    for field in model._meta.get_fields():
        reverse_side = field.auto_created and not field.concrete
        if (field.get_accessor_name() if reverse_side else field.name) == name:
            one = field.many_to_one or field.one_to_one
            return field.related_model if one and isinstance(field.related_model, type) else None
    return None


def check_relations(**kwargs: Any) -> list[CheckMessage]:
    """W010: Django deletes the objects of a ``GenericRelation`` together with the ticket, and calls are history."""
    return [
        checks.Warning(
            f"Deleting a {model._meta.label} deletes its calls, because its {field.name!r} is a GenericRelation.",
            hint=f"Write {field.name} = CallRelation(), from django_exotel_ccm.models: it leaves the calls.",
            obj=model,
            id="exotel_ccm.W010",
        )
        for model in apps.get_models()
        for field in model._meta.private_fields
        if isinstance(field, GenericRelation) and not field.mti_inherited and _are_calls(field.related_model)
    ]


def _are_calls(model: object) -> bool:
    return isinstance(model, type) and issubclass(model, CallRecord)


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


def check_receivers(**kwargs: Any) -> list[CheckMessage]:
    """E014: each receiver needs a name of its own, by which it is known to have been told."""
    return [
        Error(
            f"Several receivers of {name} are called {identity!r}, so one may be told in another's place.",
            hint=f'Give each a name: {name}.connect(…, dispatch_uid="helpdesk.close_ticket").',
            id="exotel_ccm.E014",
        )
        for name in SignalName.values
        for identity in duplicate_identities(getattr(signals, name))
    ]


def check_runner(**kwargs: Any) -> list[CheckMessage]:
    """E015: what ``RUNNER`` names must be there to take a job."""
    name = conf.get_settings().runner
    try:
        background.runner()
        unusable = _without_celery_app() if name == "celery" else None
    except ImportError as error:
        extra = {"celery": "celery", "django_tasks": "tasks"}[name]
        text, hint = f"{error.name} is not installed.", f'Type: pip install "django-exotel-ccm[{extra}]"'
        unusable = text, hint
    except Exception as error:  # noqa: BLE001 - each queue has its own way to say that it is not set up
        unusable = str(error), "Correct RUNNER, or the settings of what it names."
    if unusable is None:
        return []
    return [Error(f"RUNNER {name!r} cannot be used: {unusable[0]}", hint=unusable[1], id="exotel_ccm.E015")]


def _without_celery_app() -> tuple[str, str] | None:
    from django_exotel_ccm.background.with_celery import has_app  # noqa: PLC0415 - only who uses Celery has it

    if has_app():
        return None
    return (
        "this process has no Celery app.",
        "Write in the project's __init__.py: from .celery import app as celery_app",
    )


def check_databases(**kwargs: Any) -> list[CheckMessage]:
    """W006: what is written to another database is not undone together with the mark that a receiver was told."""
    try:
        models = [ticket_type.model for ticket_type in tickets.ticket_types().values()]
    except ImproperlyConfigured:
        return []  # E008
    ours = router.db_for_write(CallRecord)
    return [
        checks.Warning(
            f"{model._meta.label} is written to the database {router.db_for_write(model)!r} and calls to {ours!r}: "
            "what receivers write to tickets may be written more than once.",
            hint="Keep exotel_ccm in the tickets' database by your router, or make repetitions harmless.",
            id="exotel_ccm.W006",
        )
        for model in models
        if router.db_for_write(model) != ours
    ]


def check_reconciling(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W005: calls are due, and nobody has reconciled for a quarter of an hour; asked with ``check --database``."""
    if router.db_for_read(CallRecord) not in (databases or ()):
        return []
    try:
        missing = is_reconciler_missing()
    except DatabaseFailure:  # before the first migrate there are no tables
        return []
    if not missing:
        return []
    return [
        checks.Warning(
            "Calls wait to be settled, and exotel_reconcile has not run for 15 minutes.",
            hint="Keep running: python manage.py exotel_reconcile --forever",
            id="exotel_ccm.W005",
        )
    ]


def check_do_not_call(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W013: numbers are on the do-not-call list, and no rule asks it; asked with ``check --database``."""
    if router.db_for_read(DoNotCall) not in (databases or ()) or asks_do_not_call_list():
        return []
    try:
        is_empty = not DoNotCall.objects.in_force().exists()
    except DatabaseFailure:  # before the first migrate there are no tables
        return []
    if is_empty:
        return []
    return [
        checks.Warning(
            "Numbers are on the do-not-call list, and EXOTEL_CCM['POLICIES'] has no rule that asks it.",
            hint='Add "django_exotel_ccm.policies.DoNotCall" to POLICIES. Silence this if a rule of your own asks it.',
            id="exotel_ccm.W013",
        )
    ]
