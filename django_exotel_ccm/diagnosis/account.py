"""The Exotel accounts: whether key and region fit, what Exotel says of account and balance, and both clocks."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts
from django_exotel_ccm.diagnosis.finding import Finding, Run, no_time, ok
from django_exotel_ccm.exotel.account import REGIONS, Account
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import (
    AccountNotFound,
    AuthenticationFailed,
    ExotelError,
    Forbidden,
    NotPlaced,
    OutcomeUnknown,
    PaymentRequired,
    Reply,
    TooManyRequests,
    Unreachable,
)
from django_exotel_ccm.exotel.values import as_object, clean_text
from django_exotel_ccm.models import AccountUsage
from django_exotel_ccm.services.budget import RateLimited, take_request

NO_CALL = "exotel-doctor"  # no call has this SID: only whether the key is accepted is asked
MOST_DRIFT = datetime.timedelta(minutes=2)
NOT_ACCEPTED = (
    AuthenticationFailed,
    AccountNotFound,
    Forbidden,
    PaymentRequired,
    TooManyRequests,
    Unreachable,
    OutcomeUnknown,
)
STOPPED = frozenset({"blocked", "closed", "disabled", "expired", "inactive", "suspended"})


def check_accounts(run: Run) -> Iterator[Finding]:
    """Ask Exotel about each account that can be read; at most five requests for each."""
    for alias, account in run.accounts.items():
        if run.is_over:
            yield no_time("key")
            return
        if not may_ask(run, alias, in_pause=True):
            message = _("Exotel was not asked%(account)s: the requests of this minute are used up.")
            yield ok(name="key", message=message % {"account": run.of(alias)})
            continue
        finding = _check_key(run, alias, account)
        yield finding
        if finding.ok:
            run.reached.add(alias)
            yield from _check_account(run, alias, account)


def may_ask(run: Run, alias: str, *, in_pause: bool = False) -> bool:
    """Count a request in the account's budget; return False if none may be sent now.

    Without a database nothing is counted. ``in_pause`` asks all the same while the account is paused: a key that is
    refused pauses it, and that is what has to be found.
    """
    if not run.has_database:
        return True
    try:
        take_request(alias)
    except RateLimited:
        return in_pause and AccountUsage.objects.of(alias).filter(paused_until__gt=timezone.now()).exists()
    except DatabaseError:
        pass
    return True


def client_of(run: Run, account: Account) -> ExotelClient:
    """Return a client that keeps the time of the run."""
    seconds = run.seconds()
    return ExotelClient(account, connect_timeout=seconds, read_timeout=seconds, deadline=seconds)


def _check_key(run: Run, alias: str, account: Account) -> Finding:
    error = _key_error(run, account)
    names = {"account": run.of(alias), "region": _region_of(account) or account.ccm_url}
    match error:
        case None:
            message = _("Exotel accepts the API key and token%(account)s in %(region)s.")
            return ok(name="key", message=message % names)
        case AuthenticationFailed() | AccountNotFound():
            return _wrong_key(run, alias, account, error)
        case TooManyRequests():
            return ok(name="key", message=_("Exotel was asked too often: the key was not tried."))
        case Forbidden() | PaymentRequired():
            return Finding(
                name="key",
                message=_("Exotel refuses the requests of this system%(account)s (HTTP %(status)s).")
                % {**names, "status": error.http_status},
                why=_("It refuses calls in the same way."),
                fix=_(
                    "In the Exotel dashboard, look at the account's balance and state, and whether it has a list of "
                    "IP addresses that lacks this server's."
                ),
            )
        case _:
            return Finding(
                name="key",
                message=_("Exotel gave no usable answer%(account)s from %(region)s: %(cause)s.")
                % {**names, "cause": error.code or type(error).__name__},
                why=_("Calls cannot be placed while Exotel cannot be reached."),
                fix=_("On this server, type: curl -sI %(url)s, and open the way out to it in your firewall.")
                % {"url": account.ccm_url},
            )


def _key_error(run: Run, account: Account) -> ExotelError | None:
    """Return why Exotel does not accept the key at the host that places calls; None if it does."""
    try:
        client_of(run, account).call_details(NO_CALL)
    except NOT_ACCEPTED as error:
        return error
    except NotPlaced as error:
        # Exotel looked for the call, so it knows the key. A web page is of somebody else.
        return None if error.raw.lstrip().startswith(b"{") else error
    return None


def _wrong_key(run: Run, alias: str, account: Account, error: ExotelError) -> Finding:
    here = _region_of(account)
    other = next((name for name in REGIONS if here and name != here), "")
    ccm_url, api_url = REGIONS.get(other, ("", ""))
    variable = accounts.variable_of(alias)  # what stands there is read before the variables of the parts
    names = {"account": run.of(alias), "region": here or account.ccm_url, "other": other, "variable": variable}
    if other and _key_error(run, replace(account, ccm_url=ccm_url, api_url=api_url)) is None:
        return Finding(
            name="key",
            message=_("The API key and token%(account)s belong to %(other)s, not to %(region)s.") % names,
            why=_("No call can be placed: each region of Exotel has its own keys."),
            fix=(
                _("In the environment write @%(other)s/ in %(variable)s, and start again.")
                if variable
                else _("In the environment write EXOTEL_REGION=%(other)s, and start again.")
            )
            % names,
        )
    message = _("Exotel does not accept the API key and token%(account)s in %(region)s.")
    if isinstance(error, AccountNotFound):
        message = _("Exotel does not know the account SID%(account)s in %(region)s.")
    return Finding(
        name="key",
        message=message % names,
        why=_("No call can be placed."),
        fix=(
            _(
                "Copy API key, API token and account SID from “API settings” in the Exotel dashboard to %(variable)s "
                "in the environment: exotel://KEY:TOKEN@%(place)s/ACCOUNT_SID. Then start again."
            )
            % {"variable": variable, "place": here or urlsplit(account.ccm_url).netloc}
            if variable
            else _(
                "Copy API key, API token and account SID from “API settings” in the Exotel dashboard to "
                "EXOTEL_API_KEY, EXOTEL_API_TOKEN and EXOTEL_ACCOUNT_SID in the environment, and start again."
            )
        ),
    )


def _region_of(account: Account) -> str:
    return next((name for name, (ccm_url, _api_url) in REGIONS.items() if ccm_url == account.ccm_url), "")


def _check_account(run: Run, alias: str, account: Account) -> Iterator[Finding]:
    began_at = datetime.datetime.now(datetime.UTC)
    reply = _fetch(run, alias, account, "/v1/Accounts/{sid}.json")
    yield _account(run, alias, reply)
    if reply is not None and reply.date is not None:
        yield _clock(run, alias, reply.date, began_at)
    billing = clean_text(_object(reply, "Account").get("BillingType"), 40) or ""
    yield _balance(run, alias, _fetch(run, alias, account, "/v1/Accounts/{sid}/Balance.json"), billing)


def _fetch(run: Run, alias: str, account: Account, path: str) -> Reply | None:
    """Return the answer; None where Exotel gives none, since a key may not be allowed to read these."""
    if run.is_over or not may_ask(run, alias):
        return None
    try:
        return client_of(run, account).get(path, host="api")
    except ExotelError:
        return None


def _account(run: Run, alias: str, reply: Reply | None) -> Finding:
    found = _object(reply, "Account")
    words = [clean_text(found.get(name), 40) or "" for name in ("Status", "Type", "KycStatus")]
    if not any(words):
        return ok(
            name="account", message=_("Exotel does not tell the state of the account%(account)s.") % _named(run, alias)
        )
    said = ", ".join(filter(None, words))
    if words[0].casefold() in STOPPED:
        return Finding(
            name="account",
            message=_("Exotel says of the account%(account)s: %(said)s.") % {**_named(run, alias), "said": said},
            why=_("An account that is not active cannot place calls."),
            fix=_("Ask Exotel's support to activate the account, or look at its messages in the Exotel dashboard."),
        )
    return ok(
        name="account",
        message=_("Exotel says of the account%(account)s: %(said)s.") % {**_named(run, alias), "said": said},
    )


def _balance(run: Run, alias: str, reply: Reply | None, billing: str) -> Finding:
    found = as_object(_object(reply, "Account").get("BalanceData"))
    text, currency = (clean_text(found.get(name), 40) or "" for name in ("Balance", "Currency"))
    try:
        amount = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return ok(name="balance", message=_("Exotel does not tell the balance%(account)s.") % _named(run, alias))
    told = {**_named(run, alias), "balance": f"{text} {currency}".strip()}
    plan = clean_text(found.get("PricingPlan"), 40) or ""
    # A postpaid account works until its bills reach a limit (docs/exotel.md 10.8).
    is_postpaid = "post" in f"{billing} {plan}".casefold()
    if amount.is_finite() and amount <= 0 and not is_postpaid:
        return Finding(
            name="balance",
            message=_("The balance is used up%(account)s: %(balance)s.") % told,
            why=_("Exotel stops all services, and after some days it gives the ExoPhones away for good."),
            fix=_("Recharge the account in the Exotel dashboard."),
        )
    return ok(name="balance", message=_("The balance%(account)s is %(balance)s.") % told)


def _clock(run: Run, alias: str, theirs: datetime.datetime, began_at: datetime.datetime) -> Finding:
    now = datetime.datetime.now(datetime.UTC)
    # Their clock was read at some moment between ours.
    drift = max(began_at - theirs, theirs - now, datetime.timedelta())
    if drift > MOST_DRIFT:
        return Finding(
            name="clock",
            message=_("This server's clock differs from Exotel's by %(minutes)d minutes.")
            % {"minutes": round(drift.total_seconds() / 60)},
            why=_("Times of calls are wrong, and signed addresses are refused too early or too late."),
            fix=_("On this server, type: timedatectl set-ntp true"),
        )
    return ok(name="clock", message=_("This server's clock agrees with Exotel's."))


def _object(reply: Reply | None, name: str) -> Any:
    return as_object(as_object(reply.payload).get(name)) if reply is not None else {}


def _named(run: Run, alias: str) -> dict[str, str]:
    return {"account": run.of(alias)}
