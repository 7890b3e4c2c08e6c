"""Streams a recording to the listener, or a file that is made meanwhile; holds at most one piece of it.

For a recording no database connection is held.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Self

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest

from django_exotel_ccm.exotel.download import RecordingBroken, RecordingStream

logger = logging.getLogger("django_exotel_ccm.views")


class _Pieces:
    def __init__(self, recording: RecordingStream) -> None:
        self._recording = recording
        self._begun = False

    def close(self) -> None:
        """Close the recording. Django calls this when all is sent or the listener has gone."""
        self._recording.close()

    def _read(self) -> bytes:
        if not self._begun:
            # Django does this at the end of the request, which may be an hour away.
            close_old_connections()
            self._begun = True
        try:
            return self._recording.read()
        except RecordingBroken as broken:
            # Raise it: the listener's browser sees that this was not all only if its own connection breaks.
            logger.warning("A recording broke off while it was played: %s.", broken)
            raise


class Pieces(_Pieces):
    """The pieces of a recording, for a server that has a thread for each request."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        piece = self._read()
        if not piece:
            raise StopIteration
        return piece


class AsyncPieces(_Pieces):
    """The same for a server with an event loop; each piece is read in the request's own thread."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await sync_to_async(self._read)()
        except asyncio.CancelledError:
            # The listener has gone, and the request waits for the thread that reads.
            self._recording.abort()
            raise
        if not piece:
            raise StopAsyncIteration
        return piece


def pieces_for(request: HttpRequest, recording: RecordingStream) -> Pieces | AsyncPieces:
    """Return the pieces as the server of this request wants them: async under ASGI."""
    return AsyncPieces(recording) if isinstance(request, ASGIRequest) else Pieces(recording)


def text_pieces_for(request: HttpRequest, pieces: Iterator[str]) -> Iterator[str] | AsyncIterator[str]:
    """Return the pieces of a text as the server of this request wants them: async under ASGI."""
    return _read_in_thread(pieces) if isinstance(request, ASGIRequest) else pieces


async def _read_in_thread(pieces: Iterator[str]) -> AsyncIterator[str]:
    def read() -> str | None:
        return next(pieces, None)

    while (piece := await sync_to_async(read)()) is not None:
        yield piece
