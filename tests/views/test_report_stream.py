"""A client that goes away in the middle of a report's file: the server makes no more of it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.reports import export
from django_exotel_ccm.views import reports
from tests.views.test_recording_asgi import Listener, run
from tests.views.test_recording_streams import cookie_of

CALLS, BATCH = 300, 3
MOST_MORE = 5
"""Pieces that are made before the server notices."""


class Watched:
    """Makes the pieces of the file as usual; from the third on only when the client has gone."""

    def __init__(self) -> None:
        self.made = 0
        self.has_begun, self.may_go_on, self.is_closed = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, *given: Any) -> Iterator[str]:
        try:
            for piece in export.csv_pieces(*given):
                self.made += 1
                if self.made == 3:
                    self.has_begun.set()
                    assert self.may_go_on.wait(20)
                yield piece
        finally:
            self.is_closed.set()


@pytest.fixture
def client(host: Any) -> Client:
    """A supervisor, and 300 calls of today."""
    made = (CallRecord(account="default", state="ended", created_at=timezone.now()) for _call in range(CALLS))
    CallRecord.objects.bulk_create(made)
    client = Client()
    client.force_login(host.user("boss", "exotel_ccm.view_reports", agent=None))
    return client


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(export, "BATCH", BATCH)
    watched = Watched()
    monkeypatch.setattr(reports, "csv_pieces", watched)
    return watched


def url() -> str:
    return reverse("exotel_ccm:reports-csv", query={"dates": "today"})


def test_client_that_goes_away_over_http(client: Client, pieces: Watched, live_server: Any) -> None:
    place = live_server.thread.host, live_server.thread.port
    with socket.create_connection(place) as browser:
        head = f"GET {url()} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie_of(client)}\r\n\r\n"
        browser.sendall(head.encode())
        assert b" 200 " in browser.recv(100)
        assert pieces.has_begun.wait(20)
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # say so at once
    pieces.may_go_on.set()

    assert pieces.is_closed.wait(20)
    assert pieces.made <= 3 + MOST_MORE < CALLS / BATCH


@pytest.mark.postgres_only("other databases do not say which connections are in a transaction")
def test_slow_client_keeps_no_transaction_open(client: Client, pieces: Watched) -> None:
    response = client.get(url())

    def read() -> None:
        assert b"".join(response.streaming_content).count(b"\r\n") == CALLS + 1
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    assert pieces.has_begun.wait(20)
    with connection.cursor() as cursor:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        cursor.execute(f"SELECT state, xact_start FROM pg_stat_activity WHERE {others}")
        assert cursor.fetchall() == [("idle", None)]
    pieces.may_go_on.set()
    reader.join()


def test_client_that_goes_away_under_asgi(client: Client, pieces: Watched) -> None:
    listener = Listener(client, url())

    async def leave() -> None:
        task = asyncio.create_task(listener.listen())
        await asyncio.to_thread(pieces.has_begun.wait, 20)
        listener.leaves.set()
        await asyncio.sleep(0)
        pieces.may_go_on.set()
        await task

    run(leave)

    assert listener.status == 200
    assert pieces.made <= 3 + MOST_MORE < CALLS / BATCH
