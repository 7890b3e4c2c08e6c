"""The request that places a call, and the options that it may have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OPTIONS: dict[str, type] = {
    "recording": bool,
    "recording_channels": str,
    "wait_audio_url": str,
    "max_time_limit": int,
    "attempt_time_out": int,
}
RECORDING_CHANNELS = ("single", "dual")


def check_option(name: str, value: object) -> None:
    """Raise ``TypeError`` or ``ValueError`` if ``value`` is not one for option ``name``; None is always one."""
    kind = OPTIONS[name]
    if value is None:
        return
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} must be {kind.__name__}, not {type(value).__name__}.")
    if name == "recording_channels" and value not in RECORDING_CHANNELS:
        raise ValueError('recording_channels must be "single" or "dual".')
    if isinstance(value, int) and kind is int and value <= 0:
        raise ValueError(f"{name} must be a number of seconds above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """One call to place (docs/exotel.md 2.3). None means not given; what is not given is not sent."""

    to: str
    virtual_number: str
    user_contact_uri: str | None = None
    user_id: str | None = None
    recording: bool | None = None
    recording_channels: str | None = None
    wait_audio_url: str | None = None
    max_time_limit: int | None = None
    attempt_time_out: int | None = None
    custom_field: str | None = None
    # These URLs are signed: who reads one can report the end of this call. So repr leaves them out.
    status_callback: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if (self.user_contact_uri is None) == (self.user_id is None):
            raise ValueError("A call is placed from either user_contact_uri or user_id: give exactly one.")

    def payload(self, to_key: str = "number") -> dict[str, Any]:
        """Return the request's body as Exotel documents it (docs/exotel.md 2.3); ``to_key`` is one of TO_KEYS."""
        agent = (
            {"user_id": self.user_id} if self.user_contact_uri is None else {"user_contact_uri": self.user_contact_uri}
        )
        options = {name: getattr(self, name) for name in (*OPTIONS, "custom_field")}
        options["status_callback"] = [{"event": event, "url": url} for event, url in self.status_callback] or None
        given = {name: value for name, value in options.items() if value is not None}
        return {"from": agent, "to": {to_key: self.to}, "virtual_number": self.virtual_number, **given}
