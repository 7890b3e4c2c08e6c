"""Logs and mails about callbacks name the call, and never its URL, which contains the token."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.core import mail
from django.db import OperationalError

from django_exotel_ccm.webhooks import views
from django_exotel_ccm.webhooks.views import MAX_BODY_BYTES
from tests.factories import Calls, body_of, url_of


def fail(error: Exception) -> Any:
    def record(*_args: Any, **_options: Any) -> None:
        raise error

    return staticmethod(record)


@pytest.fixture(autouse=True)
def admins(settings: Any) -> None:
    settings.ADMINS = [("Meera", "meera@example.com")] if django_takes_pairs() else ["meera@example.com"]


def django_takes_pairs() -> bool:
    import django

    return django.VERSION < (6, 0)


@pytest.mark.parametrize(
    ("status", "request_", "error"),
    [
        (405, {"method": "GET"}, None),
        (403, {"forged": "x"}, None),
        (413, {"data": b" " * (MAX_BODY_BYTES + 1)}, None),
        (411, {"HTTP_TRANSFER_ENCODING": "chunked", "data": b""}, None),
        (503, {}, OperationalError("gone")),
        (500, {}, RuntimeError("a bug")),
    ],
)
def test_logs_and_mails_hide_the_token(
    status: int,
    request_: dict[str, Any],
    error: Exception | None,
    calls: Calls,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    call = calls.accepted()
    path = url_of(call)
    token = path.split("/")[-2]
    if error is not None:
        monkeypatch.setattr(views.CallbackView, "record", fail(error))
    options = {"method": "POST", "data": body_of(), "forged": "", **request_}
    method, data, forged = (options.pop(name) for name in ("method", "data", "forged"))

    response = calls.client.generic(method, path.replace(token, token + forged), data, "application/json", **options)

    logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert response.status_code == status
    assert token.partition(".")[2] not in logged
    assert path not in logged
    assert mail.outbox == []
    assert (str(call.reference) in logged) is (status not in (403, 405))
