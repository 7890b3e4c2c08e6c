"""The address for callbacks: a signed probe goes to it as Exotel's callbacks do, and what comes back is explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts, conf, probes
from django_exotel_ccm.diagnosis.finding import Finding, Run, failed, no_time, ok
from django_exotel_ccm.exotel.account import Account, is_loopback_host, is_public_host
from django_exotel_ccm.exotel.probe import Answer, NoAnswer, send_callback
from django_exotel_ccm.exotel.values import as_object

NAME = "callback_address"
LOGIN_WORDS = (
    "login",
    "signin",
    "sign-in",
    "sign_in",
    "sso",
    "saml",
    "oauth",
    "accounts/",
    "authorize",
    "cdn-cgi/access",
)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MORE_PROBES = 5  # to see whether more than one process answers


class _Address(NamedTuple):
    """What people read of a probe's address: nothing of its token."""

    url: str
    base: str
    host: str
    path: str

    @property
    def is_https(self) -> bool:
        return self.url.startswith("https:")


def check_callback_base(run: Run) -> Iterator[Finding]:
    """Send a probe to the address for callbacks of each account, once where several share it."""
    seen: set[tuple[str, str]] = set()
    for alias in accounts.aliases():
        probe = probes.new_probe()
        try:
            address = _address_of(probes.probe_url(alias, probe))
        except (ImproperlyConfigured, NoReverseMatch):
            continue  # a system check says what to write
        except Exception as error:  # noqa: BLE001 - a CALLBACK_BASE_URL may be code of the host
            yield failed(NAME, error)
            continue
        place = (address.base, address.path)
        if place in seen or not _can_meet(run.accounts.get(alias), address.host):
            continue
        seen.add(place)
        if run.is_over:
            yield no_time(NAME)
        else:
            yield from _look(run, address, probe)


def _can_meet(account: Account | None, host: str) -> bool:
    """Return False where a system check says already that this account cannot report there."""
    if account is None:
        return True
    return is_loopback_host(host) if account.is_loopback else is_public_host(host)


def _address_of(url: str) -> _Address:
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    path = parts.path.rpartition("/callbacks/")[0] + "/callbacks/"
    return _Address(url, f"{parts.scheme}://{netloc}", parts.hostname or "", path)


def _look(run: Run, address: _Address, probe: str) -> Iterator[Finding]:
    body = json.dumps({"event_type": "probe", "probe": probe}).encode()
    answer = send_callback(address.url, body, within=run.seconds())
    if isinstance(answer, NoAnswer):
        yield _explain_no_answer(address, answer)
        return
    receipt = _receipt_of(answer, probe)
    if receipt is None:
        yield _explain_answer(address, answer)
        return
    run.processes.add(receipt.process)
    if receipt.digest != probes.digest_of(body):
        yield _without_body(address)
        return
    yield ok(
        name=NAME, message=_("A signed callback to %(address)s arrives.") % {"address": address.base + address.path}
    )
    yield _proxy_headers(address, receipt)


def find_processes(run: Run) -> int:
    """Return how many processes of the site have answered probes, at most two, after a few more of them."""
    for alias in accounts.aliases()[:1] * MORE_PROBES:
        if len(run.processes) != 1:
            break  # there are several, or nothing answers
        probe = probes.new_probe()
        answer = send_callback(probes.probe_url(alias, probe), b"{}", within=run.seconds(3))
        receipt = _receipt_of(answer, probe) if isinstance(answer, Answer) else None
        if receipt is not None:
            run.processes.add(receipt.process)
    return len(run.processes)


def _receipt_of(answer: Answer, probe: str) -> probes.Receipt | None:
    receipt = probes.read_receipt(str(_json(answer).get("receipt", "")))
    return receipt if receipt is not None and receipt.probe == probe else None


def _json(answer: Answer) -> Any:
    try:
        return as_object(json.loads(answer.body))
    except (ValueError, RecursionError):
        return {}


def _why() -> str:
    return _("Exotel reports each call's end there. Without it, a call goes on here until exotel_reconcile asks.")


def _finding(message: str, fix: str, **names: Any) -> Finding:
    return Finding(name=NAME, message=message % names, why=_why(), fix=fix % names)


# Nothing answered.


def _explain_no_answer(address: _Address, answer: NoAnswer) -> Finding:
    names = {**address._asdict(), "cause": answer.cause}
    match answer.obstacle:
        case "name":
            message = _("The host name %(host)s is not known to the name service.")
            fix = _("Correct CALLBACK_BASE_URL, or enter %(host)s at your DNS provider.")
        case "refused":
            message = _("Nothing listens at %(base)s.")
            fix = _("Start the web server there, or correct CALLBACK_BASE_URL.")
            if is_loopback_host(address.host):
                fix = _("Type: python manage.py runserver %(netloc)s")
                names["netloc"] = urlsplit(address.base).netloc
        case "timeout":
            message = _("%(base)s did not answer in time.")
            fix = _(
                "Open the port in your firewall. If the site has one worker, start more of them, for example: "
                "gunicorn --workers 3 --timeout 75"
            )
        case "certificate":
            message = _("The certificate of %(host)s is not one that others trust: %(cause)s.")
            fix = _(
                "Install a certificate of a public authority, together with its intermediate certificates. With nginx "
                "and Let's Encrypt, type: certbot --nginx -d %(host)s"
            )
        case _:
            message = _("The connection to %(base)s broke: %(cause)s.")
            fix = _("Look at the log of the web server or the proxy there.")
    return _finding(message, fix, **names)


# Somebody else answered, or we refused.


def _explain_answer(address: _Address, answer: Answer) -> Finding:
    if answer.status in REDIRECTS:
        return _explain_redirect(address, answer)
    # So our view, and REST framework in general, writes its errors.
    is_ours = isinstance(_json(answer).get("detail"), str)
    if is_ours and answer.status in {400, 411}:
        return _without_body(address)
    if is_ours and answer.status == 403:
        message = _("The site at %(base)s refuses what this system has signed.")
        fix = _("Give every process of the site the same SECRET_KEY, or correct CALLBACK_BASE_URL.")
    elif answer.status < 300:
        message, fix = _explain_success(answer)
    else:
        message, fix = _explain_refusal(address, answer.status)
    return _finding(message, fix, **address._asdict(), status=answer.status)


def _explain_success(answer: Answer) -> tuple[str, str]:
    page = answer.body.lower().replace(b"'", b'"')
    if b'type="password"' in page or b"type=password" in page:
        return _("%(base)s answers with a login page."), _pass_without_login()
    return (
        _("Somebody else answers at %(base)s (HTTP %(status)s): not this app."),
        _("Correct CALLBACK_BASE_URL, or let your proxy pass %(path)s on to this site."),
    )


def _explain_refusal(address: _Address, status: int) -> tuple[str, str]:
    match status:
        case 400 if not conf.allows_host(address.host):
            message = _("The site refuses the host name %(host)s: it is not in ALLOWED_HOSTS.")
            fix = _('In the settings write: ALLOWED_HOSTS = ["%(host)s"], beside what stands there.')
        case 401 | 407:
            message, fix = _("%(base)s asks for a login (HTTP %(status)s)."), _pass_without_login()
        case 403:
            message = _("Something in front of the site refuses callbacks (HTTP 403).")
            fix = _("Let your proxy or firewall pass POST requests to %(path)s from everywhere, without CSRF token.")
        case 404:
            message = _("At %(base)s there is no %(path)s (HTTP 404).")
            fix = _(
                "Let CALLBACK_BASE_URL name the site and the path that it is mounted below, and let your proxy pass "
                "%(path)s on to it."
            )
        case 413:
            message = _("Something in front of the site takes no bodies of this size (HTTP 413).")
            fix = _("Let bodies of 64 KiB pass. With nginx: client_max_body_size 1m;")
        case 502 | 503 | 504:
            message = _("The proxy at %(base)s does not reach the site (HTTP %(status)s).")
            fix = _("Start the site's processes behind it, and look at the proxy's log.")
        case _:
            message = _("%(base)s answers callbacks with HTTP %(status)s.")
            fix = _("Look at the log of the site and of the proxy in front of it.")
    return message, fix


def _explain_redirect(address: _Address, answer: Answer) -> Finding:
    target = urlsplit(urljoin(address.url, answer.location))
    other = f"{target.scheme}://{target.netloc.rpartition('@')[2]}"
    names = {**address._asdict(), "other": other}
    asked = urlsplit(address.url).path
    token = asked.rpartition("/callbacks/")[2]
    # Not in what we sent: a token is random and may well contain "sso".
    added = target.path.replace(asked, "").replace(token, "")
    if any(word in f"{target.netloc}{added}".lower() for word in LOGIN_WORDS):
        message, fix = _("%(base)s sends callbacks on to a login page."), _pass_without_login()
    elif other == address.base and address.is_https and target.path.endswith(token):
        message = _("%(base)s redirects to itself: Django does not know that the proxy speaks https.")
        fix = _trust_proxy()
    elif other != address.base and target.path == asked and conf.is_safe_base_url(other):
        message = _("%(base)s redirects to %(other)s.")
        fix = _("In CALLBACK_BASE_URL write %(other)s instead of %(base)s.")
    elif other != address.base:
        message, fix = _("%(base)s redirects to %(other)s."), _("Let nothing redirect %(path)s.")
    else:
        message = _("%(base)s redirects callbacks to another path.")
        fix = _("Let nothing redirect %(path)s.")
    return _finding(message, fix, **names)


def _without_body(address: _Address) -> Finding:
    return _finding(
        _("Callbacks arrive at %(base)s without their body, or with another one."),
        _("Let your proxy or firewall pass the bodies of POST requests to %(path)s unchanged. With nginx: "
          "proxy_pass_request_body on;"),
        **address._asdict(),
    )  # fmt: skip


def _pass_without_login() -> str:
    return _("Let your proxy, and every middleware that asks for a login, pass %(path)s without one.")


def _trust_proxy() -> str:
    return _(
        'In the settings write: SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https"). In nginx write: '
        "proxy_set_header X-Forwarded-Proto $scheme;"
    )


# What Django took the request for.


def _same_form(netloc: str, address: _Address) -> str:
    """Return host and port in small letters, without the port that the scheme has anyway."""
    return netloc.lower().removesuffix(":443" if address.is_https else ":80")


def _proxy_headers(address: _Address, receipt: probes.Receipt) -> Finding:
    name = "proxy_headers"
    if address.is_https and not receipt.is_secure:
        return Finding(
            name=name,
            message=_("Django takes requests to %(base)s for plain http.") % address._asdict(),
            why=_("Django then refuses forms sent over https, the button's among them, and writes http into links."),
            fix=_trust_proxy(),
        )
    if _same_form(receipt.host, address) != _same_form(urlsplit(address.base).netloc, address):
        return Finding(
            name=name,
            message=_("Django takes requests to %(base)s for requests to %(seen)s.")
            % {**address._asdict(), "seen": receipt.host or "?"},
            why=_("Django then refuses forms, the button's among them, and writes the wrong host into links."),
            fix=_("In nginx write: proxy_set_header Host $http_host;"),
        )
    return ok(name=name, message=_("Django sees the right scheme and host."))
