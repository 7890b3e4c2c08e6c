"""A process that ends between the two commits of a refusal: the reconciler says the refusal, once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind
from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.simulator import Simulator
from tests.services.reconciliation.due_calls import make_due


class Killed(BaseException):
    """The process ends here."""


def never(call: CallRecord) -> str:
    return "Nobody is called."


def test_refusal_that_was_not_recorded(
    host: Any, exotel: Simulator, receivers: Callable[..., None], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[CallRecord] = []
    receivers(signals.call_refused, lambda call, **kwargs: heard.append(call))
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.never"]}
    agent = host.agent()

    def end(*args: Any, **kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("django_exotel_ccm.services.placing._record", end)
        with pytest.raises(Killed):
            place_call(agent=agent, to="+919000001001", request_key="press")
    make_due()
    for _pass in range(2):
        reconcile()

    call = CallRecord.objects.get()
    assert (call.state, call.refusal_code, call.next_check_at) == ("refused", "never", None)
    [event] = call.events.all()
    assert (event.kind, event.code) == (EventKind.POLICY, "never")
    assert heard == [call]
    printed = io.StringIO()
    call_command("exotel_replay", stdout=printed)
    assert "1 call compared with its events: none differs." in printed.getvalue()
    with pytest.raises(CallRefused, match="A rule said no"):
        place_call(agent=agent, to="+919000001001", request_key="press")
    assert exotel.book.requests == []
