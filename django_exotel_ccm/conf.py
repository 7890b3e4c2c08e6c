"""The setting ``EXOTEL_CCM`` and the accounts in the environment; the only reader of ``django.conf.settings``."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import environ
import phonenumbers
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils import timezone
from django.utils.module_loading import import_string

from django_exotel_ccm.exotel.account import (
    EXAMPLE,
    Account,
    AccountUnreadable,
    PartNames,
    Secret,
    account_from_parts,
    account_from_url,
    is_loopback_host,
)

DEFAULT_ALIAS = "default"
URL_VARIABLE = "EXOTEL_URL"
PARTS = PartNames()
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``EXOTEL_CCM`` as read. ``problems`` holds (check id, what is wrong, the line to write) of what is not usable."""

    accounts: Mapping[str, str | Secret] = field(default_factory=dict)
    callback_base_url: str = ""
    tickets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    number_region: str = "IN"
    agent_for_user: str = ""
    policies: tuple[str, ...] = ()
    work_context: str = ""
    problems: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of ``EXOTEL_CCM``: when its value is usable, and what to say when it is not."""

    usable: Callable[[Any], bool]
    number: str
    wrong: str
    line: str


def _is_dotted_path(value: Any) -> bool:
    return isinstance(value, str) and all(part.isidentifier() for part in value.split(".")) and "." in value


def _is_base_url(value: Any) -> bool:
    if not isinstance(value, str) or "://" not in value:
        return _is_dotted_path(value)
    return is_safe_base_url(value)


def is_safe_base_url(url: str) -> bool:
    """Say whether callbacks may be sent to ``url``: https, or http on this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or "" if parts.port != 0 else ""
    except (ValueError, AttributeError):
        return False
    # Paths are put behind it, so it ends before any query; a host name has no blanks.
    whole = bool(host) and not (parts.query or parts.fragment or "?" in url or "#" in url or any(map(str.isspace, url)))
    return whole and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback_host(host)))


def _are_sources(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(alias, str) and alias and source and (isinstance(source, Secret) or _is_variable(source))
        for alias, source in value.items()
    )


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None


def _are_tickets(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(label, str) and isinstance(options, dict) and options for label, options in value.items()
    )


KEYS = {
    "ACCOUNTS": _Key(
        _are_sources,
        "E002",
        "is not a dict of alias: name of an environment variable",
        '{"default": "EXOTEL_URL"}',
    ),
    "AGENT_FOR_USER": _Key(_is_dotted_path, "E006", "is not a dotted path", '"crm.telephony.agent_for"'),
    "CALLBACK_BASE_URL": _Key(
        _is_base_url, "E003", "is neither an https address nor a dotted path", '"https://crm.example.com"'
    ),
    "NUMBER_REGION": _Key(
        lambda value: isinstance(value, str) and value in phonenumbers.SUPPORTED_REGIONS,
        "E005",
        "is not a country code of two capital letters",
        '"IN"',
    ),
    "POLICIES": _Key(
        lambda value: isinstance(value, list | tuple) and all(map(_is_dotted_path, value)),
        "E006",
        "is not a list of dotted paths",
        '["crm.telephony.office_hours"]',
    ),
    "TICKETS": _Key(
        _are_tickets,
        "E004",
        "is not a dict of model: options",
        '{"helpdesk.Ticket": {"prefix": "ticket", "phone": "customer.phone"}}',
    ),
    "WORK_CONTEXT": _Key(_is_dotted_path, "E006", "is not a dotted path", '"crm.tenants.work_context"'),
}


@functools.cache
def get_settings() -> Settings:
    """Return ``EXOTEL_CCM``; what cannot be used stays at its default and is named in ``problems``."""
    raw = getattr(settings, "EXOTEL_CCM", None) or {}
    if not isinstance(raw, dict):
        return Settings(problems=(("E001", "EXOTEL_CCM is not a dict.", "Write EXOTEL_CCM = {...}."),))
    hide_literal_accounts()
    values: dict[str, Any] = {}
    problems = []
    for name, value in raw.items():
        if name not in KEYS:
            problems.append(("E001", f"EXOTEL_CCM has no key {name!r}.", f"Known keys: {', '.join(sorted(KEYS))}."))
        elif value is not None and not KEYS[name].usable(value):
            key = KEYS[name]
            problems.append((key.number, f"EXOTEL_CCM[{name!r}] {key.wrong}.", f'Write "{name}": {key.line}.'))
        elif value is not None:
            values[name.lower()] = tuple(value) if name == "POLICIES" else value
    return Settings(**values, problems=tuple(problems))


def load(path: str) -> Callable[..., Any]:
    """Return the callable at a dotted path of ``EXOTEL_CCM``; raises ``ImproperlyConfigured`` naming the path."""
    found: Any
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"EXOTEL_CCM names {path!r}, which cannot be imported: {error}.") from error
    if not callable(found):
        raise ImproperlyConfigured(f"EXOTEL_CCM names {path!r}, which is not callable.")
    return cast("Callable[..., Any]", found)


def user_model() -> str:
    """Return the label of the host's user model."""
    return settings.AUTH_USER_MODEL


def as_column(value: Any) -> Any:
    """Return a value as the host's columns hold it: without ``USE_TZ``, times are local and have no zone."""
    if isinstance(value, datetime.datetime) and not settings.USE_TZ:
        return timezone.make_naive(value, timezone.get_default_timezone())
    return value


def configured_accounts() -> dict[str, Account]:
    """Return every account that has credentials, by alias; raises ``ImproperlyConfigured`` for an unreadable one."""
    return {alias: get_account(alias) for alias in _sources() if alias not in missing_accounts()}


def missing_accounts() -> dict[str, str]:
    """Return the aliases whose environment variables are not set, each with what to set."""
    return {
        alias: _wanted(source)
        for alias, source in _sources().items()
        if isinstance(source, str) and not any(map(environ.Env.ENVIRON.get, _variables(source)))
    }


def _sources() -> Mapping[str, str | Secret]:
    return get_settings().accounts or {DEFAULT_ALIAS: URL_VARIABLE}


def _variables(source: str) -> tuple[str, ...]:
    return (URL_VARIABLE, *PARTS) if source == URL_VARIABLE else (source,)


def _wanted(source: str) -> str:
    return f"{', '.join(PARTS[:4])}, or {URL_VARIABLE}" if source == URL_VARIABLE else source


def get_account(alias: str = DEFAULT_ALIAS) -> Account:
    """Return the account ``alias``; raises ``ImproperlyConfigured`` that says the line to write and quotes no value."""
    source = _sources().get(alias)
    if source is None:
        raise ImproperlyConfigured(
            f'There is no Exotel account {alias!r}. Write EXOTEL_CCM = {{"ACCOUNTS": {{"{alias}": "EXOTEL_URL"}}}}.'
        )
    try:
        return _read_account(source)
    except AccountUnreadable as error:
        problem = str(error)
    raise ImproperlyConfigured(problem)


def _read_account(source: str | Secret) -> Account:
    if isinstance(source, Secret):
        return account_from_url(source, variable="EXOTEL_CCM['ACCOUNTS']")
    url = _environment(source)
    if url or source != URL_VARIABLE:
        return account_from_url(url or Secret(""), variable=source)
    parts = {part: _environment(name) or Secret("") for part, name in PARTS._asdict().items()}
    if not any(parts.values()):
        return account_from_url(Secret(""), variable=source)
    return account_from_parts(
        key=parts["key"],
        token=parts["token"],
        sid=parts["sid"].reveal(),
        region=parts["region"].reveal(),
        to_key=parts["to_key"].reveal(),
        variables=PARTS,
    )


def _environment(name: str) -> Secret | None:
    # django-environ would write what follows the $ to its log, and look for it without end in a circle.
    last = _chain(name)[-1]
    if last not in environ.Env.ENVIRON:
        if last == name:
            return None
        raise AccountUnreadable(
            f"{name} starts with $, which names another variable, and that one is not set. "
            f"Write: {URL_VARIABLE}={EXAMPLE}, with %24 for a $ of the key or the token"
        )
    return Secret(environ.Env().str(last)) or None


def _chain(name: str) -> list[str]:
    """Return the variable, and those that its value ``$ANOTHER`` leads to; the last one holds the value."""
    names = [name]
    while (value := environ.Env.ENVIRON.get(names[-1], "")).startswith("$"):
        if (following := value.lstrip("$")) in names:
            return [*names, ""]  # a circle leads to no variable
        names.append(following)
    return names


def credential_variables() -> set[str]:
    """Return the names of the environment variables that may hold an account's credentials."""
    named = {source for source in get_settings().accounts.values() if isinstance(source, str)}
    return {name for start in (*named, URL_VARIABLE, *PARTS) for name in _chain(start)}


def has_literal_account() -> bool:
    """Say whether an account's credentials stand in the settings themselves."""
    return any(isinstance(source, Secret) for source in get_settings().accounts.values())


def hide_literal_accounts() -> None:
    """Wrap credentials in the settings, wherever they stand in them: Django's error pages and mails print settings."""
    raw = getattr(settings, "EXOTEL_CCM", None)
    if isinstance(raw, dict):
        for name, value in raw.items():
            raw[name] = _hidden(value, _is_account if name != "ACCOUNTS" else lambda text: not _is_variable(text))


def _is_account(text: str) -> bool:
    return text.strip().lower().startswith("exotel:")


def _hidden(value: Any, is_secret: Callable[[str], bool]) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(inner, is_secret) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(inner, is_secret) for inner in value]
    return Secret(value) if isinstance(value, str) and is_secret(value) else value


def hide_credentials(sender: object, environ: dict[str, Any] | None = None, **kwargs: object) -> None:
    """Take the credentials out of a request's environ.

    wsgiref copies the whole process environment into it, and Django's debug page prints it.
    """
    for name in credential_variables():
        (environ or {}).pop(name, None)


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "EXOTEL_CCM":
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_exotel_ccm.conf")
