"""Checks the body of a Make a Call as strictly as its documentation (docs/exotel.md 2.3 to 2.5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from django_exotel_ccm.simulator.options import EVENTS, ToKey, is_url
from django_exotel_ccm.simulator.refusals import RefusedError

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
EXOPHONE = re.compile(rf"{E164.pattern}|0[0-9]{{10}}")
AGENT = re.compile(rf"{E164.pattern}|sip:[^\s@]+(@[^\s@]+)?")
USER_ID = re.compile(r".+", re.DOTALL)


class CallRequest(NamedTuple):
    """Who shall call whom: the agent's uri or user_id, the customer's number, the ExoPhone as written."""

    agent: str
    customer_number: str
    virtual_number: str


def read_call_request(payload: Any, to_key: ToKey) -> CallRequest:
    """Return what a Make a Call asks for. RefusedError names a field that is not as the documentation says."""
    if not isinstance(payload, dict):
        raise RefusedError(10725, "The body is not a JSON object")
    for name, is_valid in OPTIONAL.items():
        if payload.get(name) is not None and not is_valid(payload[name]):
            raise RefusedError(10725, f"{name} is invalid")
    to_keys = ("number", "customer_contact_uri") if to_key == "both" else (to_key,)
    return CallRequest(
        agent=_only_one_of("from", payload.get("from"), {"user_contact_uri": AGENT, "user_id": USER_ID}),
        # Exotel's own text names to.contact_uri whatever the key was (docs/exotel.md 2.4).
        customer_number=_only_one_of("to.contact_uri", payload.get("to"), dict.fromkeys(to_keys, E164)),
        virtual_number=_matching("virtual_number", payload.get("virtual_number"), EXOPHONE),
    )


def _only_one_of(name: str, value: Any, patterns: dict[str, re.Pattern[str]]) -> str:
    keys = [key for key in patterns if isinstance(value, dict) and key in value]
    if len(keys) != 1:
        raise RefusedError(10725, f"{name} is invalid")
    return _matching(name, value[keys[0]], patterns[keys[0]])


def _matching(name: str, value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RefusedError(10725, f"{name} is invalid")
    return value


def _is_seconds(value: Any) -> bool:
    return type(value) is int and value > 0


def _are_callbacks(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, dict) and entry.get("event") in EVENTS and is_url(entry.get("url")) for entry in value
    )


OPTIONAL: dict[str, Callable[[Any], bool]] = {
    "recording": lambda value: isinstance(value, bool),
    "recording_channels": lambda value: value in ("single", "dual"),
    "wait_audio_url": is_url,
    "max_time_limit": _is_seconds,
    "attempt_time_out": _is_seconds,
    "custom_field": lambda value: isinstance(value, str) and len(value) <= 128,
    "status_callback": _are_callbacks,
}
"""Optional field -> what is valid; null counts as absent."""
