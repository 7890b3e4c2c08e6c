"""What a call may be asked for beyond its two phones (docs/exotel.md 2.3)."""

from __future__ import annotations

OPTIONS: dict[str, type] = {
    "recording": bool,
    "recording_channels": str,
    "wait_audio_url": str,
    "max_time_limit": int,
    "attempt_time_out": int,
}
RECORDING_CHANNELS = ("single", "dual")


def check_option(name: str, value: object) -> None:
    """Raise ``TypeError`` or ``ValueError`` that says what the option must be; None is "not asked for"."""
    kind = OPTIONS[name]
    if value is None:
        return
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} must be {kind.__name__}, not {type(value).__name__}.")
    if name == "recording_channels" and value not in RECORDING_CHANNELS:
        raise ValueError('recording_channels must be "single" or "dual".')
    if isinstance(value, int) and kind is int and value <= 0:
        raise ValueError(f"{name} must be a number of seconds above 0.")
