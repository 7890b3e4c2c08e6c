"""Exotel's refusals: what each code means, what to do, whether a phone can ring (docs/exotel.md 2.8, 2.9, 5.6).

    ExotelError
    ├── NotPlaced                   no phone rang because of this request
    │   ├── AuthenticationFailed    1010, HTTP 401
    │   ├── AccountNotFound         1017
    │   ├── AgentNotFound           10731
    │   ├── AgentDeviceOff          1012
    │   ├── AgentDeviceUnverified   10705
    │   ├── AgentDeviceBusy         10706
    │   ├── AgentNotOnline          10708
    │   ├── ExoPhoneNotFound        10716
    │   ├── CustomerBlocked         10717
    │   ├── InvalidRequest          10725
    │   ├── TooManyRequests         10724, HTTP 429
    │   ├── PaymentRequired         HTTP 402
    │   ├── Forbidden               HTTP 403
    │   ├── CallNotFound            10744, HTTP 404: of Call Details only
    │   └── Unreachable             nothing was sent
    ├── OutcomeUnknown              a phone may be ringing; of Call Details: no usable answer
    │   └── InternalError           1100
    ├── RequestRefused              of a request that rings nobody: refused, nothing was changed
    └── NoUsableAnswer              of a request that rings nobody: it may be sent again

What the codes mean: docs/exotel.md 2.8. What an answer proves: docs/life-of-a-call.md.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .calls import CallFacts
from .values import as_object, clean_text, only

LONGEST_TEXT = 300
LARGEST_RAW = 64 * 1024

# These are answered before anything is dialled, whatever code they carry (docs/exotel.md 2.9).
REFUSING_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429})


class ExotelError(Exception):
    """Exotel did not do what was requested."""

    advice: str | Promise = _("Exotel did not do what was asked. Try again later.")
    """What the user can do about it."""

    def __init__(  # noqa: PLR0913 - attributes, by name
        self,
        text: str = "",
        *,
        code: str = "",
        http_status: int | None = None,
        request_id: str = "",
        raw: bytes = b"",
        tries: int = 1,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        """Exotel's own text, or what went wrong on the way."""
        self.code = code
        """Exotel's code; a short word of ours when Exotel gave none: http_502, timeout, unreachable."""
        self.http_status = http_status
        self.request_id = request_id
        """Exotel's id of this exchange; its support asks for it."""
        self.raw = raw[:LARGEST_RAW]
        self.tries = tries
        self.retry_after = retry_after
        """Seconds to wait before another request; None if the answer does not say."""

    def __str__(self) -> str:
        known = {"code": self.code, "HTTP": self.http_status, "request": self.request_id}
        details = ", ".join(f"{name} {value}" for name, value in known.items() if value)
        return f"{self.text or type(self).__name__} ({details})" if details else self.text


class NotPlaced(ExotelError):
    """No phone rang because of this request."""

    advice = _("Exotel refused the call. Nobody's phone rang.")


class OutcomeUnknown(ExotelError):
    """The request may have reached Exotel, and a phone may be ringing: never repeat it."""

    advice = _("It is not known whether Exotel placed this call: a phone may be ringing. Do not call again yet.")


class AuthenticationFailed(NotPlaced):
    advice = _(
        "Exotel does not accept this system's API key and token, or the account belongs to another region. "
        "Ask your administrator to check them."
    )


class AccountNotFound(NotPlaced):
    advice = _("Exotel does not know this account. Ask your administrator to check the account SID and the region.")


class AgentNotFound(NotPlaced):
    advice = _("Exotel does not know you. Ask your administrator to add you as a co-worker in the Exotel dashboard.")


class AgentDeviceOff(NotPlaced):
    advice = _("Your phone is switched off in Exotel. Turn the device on, then call again.")


class AgentDeviceUnverified(NotPlaced):
    advice = _("Your phone is not verified in Exotel. Verify the device, then call again.")


class AgentDeviceBusy(NotPlaced):
    advice = _("Your phone is busy with another call. Finish that call, then call again.")


class AgentNotOnline(NotPlaced):
    advice = _(
        "None of your phones is on in Exotel. A softphone that is open has to be turned on as well. "
        "Turn one on, then call again."
    )


class ExoPhoneNotFound(NotPlaced):
    advice = _("Exotel does not know the ExoPhone of this call. Ask your administrator to check it.")


class CustomerBlocked(NotPlaced):
    advice = _("This customer's number is on the do-not-disturb list, so Exotel does not call it.")


class InvalidRequest(NotPlaced):
    advice = _("Exotel could not read the details of this call. Check the customer's number, then call again.")


class TooManyRequests(NotPlaced):
    advice = _("Exotel was asked too often within a minute. Wait a minute, then try again.")


class PaymentRequired(NotPlaced):
    advice = _("The Exotel account has no balance left or reached a limit of its plan. Tell your administrator.")


class Forbidden(NotPlaced):
    advice = _(
        "Exotel does not allow this: the account may be suspended, or this system's address may not be on "
        "its list. Tell your administrator."
    )


class CallNotFound(NotPlaced):
    advice = _("Exotel does not know this call, or does not know it yet.")


class Unreachable(NotPlaced):
    advice = _("Exotel could not be reached, so nothing was dialled. Try again in a moment.")


class InternalError(OutcomeUnknown):
    pass


class RequestRefused(ExotelError):
    """Exotel refused a request about agents, devices, ExoPhones or the account; nothing was changed."""

    advice: str | Promise = _("Exotel refused this. Nothing was changed.")

    def __init__(self, text: str = "", **known: Any) -> None:
        super().__init__(text, **known)
        self.advice = _REFUSED_ADVICE.get(self.code, self.advice)


class NoUsableAnswer(ExotelError):
    """Exotel gave no answer that can be read to a request that rings nobody. It may be sent again."""

    advice = _("Exotel gave no usable answer. Try again in a few minutes.")


CODES: Mapping[str, type[ExotelError]] = {
    "1010": AuthenticationFailed,
    "1012": AgentDeviceOff,
    "1017": AccountNotFound,
    "1100": InternalError,
    "10705": AgentDeviceUnverified,
    "10706": AgentDeviceBusy,
    "10708": AgentNotOnline,
    "10716": ExoPhoneNotFound,
    "10717": CustomerBlocked,
    "10724": TooManyRequests,
    "10725": InvalidRequest,
    "10731": AgentNotFound,
}
# docs/exotel.md 5.6: only creating and updating users can meet most of them.
_REFUSED_ADVICE: Mapping[str, str | Promise] = {
    "1001": _("Exotel needs a first name. Give the agent one."),
    "1002": _("Exotel does not change an e-mail address that is set. Add the agent anew in the Exotel dashboard."),
    "1007": _("Exotel could not read the request. Ask the developers to look at the log."),
    "1401": _("Exotel does not accept this phone number. Write it with its country code."),
    "1402": _("Exotel needs the agent's phone number. Give the agent one."),
    "10809": _("The phone is not verified in Exotel. Verify it in the Exotel dashboard, then turn it on."),
    "10810": _(
        "Another phone of the same agent is on. If you do not see which, it is a softphone that Exotel does not list. "
        "Turn it off in the Exotel dashboard or in its app, then try again."
    ),
    "10811": _("Another agent has this phone already. Look for it in the Exotel dashboard."),
    "10812": _("Another agent has this phone already. Look for it in the Exotel dashboard."),
    "10813": _("The e-mail address belongs to another Exotel account. Use another one."),
    "10814": _("The Exotel account's documents are not complete. Hand them in at the Exotel dashboard (KYC)."),
    "10815": _("A trial account of Exotel does not allow this. Ask Exotel to upgrade it."),
    "10817": _("Exotel does not change softphones in this way. Change it in the Exotel dashboard."),
}
_STATUSES: Mapping[int, type[ExotelError]] = {
    401: AuthenticationFailed,
    402: PaymentRequired,
    403: Forbidden,
    429: TooManyRequests,
}
_DETAILS_CODES: Mapping[str, type[ExotelError]] = {**CODES, "10744": CallNotFound}
_DETAILS_STATUSES: Mapping[int, type[ExotelError]] = {**_STATUSES, 404: CallNotFound}
# Codes of requests that ring nobody; any other one is judged by the HTTP status.
_QUIET_CODES: Mapping[str, type[ExotelError]] = {
    "1003": Forbidden,
    "1004": NoUsableAnswer,
    "1010": AuthenticationFailed,
    "1017": AccountNotFound,
    "1100": NoUsableAnswer,
    "10724": TooManyRequests,
    "10731": AgentNotFound,
    "10801": AgentNotFound,
    **dict.fromkeys(_REFUSED_ADVICE, RequestRefused),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer of Exotel, as far as it can be read."""

    http_status: int
    payload: object
    facts: CallFacts
    """What it says about a call; empty in an answer about something else."""
    raw: bytes
    request_id: str = ""
    retry_after: int | None = None
    date: datetime.datetime | None = None
    """What the server's clock said."""


def error_from_answer(reply: Reply, *, placing: bool = True, tries: int = 1) -> ExotelError | None:
    """Return the error that an answer means, by its code first, then by its HTTP status; None if it is accepted.

    ``placing`` is False for the answer to a Call Details request.
    """
    code = error_code(reply.payload)
    kind = _kind(code, reply, placing=placing)
    return None if kind is None else _error(kind, reply, code or _code_of_ours(reply, "no_call_sid"), tries)


def error_from_quiet_answer(reply: Reply) -> ExotelError | None:
    """Return the error that the answer to a request means that rings nobody; None if it is accepted.

    The errors of single rows in a list are not looked at.
    """
    is_accepted = 200 <= reply.http_status < 300
    is_list = isinstance(as_object(reply.payload).get("response"), list)
    code = "" if is_accepted and is_list else error_code(reply.payload)
    if is_accepted and not code and isinstance(reply.payload, dict | list):
        return None
    kind = _QUIET_CODES.get(code) or _STATUSES.get(reply.http_status)
    if kind is None:
        is_refusal = reply.http_status in REFUSING_STATUSES or (is_accepted and code)
        kind = RequestRefused if is_refusal else NoUsableAnswer
    return _error(kind, reply, code or _code_of_ours(reply, "unreadable_answer"))


def _error(kind: type[ExotelError], reply: Reply, code: str, tries: int = 1) -> ExotelError:
    return kind(
        error_text(reply.payload),
        code=code,
        http_status=reply.http_status,
        request_id=reply.request_id,
        raw=reply.raw,
        tries=tries,
        retry_after=reply.retry_after,
    )


def _kind(code: str, reply: Reply, *, placing: bool) -> type[ExotelError] | None:
    codes, statuses = (CODES, _STATUSES) if placing else (_DETAILS_CODES, _DETAILS_STATUSES)
    if code in codes:
        return codes[code]
    if reply.http_status in REFUSING_STATUSES:
        return statuses.get(reply.http_status, NotPlaced)
    if 200 <= reply.http_status < 300 and reply.facts.call_sid:
        return None
    return OutcomeUnknown


def _code_of_ours(reply: Reply, without: str) -> str:
    if not 200 <= reply.http_status < 300:
        return f"http_{reply.http_status}"
    return "unreadable_answer" if reply.raw.strip() and reply.payload is None else without


def error_code(payload: object) -> str:
    """Return Exotel's error code from any documented place; "" if there is none."""
    response, top = _response(payload), as_object(payload)
    candidates = [as_object(only(holder.get("error_data"))).get("code") for holder in (response, top)]
    # A value below 1000 only repeats the HTTP status.
    business = clean_text(response.get("code"), 32)
    candidates.append(business if business and business.isdigit() and len(business) > 3 else None)
    candidates.append(as_object(top.get("RestException")).get("Code"))
    return next((code for value in candidates if (code := clean_text(value, 32))), "")


def error_text(payload: object) -> str:
    """Return Exotel's own text about an error; "" if there is none."""
    response, top = _response(payload), as_object(payload)
    holders = [as_object(only(response.get("error_data"))), as_object(only(top.get("error_data")))]
    holders += [as_object(top.get("RestException")), response, top]
    for holder in holders:
        texts = [clean_text(holder.get(name), LONGEST_TEXT) for name in ("message", "Message", "description")]
        if any(texts):
            return ": ".join(dict.fromkeys(text for text in texts if text))[:LONGEST_TEXT]
    return ""


def _response(payload: object) -> Mapping[str, Any]:
    return as_object(only(as_object(payload).get("response")))
