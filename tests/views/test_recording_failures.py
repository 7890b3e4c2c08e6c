"""What is answered when there is nothing to play, or it cannot be fetched."""

from __future__ import annotations

import datetime
import logging
from typing import Any

import pytest
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import recordings
from django_exotel_ccm.services.transactions import open_transaction
from tests.servers.scripted_http import answering, http, silent
from tests.views.recording_player import SECRET, SOUND, RecordingPlayer, facts_of, play, url_of
from tests.views.test_recording import NOISY, WHOLE, assert_hides_the_address, rows


def assert_message(player: RecordingPlayer, call: CallRecord, status: int, text: str) -> Any:
    client = player.listener()
    answer = client.get(url_of(call))

    assert (answer.status_code, answer.content.decode().strip()) == (status, text)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert_hides_the_address(answer, answer.content)
    assert client.head(url_of(call)).status_code == status
    assert rows() == []
    return answer


NOT_READY = "The recording is not ready yet. Try again in a minute."
GONE = "The recording is no longer kept by Exotel."
NONE = "There is no recording of this call."
FAILED = "The recording could not be fetched. An administrator finds the reason in the log."


def ago(seconds: float) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(seconds=seconds)


@pytest.mark.parametrize(("status", "since", "expected"), [(403, 590, (503, NOT_READY)), (404, 610, (404, GONE))])
def test_missing_recording_is_expected_for_the_setting(
    player: RecordingPlayer, settings: Any, status: int, since: int, expected: tuple[int, str]
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RECORDING_RETRY_FOR": 600}
    player.serve(answering(http(status, SECRET.encode(), *NOISY)))

    call = player.call(player.host.ticket(), created_at=ago(since + 60), ended_at=ago(since))
    answer = assert_message(player, call, *expected)

    assert answer.get("Retry-After") == ("60" if expected[0] == 503 else None)


@pytest.mark.parametrize(("expired", "answer", "due"), [(True, (503, NOT_READY), True), (False, (404, GONE), False)])
def test_expired_address_is_fetched_again(
    expired: bool, answer: tuple[int, str], due: bool, player: RecordingPlayer
) -> None:
    player.serve(answering(http(403, b"Request has expired")))
    ended = timezone.now() - datetime.timedelta(days=2)
    call = player.call(player.host.ticket(), call_sid="5" * 32, ended_at=ended, created_at=ended)
    signed_until = ended + datetime.timedelta(minutes=5) if expired else timezone.now() + datetime.timedelta(days=1)
    call.recording_url += f"&Expires={int(signed_until.timestamp())}"
    call.facts = facts_of(call.recording_url)
    call.save()

    response = player.listener().get(url_of(call))

    assert (response.status_code, response.content.decode().strip()) == answer
    call.refresh_from_db()
    assert (call.next_check_at is not None, call.details_check_at is not None) == (due, due)


def test_recording_not_ready_logs_no_warning(player: RecordingPlayer, caplog: pytest.LogCaptureFixture) -> None:
    player.serve(answering(http(404)))

    player.listener().get(url_of(player.call(player.host.ticket())))

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (503, NOT_READY)),
        ({"recording_requested": False}, (404, NONE)),
        ({"talk_time": 0}, (404, NONE)),
        ({"talk_time": None}, (503, NOT_READY)),
        ({"state": "refused"}, (404, NONE)),
        ({"state": "active", "ended_at": None, "talk_time": None, "created_at": None}, (503, NOT_READY)),
        ({"ended_at": "long ago", "created_at": "long ago"}, (404, NONE)),
    ],
)
def test_call_without_recording_address(
    player: RecordingPlayer, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    server = player.serve(silent)
    moments = {"long ago": ago(100_000), None: ago(300)}
    given = {
        name: moments[value] if name == "created_at" or value == "long ago" else value for name, value in fields.items()
    }

    assert_message(player, player.call(player.host.ticket(), recording_url="", **given), *expected)

    assert server.connections == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "The recording was erased on request."),
        ({"talk_time": 0}, NONE),
        ({"state": "refused"}, NONE),
    ],
)
def test_erased_recording(player: RecordingPlayer, fields: dict[str, Any], expected: str) -> None:
    server = player.serve(answering(WHOLE))

    assert_message(player, player.call(player.host.ticket(), erased_at=timezone.now(), **fields), 404, expected)

    assert server.connections == 0


@pytest.mark.parametrize(
    ("answer", "logged"),
    [
        (http(401), "Exotel refused the key and token of account 'default'"),
        (http(500), "HTTP 500"),
        (http(200, b"<script>alert(1)</script>", "Content-Type: text/html"), "its type is 'text/html'"),
        (http(302, b"", f"Location: https://evil.example/{SECRET}"), "it lies on 'evil.example'"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_reason_of_a_failure_is_only_logged(
    player: RecordingPlayer, caplog: pytest.LogCaptureFixture, answer: bytes, logged: str
) -> None:
    player.serve(answering(answer))
    call = player.call(player.host.ticket())

    assert_message(player, call, 502, FAILED)

    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert logged in text
    assert str(call.reference) in text
    assert SECRET not in text
    assert "planted" not in text


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.example/{SECRET}.wav",
        f"http://127.0.0.1:1/{SECRET}.wav",
        f"{SECRET}",
    ],
)
def test_refused_addresses_are_not_fetched(player: RecordingPlayer, url: str) -> None:
    server = player.serve(silent)

    assert_message(player, player.call(player.host.ticket(), recording_url=url), 502, FAILED)

    assert server.connections == 0


@pytest.mark.parametrize("account", ["sold", "default"])
def test_removed_account(
    player: RecordingPlayer, account: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    player.serve(silent)
    monkeypatch.delenv("EXOTEL_URL")

    assert_message(player, player.call(player.host.ticket(), account=account), 502, FAILED)

    assert "EXOTEL_URL" in caplog.text


# Transactions.


def test_no_transaction_is_open_while_fetching(player: RecordingPlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    player.serve(answering(WHOLE))
    open_recording = recordings.download.open_recording
    looks: list[str | None] = []

    def look(*arguments: Any, **options: Any) -> Any:
        looks.append(open_transaction())
        return open_recording(*arguments, **options)

    monkeypatch.setattr(recordings.download, "open_recording", look)

    assert play(player.listener().get(url_of(player.call(player.host.ticket())))) == SOUND
    assert looks == [None]


def test_transaction_of_a_middleware_is_logged(
    player: RecordingPlayer, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.views.host_middleware.atomic_middleware"]
    server = player.serve(answering(WHOLE))

    assert_message(player, player.call(player.host.ticket()), 502, FAILED)

    assert server.connections == 0
    assert "inside a transaction on database 'default'" in caplog.text


def test_unknown_recording(player: RecordingPlayer) -> None:
    server = player.serve(silent)
    call = player.call(player.host.ticket())
    url = reverse("exotel_ccm:recording", args=[call.reference, "0123456789abcdef"]) + "?exotel_adapter=admin"

    answer = player.listener().get(url)

    assert (answer.status_code, answer.content.decode().strip()) == (404, NONE)
    assert server.connections == 0
