"""Reads the body of a Make a Call as strictly as its documentation (docs/exotel.md 2.3 to 2.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django_exotel_ccm.simulator.options import ToKey

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
EXOPHONE = re.compile(r"\+[1-9][0-9]{6,14}|0[0-9]{10}")
SIP = re.compile(r"sip:[^\s@]+(@[^\s@]+)?")
EVENTS = ("answered", "terminal")
LONGEST_CUSTOM_FIELD = 128


class NotUnderstoodError(Exception):
    """The body is not what the documentation asks for; the text names the field."""


@dataclass(frozen=True)
class Understood:
    """Who shall call whom: the agent's uri or user_id, the customer's number, the ExoPhone as written."""

    agent: str
    customer_number: str
    virtual_number: str


def understood(payload: dict[str, Any], to_key: ToKey) -> Understood:
    """The words of a Make a Call, every field checked; NotUnderstoodError otherwise."""
    for field, check in OPTIONAL.items():
        if payload.get(field) is not None:
            check(field, payload[field])
    return Understood(
        agent=_agent(payload.get("from")),
        customer_number=_customer(payload.get("to"), to_key),
        virtual_number=_matching("virtual_number", payload.get("virtual_number"), EXOPHONE),
    )


def _agent(value: Any) -> str:
    keys = _object("from", value).keys() & {"user_contact_uri", "user_id"}
    if len(keys) != 1:
        raise NotUnderstoodError("from must have exactly one of user_contact_uri and user_id")
    key = keys.pop()
    if key == "user_id":
        return _text("from.user_id", value[key])
    uri = _text("from.user_contact_uri", value[key])
    if not (E164.fullmatch(uri) or SIP.fullmatch(uri)):
        raise NotUnderstoodError("from.contact_uri is invalid")
    return uri


def _customer(value: Any, to_key: ToKey) -> str:
    known = ("number", "customer_contact_uri") if to_key == "both" else (to_key,)
    keys = [key for key in known if key in _object("to", value)]
    # Exotel's own text speaks of to.contact_uri whatever the key was (docs/exotel.md 2.4).
    if len(keys) != 1:
        raise NotUnderstoodError("to.contact_uri is invalid")
    return _matching("to.contact_uri", value[keys[0]], E164)


def _object(field: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotUnderstoodError(f"{field} must be an object")
    return value


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise NotUnderstoodError(f"{field} must be a string")
    return value


def _matching(field: str, value: Any, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(_text(field, value)):
        raise NotUnderstoodError(f"{field} is invalid")
    matched: str = value
    return matched


def _check_flag(field: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise NotUnderstoodError(f"{field} must be true or false")


def _check_seconds(field: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise NotUnderstoodError(f"{field} must be a positive number of seconds")


def _check_channels(field: str, value: Any) -> None:
    if value not in ("single", "dual"):
        raise NotUnderstoodError(f"{field} must be single or dual")


def _check_custom_field(field: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > LONGEST_CUSTOM_FIELD:
        raise NotUnderstoodError(f"{field} must be a string of at most {LONGEST_CUSTOM_FIELD} characters")


def _check_url(field: str, value: Any) -> None:
    try:
        parts = urlsplit(_text(field, value))
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        sound = False
    if not sound:
        raise NotUnderstoodError(f"{field} must be an http or https URL")


def _check_callbacks(field: str, value: Any) -> None:
    if not isinstance(value, list):
        raise NotUnderstoodError(f"{field} must be an array")
    for index, entry in enumerate(value):
        place = f"{field}[{index}]"
        if _object(place, entry).get("event") not in EVENTS:
            raise NotUnderstoodError(f"{place}.event must be one of {', '.join(EVENTS)}")
        _check_url(f"{place}.url", entry.get("url"))


OPTIONAL = {
    "recording": _check_flag,
    "recording_channels": _check_channels,
    "wait_audio_url": _check_url,
    "max_time_limit": _check_seconds,
    "attempt_time_out": _check_seconds,
    "custom_field": _check_custom_field,
    "status_callback": _check_callbacks,
}
"""Optional field -> what checks it; null counts as absent."""
