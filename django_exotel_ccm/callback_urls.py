"""Signed callback URLs: where Exotel reports about a call, and which call a URL was signed for."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature, Signer, TimestampSigner
from django.urls import NoReverseMatch, get_script_prefix, reverse

from django_exotel_ccm import accounts, conf

EVENTS = ("terminal", "answered")
MAX_AGE = datetime.timedelta(days=7)


class SignedEvent(NamedTuple):
    """What a callback URL was signed for: the call's reference, and "terminal" or "answered"."""

    reference: UUID
    event: str


def callback_urls(call: Any) -> dict[str, str]:
    """Return the callback URL of ``call`` (a ``CallRecord``) for each of :data:`EVENTS`.

    Raises ``ImproperlyConfigured`` when there is no usable ``CALLBACK_BASE_URL``, ``NoReverseMatch`` when the
    package's URLs are not included.
    """
    base = _base_url(call)
    return {event: base + _path("callback", sign(call.reference, event)) for event in EVENTS}


def account_callback_url(alias: str) -> str:
    """Return the URL to which Exotel may report every call of an account, also those placed elsewhere.

    Raises ``ImproperlyConfigured``; its text says the line to write.
    """
    if alias not in accounts.aliases():
        known = ", ".join(accounts.aliases())
        raise ImproperlyConfigured(f"There is no Exotel account {alias!r}. EXOTEL_CCM['ACCOUNTS'] has: {known}.")
    try:
        return url_of_account(alias, "account-callback", sign_account(alias))
    except NoReverseMatch:
        problem = 'The callback address is not in the URLs. Write path("exotel/", include("django_exotel_ccm.urls")).'
    raise ImproperlyConfigured(problem)


def url_of_account(alias: str, name: str, token: str) -> str:
    """Return the URL of our view ``name`` with this token, where Exotel reports about calls of an account.

    Raises ``ImproperlyConfigured`` and ``NoReverseMatch`` as :func:`callback_urls` does.
    """
    # A CALLBACK_BASE_URL that is a callable is called with a call of the account.
    return _base_url(apps.get_model("exotel_ccm.CallRecord")(account=alias)) + _path(name, token)


def depend_on_call() -> bool:
    """Return whether ``CALLBACK_BASE_URL`` names a function of the host's, which is called with each call."""
    base = conf.get_settings().callback_base_url
    return bool(base) and "://" not in base


def _base_url(call: Any) -> str:
    """Return the ``CALLBACK_BASE_URL`` for a call, without a slash at its end."""
    base = conf.get_settings().callback_base_url
    if depend_on_call():
        base = conf.load(base)(call)
    if not conf.is_safe_base_url(base):
        raise ImproperlyConfigured(
            'Exotel would not know where to report. Write EXOTEL_CCM = {"CALLBACK_BASE_URL": "https://crm.example.com"}.'
        )
    return base.rstrip("/")


def _path(name: str, token: str) -> str:
    # Django knows the script prefix only inside a request, so the base URL carries it, in a worker as well.
    return "/" + reverse(f"exotel_ccm:{name}", args=[token]).removeprefix(get_script_prefix())


def sign(reference: UUID, event: str) -> str:
    """Return the token that opens ``event`` ("terminal" or "answered") of the call with ``reference``."""
    return _signer(event).sign(reference.hex)


def verify(token: str) -> SignedEvent | None:
    """Return what a token of :func:`sign` opens; None when it is forged, damaged or more than 7 days old.

    Keys in ``SECRET_KEY_FALLBACKS`` count, so that calls survive a rotation of ``SECRET_KEY``.
    """
    for event in EVENTS:
        try:
            return SignedEvent(UUID(_signer(event).unsign(token, max_age=MAX_AGE)), event)
        except (BadSignature, ValueError):
            continue
    return None


def sign_account(alias: str) -> str:
    """Return the token of the account's own URL. It is entered once in Exotel's dashboard and never expires."""
    # JSON in base64, because an alias can contain a slash.
    return _account_signer().sign_object(alias)


def verify_account(token: str) -> str | None:
    """Return the alias that a token of :func:`sign_account` names, configured or not; None when it is forged."""
    try:
        alias: str = _account_signer().unsign_object(token)
    except (BadSignature, ValueError):
        return None
    return alias


def _account_signer() -> Signer:
    return Signer(salt="django_exotel_ccm.account_callback", sep=".")


def _signer(event: str) -> TimestampSigner:
    return TimestampSigner(salt=f"django_exotel_ccm.callback.{event}", sep=".")
