"""Streaming of recordings under ASGI: bounded memory, back-pressure, and an end when the listener leaves."""

from __future__ import annotations

import asyncio
import contextvars
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.test import Client

from django_exotel_ccm.exotel import download
from django_exotel_ccm.exotel.download import RecordingBroken
from django_exotel_ccm.models import RecordingAccess
from tests.servers.scripted_http import answering, http
from tests.views.recording_player import SOUND, TYPE, RecordingPlayer, url_of
from tests.views.test_recording_streams import (
    LARGE,
    MOST_HELD,
    MOST_ON_THE_WAY,
    PIECE,
    LargeRecording,
    Result,
    cookie_of,
    ends_early,
    stalling,
)


def run(scenario: Callable[[], Awaitable[Result]]) -> Result:
    """Run a scenario in an event loop of its own."""

    async def whole() -> Result:
        return await scenario()

    # The tests before leave thousands of variables in our context, and asgiref copies them all at each piece.
    return contextvars.Context().run(asyncio.run, whole())


class Handler(ASGIHandler):
    """Keeps the request's body, so that the test can close it: after a failure Django does not."""

    async def read_body(self, receive: Any) -> Any:
        self.body = await super().read_body(receive)
        return self.body


class Listener:
    """A client of an ASGI server, which reads at its own pace until it disconnects."""

    def __init__(self, client: Client, url: str) -> None:
        parts = urlsplit(url)
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": [(b"cookie", cookie_of(client).encode()), (b"host", b"testserver")],
        }
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.taken = 0
        self.done = False
        self.leaves = asyncio.Event()
        self.may_take = asyncio.Event()
        self.may_take.set()
        self._asked = False

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            return
        self.taken += len(message.get("body", b""))
        self.done = not message.get("more_body", False)
        await self.may_take.wait()

    async def listen(self) -> None:
        handler = Handler()
        try:
            await handler(self.scope, self.receive, self.send)
        finally:
            handler.body.close()

    async def has_taken(self, amount: int) -> None:
        async with asyncio.timeout(10):
            while self.taken < amount:
                await asyncio.sleep(0.01)


def test_recording_is_played_under_asgi(player: RecordingPlayer) -> None:
    player.serve(answering(http(200, SOUND, TYPE)))
    client, url = player.listener(), url_of(player.call(player.host.ticket()))

    async def scenario() -> Listener:
        listener = Listener(client, url)
        await listener.listen()
        return listener

    listener = run(scenario)

    assert (listener.status, listener.taken, listener.done) == (200, len(SOUND), True)
    assert listener.headers[b"Content-Length"] == str(len(SOUND)).encode()
    assert RecordingAccess.objects.count() == 1


@pytest.mark.sqlite_only("the database has no part in it, and tracing the memory takes many seconds")
def test_large_recording_is_streamed_under_asgi(player: RecordingPlayer) -> None:
    player.serve(LargeRecording())
    client, url = player.listener(), url_of(player.call(player.host.ticket()))

    async def scenario() -> tuple[int, int]:
        listener = Listener(client, url)
        tracemalloc.start()
        try:
            await listener.listen()
            return listener.taken, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    taken, peak = run(scenario)

    assert taken == LARGE
    assert peak < MOST_HELD


def test_slow_listener_slows_the_download_under_asgi(player: RecordingPlayer) -> None:
    recording = LargeRecording()
    player.serve(recording)
    client, url = player.listener(), url_of(player.call(player.host.ticket()))

    async def scenario() -> tuple[int, bool]:
        listener = Listener(client, url)
        listener.may_take.clear()
        task = asyncio.create_task(listener.listen())
        await listener.has_taken(1)
        waiting = await asyncio.to_thread(recording.wait_until_still)
        early = recording.left.is_set()
        listener.leaves.set()
        async with asyncio.timeout(5):
            await task
        return waiting, early

    waiting, early = run(scenario)

    assert waiting < MOST_ON_THE_WAY
    assert not early
    assert recording.left.wait(5)


def test_disconnect_during_silence_under_asgi(player: RecordingPlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENT_FOR", 20.0)
    server = player.serve(stalling)
    client, url = player.listener(), url_of(player.call(player.host.ticket()))

    async def scenario() -> float:
        listener = Listener(client, url)
        task = asyncio.create_task(listener.listen())
        await listener.has_taken(2 * len(PIECE))
        await asyncio.sleep(0.1)  # by now the thread waits for data
        left_at = time.monotonic()
        listener.leaves.set()
        async with asyncio.timeout(15):
            await task
        return time.monotonic() - left_at

    assert run(scenario) < 3
    assert server.closing.wait(5)


def test_no_database_connection_under_asgi(player: RecordingPlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    player.serve(LargeRecording())
    client, url = player.listener(), url_of(player.call(player.host.ticket()))
    held: list[bool] = []
    read = download.RecordingStream.read

    def look(recording: download.RecordingStream) -> bytes:
        held.append(connection.connection is not None)
        return read(recording)

    monkeypatch.setattr(download.RecordingStream, "read", look)

    async def scenario() -> None:
        listener = Listener(client, url)
        task = asyncio.create_task(listener.listen())
        await listener.has_taken(5 * len(PIECE))
        listener.leaves.set()
        await task

    run(scenario)

    assert len(held) >= 5
    assert not any(held)


def test_broken_recording_breaks_the_answer_under_asgi(player: RecordingPlayer) -> None:
    player.serve(ends_early)
    client, url = player.listener(), url_of(player.call(player.host.ticket()))

    async def scenario() -> Listener:
        listener = Listener(client, url)
        with pytest.raises(RecordingBroken):
            await listener.listen()
        return listener

    assert not run(scenario).done
