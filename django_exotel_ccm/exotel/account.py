"""One Exotel account: the hosts of its region, and credentials that are never shown (docs/exotel.md 1)."""

from __future__ import annotations

import hmac
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

# docs/exotel.md 1.1
REGIONS = {
    "mumbai": ("https://ccm-api.in.exotel.com", "https://api.in.exotel.com"),
    "singapore": ("https://ccm-api.exotel.com", "https://api.exotel.com"),
}
# Accounts differ in the key of the customer's number (docs/exotel.md 11.1).
TO_KEYS = ("number", "customer_contact_uri")
EXAMPLE = "exotel://KEY:TOKEN@mumbai/ACCOUNT_SID"
# Domains that the public name service does not have: RFC 2606, RFC 6762, ICANN's "internal", and usual ones of offices.
PRIVATE_DOMAINS = frozenset({"corp", "home", "internal", "intranet", "invalid", "lan", "local", "localhost", "test"})

_HOST = re.compile(r"(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Secret:
    """A text that repr, str, format and pickle do not show; only :meth:`reveal` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "********"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._bytes(), other._bytes())

    def _bytes(self) -> bytes:
        return self._text.encode("utf-8", "surrogatepass")

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A Secret is not pickled: what is pickled ends up in caches, queues and files.")


@contextmanager
def without_locals() -> Iterator[None]:
    """Let an exception leave the block, or the function, with the locals of its inner frames cleared.

    Error pages and error reporters print the locals of each frame, and key and token stand there as plain text.
    This holds for every exception, KeyboardInterrupt and SystemExit included. Frames that still run, the caller's
    among them, keep their locals; so does an exception that the caller was already handling.
    """
    outer = sys.exception()
    try:
        yield
    except BaseException as error:
        links: list[BaseException | None] = [error]
        cleared: list[BaseException] = []
        while links:
            link = links.pop()
            if link is None or link is outer or any(link is other for other in cleared):
                continue
            traceback.clear_frames(link.__traceback__)
            cleared.append(link)
            links += [link.__cause__, link.__context__]
        raise


class AccountUnreadable(ValueError):
    """The account cannot be read. The message names the variable and ends with the line to write.

    It quotes nothing of the value, because a mistyped credential is still a credential.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An Exotel account: its SID, its credentials and the base URLs of its hosts."""

    sid: str
    key: Secret
    token: Secret
    ccm_url: str
    api_url: str
    to_key: str | None = None
    """The key of the customer's number in a request, one of :data:`TO_KEYS`; None if it is found out by trying."""

    @property
    def is_loopback(self) -> bool:
        """Return True if both hosts are this machine, as for the simulator."""
        return all(is_loopback_host(urlsplit(url).hostname or "") for url in (self.ccm_url, self.api_url))


class PartNames(NamedTuple):
    """The names of the variables that hold the parts of an account."""

    key: str = "EXOTEL_API_KEY"
    token: str = "EXOTEL_API_TOKEN"  # noqa: S105 - the variable's name
    sid: str = "EXOTEL_ACCOUNT_SID"
    region: str = "EXOTEL_REGION"
    to_key: str = "EXOTEL_TO_KEY"


class _Fault(NamedTuple):
    what: str
    part: str


class _Problem(Exception):
    """What is wrong with the value, and in which part; `_account_or_fault` catches it."""

    def __init__(self, what: str, part: str = "region") -> None:
        super().__init__(what, part)


_LINES = {"key": "KEY", "token": "TOKEN", "sid": "ACCOUNT_SID", "region": "mumbai", "to_key": "number"}

# The plain text is held only by calls inside of `_account_or_fault`, which RETURN what is wrong: the two functions
# that raise, outside of any except block, hold nothing but Secrets.


def account_from_url(url: Secret, *, variable: str) -> Account:
    """Return the account that `exotel://KEY:TOKEN@REGION/ACCOUNT_SID` describes; raises AccountUnreadable."""
    found = _account_or_fault(lambda: _read_url(url.reveal()))
    if isinstance(found, _Fault):
        raise AccountUnreadable(f"{variable} {found.what}. Write: {variable}={EXAMPLE}")
    return found


def account_from_parts(
    *,
    key: Secret,
    token: Secret,
    sid: str,
    region: str,
    to_key: str = "",
    variables: PartNames = PartNames(),  # noqa: B008 - immutable
) -> Account:
    """Return the account given by its parts, which are not percent-encoded; raises AccountUnreadable."""
    found = _account_or_fault(lambda: _account(key, token, sid, region, to_key))
    if isinstance(found, _Fault):
        name = getattr(variables, found.part)
        raise AccountUnreadable(f"{name} {found.what}. Write: {name}={_LINES[found.part]}")
    return found


@without_locals()
def _account_or_fault(read: Callable[[], Account]) -> Account | _Fault:
    try:
        return read()
    except _Problem as problem:
        # The problem itself would keep its traceback, and with it the plain text.
        return _Fault(*problem.args)


def _read_url(url: str) -> Account:
    if not url:
        raise _Problem("is empty")
    if any(letter.isspace() or not letter.isprintable() for letter in url):
        raise _Problem("contains a blank, a line break or an unprintable character; percent-encode it")
    scheme, separator, rest = url.partition("://")
    if scheme.lower() != "exotel" or not separator:
        raise _Problem("does not begin with exotel://")
    if "#" in rest:
        raise _Problem("contains a #; percent-encode it, as %23")
    rest, _, query = rest.partition("?")
    if "@" in query:
        raise _Problem("contains a ? or an @ in the key or the token; percent-encode them, as %3F and %40")
    if rest.count("@") > 1:
        raise _Problem("contains more than one @; percent-encode those of the key and the token, as %40")
    credentials, at, place = rest.partition("@")
    if not at:
        raise _Problem("lacks the part KEY:TOKEN@")
    if "/" in credentials:
        raise _Problem("contains a / in the key or the token; percent-encode it, as %2F")
    key, _, token = credentials.partition(":")
    region, _, sid = place.partition("/")
    if "/" in sid:
        raise _Problem("has more after ACCOUNT_SID; percent-encode a / inside it, as %2F")
    return _account(Secret(_decoded(key)), Secret(_decoded(token)), _decoded(sid), f"{region}?{query}", "")


def _decoded(part: str) -> str:
    if not _STRAY_PERCENT.search(part):
        try:
            return unquote(part, errors="strict")
        except UnicodeDecodeError:
            pass
    raise _Problem("contains a % that begins no percent-encoded character; write a plain % as %25")


def _account(key: Secret, token: Secret, sid: str, region: str, to_key: str) -> Account:
    _check("the API key", key.reveal(), "key")
    _check("the API token", token.reveal(), "token")
    _check("the account SID", sid, "sid")
    if ":" in key.reveal():
        raise _Problem("has a colon in the key, which HTTP does not allow", "key")
    if sid in {".", ".."} or "/" in sid:
        raise _Problem("names no account SID", "sid")
    region, _, query = region.lower().partition("?")
    options = _options(query)
    if (to_key := to_key or options.get("to", "")) not in {"", *TO_KEYS}:
        raise _Problem(f"pins an unknown key for the customer; known are {' and '.join(TO_KEYS)}", "to_key")
    ccm_url, api_url = _hosts(region, tls=options.get("tls") != "off")
    return Account(sid=sid, key=key, token=token, ccm_url=ccm_url, api_url=api_url, to_key=to_key or None)


def _check(name: str, value: str, part: str) -> None:
    if not value:
        raise _Problem(f"lacks {name}", part)
    if value != value.strip() or not value.isprintable():
        raise _Problem(f"has a blank, a line break or an unprintable character in {name}", part)


def _options(query: str) -> dict[str, str]:
    pairs = [option.partition("=")[::2] for option in query.split("&")] if query else []
    options = dict(pairs)
    if len(options) != len(pairs) or options.keys() - {"tls", "to"}:
        raise _Problem("has an unknown or a repeated option after the ?; known are tls=off and to=number")
    if options.get("tls", "off") != "off":
        raise _Problem("has an unknown value of the option tls; known is tls=off, and without it TLS is on")
    return options


def _hosts(region: str, *, tls: bool) -> tuple[str, str]:
    if not region:
        raise _Problem("lacks the region: mumbai, singapore or a host name")
    if tls and region in REGIONS:
        return REGIONS[region]
    match = _HOST.fullmatch(region)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65536):
        raise _Problem("has an unreadable host or port where the region stands")
    host = match["host"].strip("[]")
    if not tls and not is_loopback_host(host):
        raise _Problem("switches TLS off; tls=off is only for a host on this machine, such as 127.0.0.1")
    if not (match["port"] or "." in host or ":" in host or host == "localhost"):
        raise _Problem("names an unknown region; known are mumbai, singapore or a host name")
    url = f"{'https' if tls else 'http'}://{region}"
    return url, url


def is_loopback_host(host: str) -> bool:
    """Return True if a host name or address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_public_host(host: str) -> bool:
    """Return False for a host name or address that only this machine or a private network can know."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and host.rpartition(".")[2] not in PRIVATE_DOMAINS
