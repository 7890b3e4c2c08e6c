"""Whole calls told over HTTP, and commands run as an operator runs them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call

CUSTOMER = "+919000001001"
FAST = 500.0


@dataclass(frozen=True)
class Printed:
    """What a command printed, and its exit status."""

    out: str
    err: str
    status: int

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def run() -> Callable[..., Printed]:
    """Run a command: ``run("exotel_replay", "--apply")``."""

    def _run(*words: str) -> Printed:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*words, stdout=out, stderr=err)
        except CommandError as error:
            return Printed(out.getvalue(), err.getvalue() + str(error), error.returncode)
        return Printed(out.getvalue(), err.getvalue(), 0)

    return _run


@pytest.fixture
def story(host: Any, exotel: Any) -> Callable[..., CallRecord]:
    """Have a whole recorded call take its course over HTTP, and return it: ``story(to=…)``."""
    exotel.speed = FAST
    agent = host.agent()

    def tell(to: str = CUSTOMER, **options: Any) -> CallRecord:
        call = place_call(agent=agent, to=to, recording=True, **options)
        exotel.wait_until_quiet(timeout=20)
        return CallRecord.objects.get(pk=call.pk)

    return tell


def columns(call: CallRecord) -> dict[str, Any]:
    """Return all that a call's record says, but when it last changed and when it is looked after next."""
    fields = {field.attname: getattr(call, field.attname) for field in CallRecord._meta.concrete_fields}
    plan = ("updated_at", "details_check_at", "announce_at", "next_check_at", "checks", "gave_up_at", "was_rebuilt")
    return {name: value for name, value in fields.items() if name not in plan}


def record(call: CallRecord) -> dict[str, Any]:
    """Return :func:`columns` as the database has them now."""
    return columns(CallRecord.objects.get(pk=call.pk))
