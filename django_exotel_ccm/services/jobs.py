"""The jobs that a runner is given."""

from __future__ import annotations

from django_exotel_ccm import background
from django_exotel_ccm.services.telling import tell_call


def register_all() -> None:
    """Register every job."""
    background.register("announce", announce)
    background.register("reconcile", reconcile_once)


def announce(call: int) -> None:
    """Call the receivers that have not been told of the call with this key yet."""
    tell_call(call)


def reconcile_once() -> None:
    """Do one pass of ``exotel_reconcile``."""
    from django_exotel_ccm.services.reconciling import reconcile  # noqa: PLC0415 - it speaks HTTP, and most never call it

    reconcile()
