"""ExotelClient: places calls, fetches Call Details and everything else, and says what the answer proves.

The question is always whether a phone can be ringing (docs/exotel.md 2.9). A request that may have reached Exotel is
never repeated here; `errors` has the verdicts.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache, partial
from importlib import metadata
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from django_exotel_ccm import metrics

from . import transport
from .account import TO_KEYS, Account, without_locals
from .call_request import CallRequest
from .calls import CallFacts, facts_of_answer
from .errors import (
    ExotelError,
    InvalidRequest,
    NoUsableAnswer,
    OutcomeUnknown,
    Reply,
    Unreachable,
    error_from_answer,
    error_from_quiet_answer,
)
from .transport import Attempt, Connections
from .values import as_object, clean_seconds, clean_text, read_json

logger = logging.getLogger("django_exotel_ccm.exotel")

LARGEST_ANSWER = 1024 * 1024
# A shorter key or token is a word of a test; replacing it would damage the answers it occurs in.
SHORTEST_REDACTED = 8

Host = Literal["ccm", "api"]
"""Which host of the region: "ccm" has calls and users, "api" the account and its ExoPhones (docs/exotel.md 1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Exotel's answer to a request that it accepted."""

    http_status: int
    request_id: str
    facts: CallFacts
    raw: bytes
    tries: int


class _Failure(NamedTuple):
    """Why there is no answer, in plain values: the exception itself would hold its frames."""

    sent: bool
    timed_out: bool
    cause: str


class ExotelClient:
    """The client of one account. Cheap to make: the process shares the connections. Times are in seconds."""

    def __init__(
        self,
        account: Account,
        *,
        version: str | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        deadline: float = 45.0,
    ) -> None:
        if not account.is_loopback and urlsplit(account.ccm_url).scheme != "https":
            raise ValueError("Requests to Exotel need TLS; only a host on this machine works without it.")
        self.account = account
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.deadline = deadline
        self._calls_path = f"/v2/accounts/{quote(account.sid, safe='')}/calls"
        self._headers = {
            "User-Agent": f"django-exotel-ccm/{version or own_version()}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }

    def make_call(self, request: CallRequest, *, reference: str = "") -> Answer:
        """Place a call (docs/exotel.md 2), which the log names by ``reference``.

        Raises NotPlaced if certainly no phone rang, OutcomeUnknown if one may be ringing.
        """
        with without_locals():
            outcome = self._place(request, reference)
        # Raise here, outside of any except block: frames further in hold the Authorization header.
        if isinstance(outcome, ExotelError):
            raise outcome
        return outcome

    def call_details(self, call_sid: str, *, reference: str = "") -> Answer:
        """Fetch what Exotel knows about a call (docs/exotel.md 7), which the log names by ``reference``.

        Raises CallNotFound or another ExotelError.
        """
        if call_sid in {"", ".", ".."}:
            raise ValueError("This is no call SID.")
        path = f"{self._calls_path}/{quote(call_sid, safe='')}"
        with without_locals():
            deadline_at = transport.clock() + self.deadline
            outcome = self._request("GET", path, None, deadline_at=deadline_at, reference=reference)
        if isinstance(outcome, ExotelError):
            raise outcome
        return outcome

    def get(self, path: str, query: Mapping[str, str | int] | None = None, *, host: Host = "ccm") -> Reply:
        """Fetch anything that is not a call; ``{sid}`` in the path stands for the account's SID.

        Raises NotPlaced, RequestRefused or NoUsableAnswer. Whatever it raises, the request may be sent again.
        """
        return self._quiet("GET", path, query, None, host)

    def put(self, path: str, payload: dict[str, Any], *, host: Host = "ccm") -> Reply:
        """Change anything that is not a call; raises what :meth:`get` raises.

        After NoUsableAnswer it is not known whether the change was made.
        """
        return self._quiet("PUT", path, None, payload, host)

    def _quiet(
        self, method: str, path: str, query: Mapping[str, str | int] | None, payload: dict[str, Any] | None, host: Host
    ) -> Reply:
        target = path.replace("{sid}", quote(self.account.sid, safe=""))
        if query:
            target += f"?{urlencode(query)}"
        with without_locals():
            outcome = self._request_quietly(method, target, payload, host)
        if isinstance(outcome, ExotelError):
            raise outcome
        return outcome

    def _request_quietly(
        self, method: str, target: str, payload: dict[str, Any] | None, host: Host
    ) -> Reply | ExotelError:
        began_at = transport.clock()
        found = self._exchange(method, target, payload, began_at + self.deadline, host)
        outcome = _quiet_outcome_of(found)
        self._log(method, target.partition("?")[0], outcome, began_at, "other")
        return outcome

    def _place(self, request: CallRequest, reference: str) -> Answer | ExotelError:
        deadline_at = transport.clock() + self.deadline
        memory = (self.account, os.getpid())
        to_key = self.account.to_key or _working_to_keys.get(memory, TO_KEYS[0])
        send = partial(self._request, "POST", self._calls_path, deadline_at=deadline_at, reference=reference)
        outcome = send(request.payload(to_key))
        if self.account.to_key or not _rejects_the_body(outcome):
            return outcome
        # This refusal proves that nothing was placed, so the other key can be tried; its answer is the one that counts.
        other = next(key for key in TO_KEYS if key != to_key)
        outcome = send(request.payload(other), tries=2)
        if isinstance(outcome, Answer):
            _working_to_keys[memory] = other
        return outcome

    def _request(
        self,
        method: str,
        path: str,
        payload: dict[str, Any] | None,
        *,
        deadline_at: float,
        reference: str,
        tries: int = 1,
    ) -> Answer | ExotelError:
        began_at = transport.clock()
        found = self._exchange(method, path, payload, deadline_at, "ccm")
        outcome = _outcome_of(found, placing=method == "POST", tries=tries)
        what = "call" if method == "POST" else "call details"
        self._log(method, what, outcome, began_at, what.replace(" ", "_"), reference)
        return outcome

    def _log(
        self,
        method: str,
        what: str,
        outcome: Answer | Reply | ExotelError,
        began_at: float,
        request: str,
        reference: str = "",
    ) -> None:
        seconds = transport.clock() - began_at
        no_answer = "not_sent" if isinstance(outcome, Unreachable) else "no_answer"
        metrics.observe_request(request, str(outcome.http_status or no_answer), seconds)
        logger.info(
            "%s %s: %s, HTTP %s, request %s, %d ms",
            method,
            f"{what} {reference}" if reference else what,
            _outcome_name(outcome),
            outcome.http_status or "-",
            outcome.request_id or "-",
            seconds * 1000,
            extra={"reference": reference, "http_status": outcome.http_status, "request_id": outcome.request_id},
        )

    def _exchange(
        self, method: str, target: str, payload: dict[str, Any] | None, deadline_at: float, host: Host
    ) -> Reply | _Failure:
        attempt = Attempt(deadline_at, self.connect_timeout, self.read_timeout)
        origin = self.account.ccm_url if host == "ccm" else self.account.api_url
        try:
            return self._send(method, origin, target, payload, attempt)
        except Exception as error:  # noqa: BLE001 - whatever it is, its frames hold the Authorization header
            return _failure(error, attempt)

    def _send(self, method: str, origin: str, target: str, payload: dict[str, Any] | None, attempt: Attempt) -> Reply:
        headers = {**self._headers, "Authorization": f"Basic {credentials(self.account)}"}
        body = None
        if payload is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(payload).encode()
        response = _connections(self.account, origin).send(method, target, headers, body, attempt)
        try:
            return self._reply(response.status, response.headers, _bounded(response))
        finally:
            # A connection whose answer was not read to its end is closed, and then forgotten.
            response.close()
            response.release_conn()

    def _reply(self, http_status: int, headers: Any, raw: bytes) -> Reply:
        raw = _redacted(raw, self.account)
        payload, _ = read_json(raw)
        request_id = clean_text(as_object(payload).get("request_id") or headers.get("X-Request-Id"), 64) or ""
        return Reply(
            http_status=http_status,
            payload=payload,
            facts=facts_of_answer(payload),
            raw=raw,
            request_id="".join(letter for letter in request_id if letter.isalnum() or letter in "-_.:"),
            retry_after=clean_seconds(headers.get("Retry-After")),
            date=_date(headers.get("Date")),
        )


_connections_of: dict[tuple[Account, str, int], Connections] = {}
_working_to_keys: dict[tuple[Account, int], str] = {}


def _connections(account: Account, origin: str) -> Connections:
    # By process too: after a fork, a connection belongs to the parent.
    owner = (account, origin, os.getpid())
    return _connections_of.get(owner) or _connections_of.setdefault(owner, Connections(origin))


def credentials(account: Account) -> str:
    """Return key and token as HTTP Basic authentication sends them."""
    return b64encode(f"{account.key.reveal()}:{account.token.reveal()}".encode()).decode()


def _redacted(raw: bytes, account: Account) -> bytes:
    """Return the answer without our credentials, which proxies and error pages may repeat."""
    plain = [account.key.reveal(), account.token.reveal(), credentials(account)]
    for secret in (*plain, *(quote(secret, safe="") for secret in plain)):
        if len(secret) >= SHORTEST_REDACTED:
            raw = raw.replace(secret.encode(), b"********")
    return raw


def _date(text: str | None) -> datetime.datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _bounded(stream: Any) -> bytes:
    body = bytearray()
    while len(body) <= LARGEST_ANSWER and (chunk := stream.read(65536, decode_content=True)):
        body += chunk
    return bytes(body[:LARGEST_ANSWER])


def _failure(error: BaseException, attempt: Attempt) -> _Failure:
    timeouts = (TimeoutError, urllib3.exceptions.TimeoutError)
    return _Failure(attempt.sent, any(isinstance(link, timeouts) for link in links_of(error)), cause_of(error))


def cause_of(error: BaseException) -> str:
    """Return the exception's name and the system's text. The message is left out: it may quote a proxy's password."""
    wrapped = next((part for part in error.args if isinstance(part, BaseException)), error)
    system = next((link.strerror for link in links_of(error) if isinstance(link, OSError) and link.strerror), "")
    return ": ".join(part for part in (type(wrapped).__name__, str(system)) if part)


def links_of(error: BaseException) -> list[BaseException]:
    """Return the exception and its causes, the outermost first, at most 20."""
    chain: list[BaseException] = []
    link: object = error
    while isinstance(link, BaseException) and len(chain) < 20:
        chain.append(link)
        link = getattr(link, "reason", None) or link.__cause__ or link.__context__
    return chain


def _outcome_of(found: Reply | _Failure, *, placing: bool, tries: int) -> Answer | ExotelError:
    if isinstance(found, Reply):
        return error_from_answer(found, placing=placing, tries=tries) or Answer(
            http_status=found.http_status,
            request_id=found.request_id,
            facts=found.facts,
            raw=found.raw,
            tries=tries,
        )
    if not found.sent:
        return Unreachable(found.cause, code="unreachable", tries=tries)
    return OutcomeUnknown(found.cause, code="timeout" if found.timed_out else "connection_lost", tries=tries)


def _quiet_outcome_of(found: Reply | _Failure) -> Reply | ExotelError:
    if isinstance(found, Reply):
        return error_from_quiet_answer(found) or found
    if not found.sent:
        return Unreachable(found.cause, code="unreachable")
    return NoUsableAnswer(found.cause, code="timeout" if found.timed_out else "connection_lost")


def _outcome_name(outcome: Answer | Reply | ExotelError) -> str:
    if not isinstance(outcome, ExotelError):
        return "accepted"
    return f"{type(outcome).__name__} {outcome.code}" if outcome.code else type(outcome).__name__


def _rejects_the_body(outcome: Answer | ExotelError) -> bool:
    return isinstance(outcome, InvalidRequest) and outcome.http_status == 400


@cache
def own_version() -> str:
    """Return the installed version of this package; "unknown" where it is not installed."""
    try:
        return metadata.version("django-exotel-ccm")
    except metadata.PackageNotFoundError:
        return "unknown"
