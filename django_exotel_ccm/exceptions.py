"""What this package raises.

    ExotelCCMError
    ├── CallRefused             Exotel, a rule or the configuration said no; nothing rang
    ├── PlacedInsideTransaction (RuntimeError) place_call was called inside a transaction
    ├── DeviceNotSwitched       a device is as it was
    ├── SyncedInsideTransaction (RuntimeError) Exotel's lists were to be fetched inside a transaction
    ├── RequestKeyReused        (ValueError) one request key, two different calls
    ├── InvalidNumber           (ValueError) text that is no phone number
    ├── InvalidNote             (ValueError) a note that says nothing, is too long, or has a disposition that is off
    └── InvalidFollowUp         (ValueError) a moment at which nobody can be called back

A setting that cannot be read raises Django's own ``ImproperlyConfigured``: it is not an event of a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_exotel_ccm.models import CallRecord


class ExotelCCMError(Exception):
    """The base of everything this package raises on purpose."""


class CallRefused(ExotelCCMError):
    """The call was not placed and nobody's phone rings.

    ``call`` is the recorded call (never None), ``code`` Exotel's code or the rule's name, ``advice`` a sentence for
    the agent.
    """

    def __init__(self, call: CallRecord, code: str, advice: str) -> None:
        super().__init__(call, code, advice)
        self.call = call
        self.code = code
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.advice} [{self.code}]"


class PlacedInsideTransaction(ExotelCCMError, RuntimeError):
    """``place_call`` was called while a transaction was open, so its record could be rolled back after dialling."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"place_call was called inside a transaction on database {self.alias!r}: a rollback would erase a call "
            "that rings. Place it after the commit: transaction.on_commit(lambda: place_call(...)). "
            "In a view, decorate it with @transaction.non_atomic_requests."
        )


class SyncedInsideTransaction(ExotelCCMError, RuntimeError):
    """A list of Exotel was to be fetched while a transaction was open, which would stay open meanwhile."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"Exotel's lists are not fetched inside a transaction, and one is open on database {self.alias!r}. "
            "Fetch them after the commit: transaction.on_commit(lambda: sync_agents(account))."
        )


class DeviceNotSwitched(ExotelCCMError):
    """A device is as it was. ``code`` is Exotel's or a word of ours, ``advice`` a sentence for the agent."""

    def __init__(self, code: str, advice: str) -> None:
        super().__init__(code, advice)
        self.code = code
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.advice} [{self.code}]"


class RequestKeyReused(ExotelCCMError, ValueError):
    """The request key belongs to a call, placed or refused, that was asked for in another way."""

    def __init__(self, call: CallRecord) -> None:
        super().__init__(call)
        self.call = call

    def __str__(self) -> str:
        return (
            f"This request_key belongs to call {self.call.reference}, which was asked for with another number, agent, "
            "ticket, override_reason or option. Give each call a request_key of its own."
        )


class InvalidNumber(ExotelCCMError, ValueError):
    """Text that cannot be dialled; ``str()`` says what to type and never quotes the number."""


class InvalidNote(ExotelCCMError, ValueError):
    """A note that cannot be kept as it is; ``str()`` says what to change. Nothing was stored."""


class InvalidFollowUp(ExotelCCMError, ValueError):
    """A moment at which nobody can be called back; ``str()`` says what to change. Nothing was stored."""
