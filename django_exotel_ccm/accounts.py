"""The Exotel accounts in the environment, read through django-environ each time they are asked for."""

from __future__ import annotations

import wsgiref.handlers
from collections.abc import Mapping

import environ
from django.core.exceptions import ImproperlyConfigured

from django_exotel_ccm.conf import DEFAULT_ALIAS, get_settings
from django_exotel_ccm.exotel.account import (
    EXAMPLE,
    Account,
    AccountUnreadable,
    PartNames,
    Secret,
    account_from_parts,
    account_from_url,
    without_locals,
)

URL_VARIABLE = "EXOTEL_URL"
PARTS = PartNames()


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


def aliases() -> list[str]:
    """Return the aliases of all accounts, with or without credentials."""
    return list(_sources())


def _sources() -> Mapping[str, str | Secret]:
    return get_settings().accounts or {DEFAULT_ALIAS: URL_VARIABLE}


def _variables(source: str) -> tuple[str, ...]:
    return (URL_VARIABLE, *PARTS) if source == URL_VARIABLE else (source,)


def _wanted(source: str) -> str:
    return f"{', '.join(PARTS[:4])}, or {URL_VARIABLE}" if source == URL_VARIABLE else source


def variable_of(alias: str) -> str:
    """Return the environment variable that an account is read from; "" where several hold its parts, or none does."""
    source = _sources().get(alias, "")
    if isinstance(source, Secret) or (source == URL_VARIABLE and not environ.Env.ENVIRON.get(source)):
        return ""
    return source


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
        raise AccountUnreadable(
            f"No Exotel account is configured. Set {_wanted(source)}, and start the site again. "
            f"Write: {URL_VARIABLE}={EXAMPLE}"
        )
    return account_from_parts(
        key=parts["key"],
        token=parts["token"],
        sid=parts["sid"].reveal(),
        region=parts["region"].reveal(),
        to_key=parts["to_key"].reveal(),
        variables=PARTS,
    )


@without_locals()
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


@without_locals()
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
    return {name for start in _named_variables() for name in _chain(start)}


def _named_variables() -> set[str]:
    named = {source for source in get_settings().accounts.values() if isinstance(source, str)}
    return {*named, URL_VARIABLE, *PARTS}


def hide_credentials() -> None:
    """Remove the credentials from the copy of the environment that wsgiref makes for its requests.

    ``runserver`` is such a server, and Django's debug page prints a request's environment. Other servers pass none on.
    """
    for name in credential_variables():
        wsgiref.handlers.BaseHandler.os_environ.pop(name, None)
