"""Whole calls over HTTP, and commands run as an operator runs them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from django_exotel_ccm import signals
from django_exotel_ccm.masking import contains_number
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
def complete_call(host: Any, exotel: Any) -> Callable[..., CallRecord]:
    """Place a recorded call, wait for its end and return it: ``complete_call(to=…)``."""
    exotel.speed = FAST
    agent = host.agent()

    def place(to: str = CUSTOMER, **options: Any) -> CallRecord:
        call = place_call(agent=agent, to=to, recording=True, **options)
        exotel.wait_until_quiet(timeout=20)
        return CallRecord.objects.get(pk=call.pk)

    return place


@pytest.fixture
def received(receivers: Callable[..., None]) -> list[tuple[str, Any]]:
    """What receivers of all signals got: (signal, event)."""
    got: list[tuple[str, Any]] = []
    for name in ("call_accepted", "call_refused", "call_answered", "call_ended", "recording_ready", "call_updated"):
        receivers(
            getattr(signals, name), lambda event, name=name, **kwargs: got.append((name, event)), dispatch_uid=name
        )
    return got


Erase = Callable[[], str]


def everything() -> str:
    """Return the content of all our tables, as text."""
    found = []
    for model in apps.get_app_config("exotel_ccm").get_models():
        for row in model._base_manager.order_by("pk").values():
            found += [bytes(one).decode() if isinstance(one, bytes | memoryview) else str(one) for one in row.values()]
    return "\n".join(found)


def assert_nothing_left() -> None:
    assert not contains_number(everything(), CUSTOMER)
    assert "secret" not in everything()


@pytest.fixture
def erase(run: Callable[..., Printed]) -> Erase:
    """Erase the customer, check that a dry run finds the same and that nothing is left, and return the counts."""

    def _erase() -> str:
        dry, done = run("exotel_erase", CUSTOMER), run("exotel_erase", CUSTOMER, "--apply")
        counts = done.lines[0].removesuffix(" Erased.")
        assert dry.lines[0] == f"{counts} Nothing is changed."
        assert_nothing_left()
        assert run("exotel_replay").status == 0
        return counts.removeprefix("+••••••••••01: ")

    return _erase


def columns(call: CallRecord) -> dict[str, Any]:
    """Return all columns of a call, except those that say when it changed or is checked next."""
    fields = {field.attname: getattr(call, field.attname) for field in CallRecord._meta.concrete_fields}
    plan = ("updated_at", "details_check_at", "announce_at", "next_check_at", "checks", "gave_up_at", "was_rebuilt")
    return {name: value for name, value in fields.items() if name not in plan}


def record(call: CallRecord) -> dict[str, Any]:
    """Return :func:`columns` as the database has them now."""
    return columns(CallRecord.objects.get(pk=call.pk))
