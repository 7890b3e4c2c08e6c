"""Where Exotel is told to report: the base URL that the world knows, and the signed paths below it."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, get_script_prefix, reverse

from django_exotel_ccm import accounts, conf, links
from django_exotel_ccm.models import CallRecord


def base_url_for(call: CallRecord) -> str:
    """Return the ``CALLBACK_BASE_URL`` of a call, without a slash at its end; "" when there is no usable one."""
    base = conf.get_settings().callback_base_url
    if base and "://" not in base:
        base = conf.load(base)(call)
    return base.rstrip("/") if conf.is_safe_base_url(base) else ""


def path_of(name: str, token: str) -> str:
    """Return the path of one of our signed URLs below the base URL, the same in a request and in a worker.

    Only in a request does Django know below which path the site is mounted; so the base URL carries it. Raises
    ``NoReverseMatch`` when our URLs are not included.
    """
    return "/" + reverse(f"exotel_ccm:{name}", args=[token]).removeprefix(get_script_prefix())


def account_callback_url(alias: str) -> str:
    """Return the URL to which Exotel may tell of every call of an account, also of those placed elsewhere.

    Raises ``ImproperlyConfigured`` that says the line to write.
    """
    if alias not in accounts.aliases():
        known = ", ".join(accounts.aliases())
        raise ImproperlyConfigured(f"There is no Exotel account {alias!r}. EXOTEL_CCM['ACCOUNTS'] has: {known}.")
    base = base_url_for(CallRecord(account=alias))
    if not base:
        raise ImproperlyConfigured(
            'Exotel would not know where to report. Write EXOTEL_CCM = {"CALLBACK_BASE_URL": "https://crm.example.com"}.'
        )
    try:
        return base + path_of("account-callback", links.sign_account(alias))
    except NoReverseMatch:
        problem = 'The callback address is not in the URLs. Write path("exotel/", include("django_exotel_ccm.urls")).'
    raise ImproperlyConfigured(problem)
