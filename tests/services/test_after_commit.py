"""What a host puts off with ``transaction.on_commit`` may fail: the call and the news are kept all the same."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, transaction

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import place_call


@pytest.mark.parametrize("error", [ValueError("no mail server"), OperationalError("no other database")])
def test_a_failing_hook_of_the_host_does_not_make_a_ringing_call_look_failed(
    host: Any, exotel: Any, settings: Any, receivers: Any, caplog: Any, error: Exception
) -> None:
    def send_mail() -> None:
        raise error

    def put_off(**kwargs: Any) -> None:
        transaction.on_commit(send_mail)

    receivers(signals.call_accepted, put_off)

    call = place_call(agent=host.agent(), to="+919000001001")

    assert call.state == State.ACTIVE
    assert CallRecord.objects.get().state == State.ACTIVE
    assert CallEvent.objects.count() == 1
    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 1
    assert "robust=True" in caplog.text
