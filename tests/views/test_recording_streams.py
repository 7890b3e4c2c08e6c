"""A recording on its way: in pieces, however large, for as long as somebody listens; under WSGI and under ASGI."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test import Client, RequestFactory

from django_exotel_ccm.exotel import download
from django_exotel_ccm.exotel.download import RecordingBroken
from django_exotel_ccm.models import RecordingAccess
from tests.servers.scripted_http import Visit, answering, http
from tests.views.recording_player import SOUND, TYPE, Playing, url_of

Result = TypeVar("Result")
MEGABYTE = 1024 * 1024
LARGE = 200 * MEGABYTE
PIECE = bytes(64 * 1024)
MOST_HELD = 4 * MEGABYTE
MOST_ON_THE_WAY = 32 * MEGABYTE
"""What the sockets' buffers of one machine hold, and far less than all."""


class LargeRecording:
    """Sends 200 MB as fast as they are taken, counts them, and notices when the other side leaves."""

    def __init__(self) -> None:
        self.sent = 0
        self.left = threading.Event()

    def __call__(self, visit: Visit) -> None:
        visit.read_request()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: {LARGE}\r\n\r\n"
        try:
            visit.sock.sendall(head.encode())
            while self.sent < LARGE:
                visit.sock.sendall(PIECE)
                self.sent += len(PIECE)
        except OSError:
            self.left.set()

    def stands_still(self) -> int:
        """Wait until no more is taken; return how much was."""
        before = -1
        while before != self.sent:
            before = self.sent
            time.sleep(0.3)
        return before


def stalls(visit: Visit) -> None:
    """Sends a little, and then nothing for long, but notices when the other side leaves."""
    visit.read_request()
    visit.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: {LARGE}\r\n\r\n".encode())
    visit.sock.sendall(PIECE * 2)
    if visit.sock.recv(1) == b"":
        visit.server.closing.set()


def ends_early(visit: Visit) -> None:
    visit.read_request()
    visit.sock.sendall(http(200, SOUND, TYPE)[:-1000])


# WSGI, as its servers do it: a thread calls the application, sends what it iterates over, and closes it.


@pytest.fixture
def serve(playing: Playing) -> Callable[[Callable[[Any], None]], None]:
    """Run ``work(answer)`` with the answer of a WSGI application, in a server's thread."""

    def run(work: Callable[[Any], None]) -> None:
        client, path = playing.listener(), url_of(playing.call(playing.host.ticket()))
        problems: list[BaseException] = []

        def thread() -> None:
            try:
                work(wsgi(client, path))
            except BaseException as problem:  # noqa: BLE001 - shown in the test's own thread
                problems.append(problem)
            finally:
                connection.close()

        server = threading.Thread(target=thread)
        server.start()
        server.join(60)
        assert not server.is_alive()
        if problems:
            raise problems[0]

    return run


def wsgi(client: Client, url: str) -> Any:
    environ = RequestFactory(headers={"Cookie": cookie_of(client)}).get(url).environ
    return WSGIHandler()(environ, lambda status, headers: None)


def cookie_of(client: Client) -> str:
    return f"sessionid={client.cookies['sessionid'].value}"


def test_a_large_recording_is_never_held_whole(playing: Playing, serve: Any) -> None:
    recording = LargeRecording()
    playing.keep(recording)

    def listen(answer: Any) -> None:
        tracemalloc.start()
        try:
            taken = sum(map(len, answer))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            answer.close()
        assert taken == LARGE
        assert peak < MOST_HELD

    serve(listen)


def test_a_slow_listener_slows_exotel_down_and_leaving_ends_it(playing: Playing, serve: Any) -> None:
    recording = LargeRecording()
    playing.keep(recording)

    def listen(answer: Any) -> None:
        pieces = iter(answer)
        for _piece in range(3):
            next(pieces)
        waiting = recording.stands_still()
        assert waiting < MOST_ON_THE_WAY
        assert not recording.left.is_set()
        answer.close()
        assert recording.left.wait(5)

    serve(listen)


def test_an_answer_that_is_closed_unread_ends_it_too(playing: Playing, serve: Any) -> None:
    recording = LargeRecording()
    playing.keep(recording)

    def listen(answer: Any) -> None:
        answer.close()
        assert recording.left.wait(5)
        assert RecordingAccess.objects.count() == 1

    serve(listen)


def test_no_database_connection_is_held_while_somebody_listens(playing: Playing, serve: Any) -> None:
    playing.keep(LargeRecording())

    def listen(answer: Any) -> None:
        assert connection.connection is not None
        next(iter(answer))
        assert connection.connection is None
        answer.close()

    serve(listen)


def test_a_recording_that_breaks_off_breaks_the_answer_off(
    playing: Playing, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    playing.keep(ends_early)

    def listen(answer: Any) -> None:
        try:
            with pytest.raises(RecordingBroken):
                list(answer)
        finally:
            answer.close()

    serve(listen)

    assert "A recording broke off while it was played" in caplog.text


# ASGI.


def run(scenario: Callable[[], Awaitable[Result]]) -> Result:
    """Run a scenario in an event loop of its own."""

    async def whole() -> Result:
        return await scenario()

    return asyncio.run(whole())


class Handler(ASGIHandler):
    """Django's, which leaves the body of a request that fails, empty as it is, to the garbage collector."""

    async def read_body(self, receive: Any) -> Any:
        self.body = await super().read_body(receive)
        return self.body


class Listener:
    """A client of an ASGI server: takes what is sent, at its own pace, until it leaves."""

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


def test_under_asgi_a_recording_is_played(playing: Playing) -> None:
    playing.keep(answering(http(200, SOUND, TYPE)))
    client, url = playing.listener(), url_of(playing.call(playing.host.ticket()))

    async def scenario() -> Listener:
        listener = Listener(client, url)
        await listener.listen()
        return listener

    listener = run(scenario)

    assert (listener.status, listener.taken, listener.done) == (200, len(SOUND), True)
    assert listener.headers[b"Content-Length"] == str(len(SOUND)).encode()
    assert RecordingAccess.objects.count() == 1


def test_under_asgi_a_large_recording_is_never_held_whole(playing: Playing) -> None:
    playing.keep(LargeRecording())
    client, url = playing.listener(), url_of(playing.call(playing.host.ticket()))

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


def test_under_asgi_a_slow_listener_slows_exotel_down_and_leaving_ends_it(playing: Playing) -> None:
    recording = LargeRecording()
    playing.keep(recording)
    client, url = playing.listener(), url_of(playing.call(playing.host.ticket()))

    async def scenario() -> tuple[int, bool]:
        listener = Listener(client, url)
        listener.may_take.clear()
        task = asyncio.create_task(listener.listen())
        await listener.has_taken(1)
        waiting = await asyncio.to_thread(recording.stands_still)
        early = recording.left.is_set()
        listener.leaves.set()
        async with asyncio.timeout(5):
            await task
        return waiting, early

    waiting, early = run(scenario)

    assert waiting < MOST_ON_THE_WAY
    assert not early
    assert recording.left.wait(5)


def test_under_asgi_leaving_while_exotel_is_silent_waits_for_nobody(
    playing: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SILENT_FOR", 20.0)
    server = playing.keep(stalls)
    client, url = playing.listener(), url_of(playing.call(playing.host.ticket()))

    async def scenario() -> float:
        listener = Listener(client, url)
        task = asyncio.create_task(listener.listen())
        await listener.has_taken(2 * len(PIECE))
        await asyncio.sleep(0.1)  # by now the thread waits for what does not come
        left_at = time.monotonic()
        listener.leaves.set()
        async with asyncio.timeout(15):
            await task
        return time.monotonic() - left_at

    assert run(scenario) < 3
    assert server.closing.wait(5)


def test_under_asgi_no_database_connection_is_held_while_somebody_listens(
    playing: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    playing.keep(LargeRecording())
    client, url = playing.listener(), url_of(playing.call(playing.host.ticket()))
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


def test_under_asgi_a_recording_that_breaks_off_breaks_the_answer_off(playing: Playing) -> None:
    playing.keep(ends_early)
    client, url = playing.listener(), url_of(playing.call(playing.host.ticket()))

    async def scenario() -> Listener:
        listener = Listener(client, url)
        with pytest.raises(RecordingBroken):
            await listener.listen()
        return listener

    assert not run(scenario).done
