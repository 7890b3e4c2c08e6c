"""The setting ``EXOTEL_CCM``, typed; the only reader of ``django.conf.settings``."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import phonenumbers
from django.apps import apps
from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http.request import validate_host
from django.utils import timezone
from django.utils.module_loading import import_string

from django_exotel_ccm.choices import RemovalKind
from django_exotel_ccm.exotel.account import Secret, is_loopback_host

DEFAULT_ALIAS = "default"
LONGEST_ALIAS = 50  # the column's
LONGEST_RETRY = 10 * 365 * 24 * 60 * 60  # seconds
EXOPHONE_CHOICE = tuple(f"django_exotel_ccm.exophone_choice.{name}" for name in ("of_agent", "of_group", "default"))
BY_EMAIL = "email"
DEFAULT_POLICIES = tuple(
    f"django_exotel_ccm.policies.{name}"
    for name in ("AllowedCountries", "OwnNumbers", "DoNotCall", "OneCallAtATime", "CallsPerDay")
)
RETENTION_CLOCKS = tuple(kind.value for kind in RemovalKind if kind != RemovalKind.CUSTOMER)
LONGEST_RETENTION = 36_500  # days
API_THROTTLE = "exotel_ccm_place"  # in DEFAULT_THROTTLE_RATES of REST_FRAMEWORK
RUNNERS = ("inline", "django_tasks", "celery")
_HOST_NAME = re.compile(r"(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, eq=False)
class Settings:
    """``EXOTEL_CCM`` as read. ``problems`` holds (check id, what is wrong, the line to write) of what is not usable."""

    accounts: Mapping[str, str | Secret] = field(default_factory=dict)
    callback_base_url: str = ""
    check_device_first: bool = False
    tickets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    number_region: str = "IN"
    agent_for_user: str = ""
    agent_match: str = BY_EMAIL
    exophone_choice: tuple[str, ...] = EXOPHONE_CHOICE
    policies: tuple[Any, ...] | None = DEFAULT_POLICIES
    """None if the value is no list. Then nobody is called: a rule that the host wrote could not be asked."""
    recording_hosts: tuple[str, ...] = ()
    recording_retry_for: int = 7200
    retention: Mapping[str, int] = field(default_factory=dict)
    requests_per_minute: int = 60
    runner: str = "inline"
    work_context: str = ""
    problems: tuple[tuple[str, str, str], ...] = ()

    @functools.cached_property
    def work_context_for(self) -> Callable[[Any], AbstractContextManager[Any]]:
        """``WORK_CONTEXT``: what takes a call and returns the context to work in (a tenant, row-level security)."""
        return load(self.work_context) if self.work_context else nullcontext


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of ``EXOTEL_CCM``: when its value is usable, and what to say when it is not."""

    usable: Callable[[Any], bool]
    number: str
    wrong: str
    line: str


def is_dotted_path(value: Any) -> bool:
    """Return whether ``value`` looks like a dotted path."""
    return isinstance(value, str) and all(part.isidentifier() for part in value.split(".")) and "." in value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_host_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(name, str) and _HOST_NAME.fullmatch(name) is not None for name in value
    )


def _is_base_url(value: Any) -> bool:
    if not isinstance(value, str) or "://" not in value:
        return is_dotted_path(value)
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
        isinstance(alias, str)
        and 0 < len(alias) <= LONGEST_ALIAS
        and source
        and (isinstance(source, Secret) or _is_variable(source))
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
    "AGENT_FOR_USER": _Key(is_dotted_path, "E006", "is not a dotted path", '"crm.telephony.agent_for"'),
    "AGENT_MATCH": _Key(
        lambda value: value == BY_EMAIL or is_dotted_path(value),
        "E006",
        'is neither "email" nor a dotted path',
        '"email"',
    ),
    "CALLBACK_BASE_URL": _Key(
        _is_base_url, "E003", "is neither an https address nor a dotted path", '"https://crm.example.com"'
    ),
    "CHECK_DEVICE_FIRST": _Key(lambda value: isinstance(value, bool), "E018", "is neither True nor False", "True"),
    "EXOPHONE_CHOICE": _Key(
        lambda value: isinstance(value, list | tuple) and all(map(is_dotted_path, value)),
        "E006",
        "is not a list of dotted paths",
        '["django_exotel_ccm.exophone_choice.of_agent", "django_exotel_ccm.exophone_choice.default"]',
    ),
    "NUMBER_REGION": _Key(
        lambda value: isinstance(value, str) and value in phonenumbers.SUPPORTED_REGIONS,
        "E005",
        "is not a country code of two capital letters",
        '"IN"',
    ),
    "POLICIES": _Key(
        # What an entry names is loaded by a check, and by the press.
        lambda value: (
            isinstance(value, list | tuple)
            and all(is_dotted_path(one) or (isinstance(one, dict) and is_dotted_path(one.get("NAME"))) for one in value)
        ),
        "E006",
        "is not a list of dotted paths and dicts",
        '["crm.telephony.office_hours"]',
    ),
    "RECORDING_HOSTS": _Key(
        _are_host_names,
        "E016",
        "is not a list of host names in small letters, without scheme, port and path",
        '["recordings.example.com"]',
    ),
    "RECORDING_RETRY_FOR": _Key(
        # Of much more no moment can be made.
        lambda value: _is_count(value) and value <= LONGEST_RETRY,
        "E013",
        "is not a number of seconds, of at most ten years",
        "7200",
    ),
    "REQUESTS_PER_MINUTE": _Key(_is_count, "E013", "is not a positive whole number", "60"),
    "RETENTION": _Key(
        lambda value: (
            isinstance(value, dict)
            and all(
                name in RETENTION_CLOCKS and _is_count(days) and days <= LONGEST_RETENTION
                for name, days in value.items()
            )
        ),
        "E019",
        f"is not a dict of days, at most a hundred years, by {', '.join(RETENTION_CLOCKS)}",
        '{"raw_bodies": 90, "recordings": 180}',
    ),
    "RUNNER": _Key(
        lambda value: value in RUNNERS or is_dotted_path(value),
        "E015",
        "is neither one of inline, django_tasks and celery nor a dotted path",
        '"inline"',
    ),
    "TICKETS": _Key(
        _are_tickets,
        "E004",
        "is not a dict of model: options",
        '{"helpdesk.Ticket": {"prefix": "ticket", "phone": "customer.phone"}}',
    ),
    "WORK_CONTEXT": _Key(is_dotted_path, "E006", "is not a dotted path", '"crm.tenants.work_context"'),
}


@functools.cache
def get_settings() -> Settings:
    """Return ``EXOTEL_CCM``; what cannot be used stays at its default and is named in ``problems``."""
    hide_literal_accounts()
    raw = getattr(settings, "EXOTEL_CCM", None) or {}
    if not isinstance(raw, dict):
        return Settings(problems=(("E001", "EXOTEL_CCM is not a dict.", "Write EXOTEL_CCM = {...}."),))
    values: dict[str, Any] = {}
    problems = []
    for name, value in raw.items():
        if name not in KEYS:
            problems.append(("E001", f"EXOTEL_CCM has no key {name!r}.", f"Known keys: {', '.join(sorted(KEYS))}."))
        elif value is not None and not KEYS[name].usable(value):
            key = KEYS[name]
            problems.append((key.number, f"EXOTEL_CCM[{name!r}] {key.wrong}.", f'Write "{name}": {key.line}.'))
            if name == "POLICIES":
                values["policies"] = None
        elif value is not None:
            values[name.lower()] = tuple(value) if isinstance(value, list) else value
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
    if isinstance(value, datetime.datetime) and not uses_time_zones():
        return timezone.make_naive(value, timezone.get_default_timezone())
    return value


@functools.cache
def uses_time_zones() -> bool:
    """Return ``USE_TZ``."""
    return settings.USE_TZ


def session_cache() -> str | None:
    """Return the alias of the cache that holds sessions; None if none does."""
    is_cached = settings.SESSION_ENGINE.rpartition(".")[2] in {"cache", "cached_db"}
    return settings.SESSION_CACHE_ALIAS if is_cached and "django.contrib.sessions" in settings.INSTALLED_APPS else None


def api_cache() -> str | None:
    """Return the alias of the cache in which the API counts each user's calls; None if none does.

    None also where the site does not use REST framework: the API answers there, but nobody is likely to call it.
    """
    framework = getattr(settings, "REST_FRAMEWORK", None) or {}
    rates = framework.get("DEFAULT_THROTTLE_RATES") or {}
    is_counted = rates.get(API_THROTTLE, "") is not None  # None switches it off
    return DEFAULT_CACHE_ALIAS if is_counted and apps.is_installed("rest_framework") else None


def allows_host(host: str) -> bool:
    """Return whether ``ALLOWED_HOSTS`` has a host name, which is given without its port."""
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    return validate_host(f"[{host}]" if ":" in host else host, allowed)


def has_literal_account() -> bool:
    """Say whether an account's credentials stand in the settings themselves."""
    return any(isinstance(source, Secret) for source in get_settings().accounts.values())


def hide_literal_accounts() -> None:
    """Wrap credentials in the settings, wherever they stand in them: Django's error pages and mails print settings."""
    raw = getattr(settings, "EXOTEL_CCM", None)
    if isinstance(raw, dict):
        raw.update(_hidden_settings(raw))
    elif raw is not None:  # it cannot be changed where it stands
        settings.EXOTEL_CCM = _hidden_settings(raw) if isinstance(raw, Mapping) else _hidden(raw, _is_account)


def _hidden_settings(raw: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        name: _hidden(value, _is_account if name != "ACCOUNTS" else lambda text: not _is_variable(text))
        for name, value in raw.items()
    }


def _is_account(text: str) -> bool:
    return text.strip().lower().startswith("exotel:")


def _hidden(value: Any, is_secret: Callable[[str], bool]) -> Any:
    if isinstance(value, str):
        return Secret(value) if is_secret(value) else value
    if isinstance(value, Mapping):  # alias and credentials may have been exchanged
        return {_hidden(name, _is_account): _hidden(inner, is_secret) for name, inner in value.items()}
    if isinstance(value, Sequence | AbstractSet) and not isinstance(value, bytes | bytearray | memoryview):
        return [_hidden(inner, is_secret) for inner in value]
    return value


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "EXOTEL_CCM":
        get_settings.cache_clear()
    elif setting == "USE_TZ":
        uses_time_zones.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_exotel_ccm.conf")
