"""Streaming of recordings under WSGI: bounded memory, back-pressure, and an end when the listener leaves."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test import Client, RequestFactory

from django_exotel_ccm.exotel.download import RecordingBroken
from django_exotel_ccm.models import RecordingAccess
from tests.servers.scripted_http import Visit, http
from tests.views.recording_player import SOUND, TYPE, RecordingPlayer, url_of

Result = TypeVar("Result")
MEGABYTE = 1024 * 1024
LARGE = 64 * MEGABYTE
PIECE = bytes(64 * 1024)
MOST_HELD = 4 * MEGABYTE
MOST_ON_THE_WAY = 32 * MEGABYTE
"""What the sockets' buffers of one machine hold, and half of all."""


class LargeRecording:
    """Sends all its bytes as fast as they are read, counts them, and notices a disconnect."""

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

    def wait_until_still(self) -> int:
        """Wait until no more is sent; return how much was."""
        before = -1
        while before != self.sent:
            before = self.sent
            time.sleep(0.3)
        return before


def stalling(visit: Visit) -> None:
    """Send a little, then nothing for long; notice a disconnect."""
    visit.read_request()
    visit.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: {LARGE}\r\n\r\n".encode())
    visit.sock.sendall(PIECE * 2)
    if visit.sock.recv(1) == b"":
        visit.server.closing.set()


def ends_early(visit: Visit) -> None:
    visit.read_request()
    visit.sock.sendall(http(200, SOUND, TYPE)[:-1000])


# A WSGI server's thread calls the application, iterates over the answer and closes it.


@pytest.fixture
def serve(player: RecordingPlayer) -> Callable[[Callable[[Any], None]], None]:
    """Run ``work(answer)`` with the answer of a WSGI application, in a server's thread."""

    def run(work: Callable[[Any], None]) -> None:
        client, path = player.listener(), url_of(player.call(player.host.ticket()))
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


def test_large_recording_is_streamed(player: RecordingPlayer, serve: Any) -> None:
    recording = LargeRecording()
    player.serve(recording)

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


def test_slow_listener_slows_the_download(player: RecordingPlayer, serve: Any) -> None:
    recording = LargeRecording()
    player.serve(recording)

    def listen(answer: Any) -> None:
        pieces = iter(answer)
        for _piece in range(3):
            next(pieces)
        waiting = recording.wait_until_still()
        assert waiting < MOST_ON_THE_WAY
        assert not recording.left.is_set()
        answer.close()
        assert recording.left.wait(5)

    serve(listen)


def test_closing_unread_ends_the_download(player: RecordingPlayer, serve: Any) -> None:
    recording = LargeRecording()
    player.serve(recording)

    def listen(answer: Any) -> None:
        answer.close()
        assert recording.left.wait(5)
        assert RecordingAccess.objects.count() == 1

    serve(listen)


def test_no_database_connection_while_playing(player: RecordingPlayer, serve: Any) -> None:
    player.serve(LargeRecording())

    def listen(answer: Any) -> None:
        assert connection.connection is not None
        next(iter(answer))
        assert connection.connection is None
        answer.close()

    serve(listen)


def test_broken_recording_breaks_the_answer(
    player: RecordingPlayer, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    player.serve(ends_early)

    def listen(answer: Any) -> None:
        try:
            with pytest.raises(RecordingBroken):
                list(answer)
        finally:
            answer.close()

    serve(listen)

    assert "A recording broke off while it was played" in caplog.text
