"""Checks the body of a Make a Call as strictly as its documentation (docs/exotel.md 2.3 to 2.5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django_exotel_ccm.simulator.options import EVENTS, ToKey

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
EXOPHONE = re.compile(rf"{E164.pattern}|0[0-9]{{10}}")
AGENT = re.compile(rf"{E164.pattern}|sip:[^\s@]+(@[^\s@]+)?")
MAX_CUSTOM_FIELD = 128  # characters


class InvalidBodyError(Exception):
    """The body is not what the documentation asks for; the text names the field."""


@dataclass(frozen=True)
class CallRequest:
    """Who shall call whom: the agent's uri or user_id, the customer's number, the ExoPhone as written."""

    agent: str
    customer_number: str
    virtual_number: str


def read_call_request(payload: Any, to_key: ToKey) -> CallRequest:
    """Return what a Make a Call asks for, every field checked; InvalidBodyError otherwise."""
    body = _object("the body", payload)
    for field, (is_valid, expected) in OPTIONAL.items():
        if body.get(field) is not None and not is_valid(body[field]):
            raise InvalidBodyError(f"{field} must be {expected}")
    _check_callbacks(body.get("status_callback") or [])
    return CallRequest(
        agent=_agent(_object("from", body.get("from"))),
        customer_number=_customer(_object("to", body.get("to")), to_key),
        virtual_number=_matching("virtual_number", body.get("virtual_number"), EXOPHONE),
    )


def _agent(value: dict[str, Any]) -> str:
    keys = value.keys() & {"user_contact_uri", "user_id"}
    if len(keys) != 1:
        raise InvalidBodyError("from must have exactly one of user_contact_uri and user_id")
    if "user_id" in keys:
        return _matching("from.user_id", value["user_id"], re.compile(r".+", re.DOTALL))
    return _matching("from.contact_uri", value["user_contact_uri"], AGENT)


def _customer(value: dict[str, Any], to_key: ToKey) -> str:
    known = ("number", "customer_contact_uri") if to_key == "both" else (to_key,)
    keys = [key for key in known if key in value]
    # Exotel's own text names to.contact_uri whatever the key was (docs/exotel.md 2.4).
    if len(keys) != 1:
        raise InvalidBodyError("to.contact_uri is invalid")
    return _matching("to.contact_uri", value[keys[0]], E164)


def _object(field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidBodyError(f"{field} must be an object")
    return value


def _matching(field: str, value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidBodyError(f"{field} is invalid")
    return value


def _check_callbacks(entries: list[Any]) -> None:
    for index, entry in enumerate(entries):
        place = f"status_callback[{index}]"
        if _object(place, entry).get("event") not in EVENTS:
            raise InvalidBodyError(f"{place}.event must be one of {', '.join(EVENTS)}")
        if not _is_url(entry.get("url")):
            raise InvalidBodyError(f"{place}.url must be an http or https URL")


def _is_url(value: Any) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


OPTIONAL: dict[str, tuple[Callable[[Any], bool], str]] = {
    "recording": (lambda value: isinstance(value, bool), "true or false"),
    "recording_channels": (lambda value: value in ("single", "dual"), "single or dual"),
    "wait_audio_url": (_is_url, "an http or https URL"),
    "max_time_limit": (_is_seconds, "a positive number of seconds"),
    "attempt_time_out": (_is_seconds, "a positive number of seconds"),
    "custom_field": (
        lambda value: isinstance(value, str) and len(value) <= MAX_CUSTOM_FIELD,
        f"a string of at most {MAX_CUSTOM_FIELD} characters",
    ),
    "status_callback": (lambda value: isinstance(value, list), "an array"),
}
"""Optional field -> what is valid, in code and in words; null counts as absent."""
