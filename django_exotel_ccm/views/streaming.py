"""A recording on its way to the listener: never more than one piece of it is held, and no database connection."""

from __future__ import annotations

import asyncio
import logging
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
        """Leave off; Django calls it when all is sent, or when the listener has gone."""
        self._recording.close()

    def _read(self) -> bytes:
        if not self._begun:
            # As Django does at a request's end, which may be an hour away.
            close_old_connections()
            self._begun = True
        try:
            return self._recording.read()
        except RecordingBroken as broken:
            # Passed on: only a connection that breaks, too, tells the listener's browser that this was not all.
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
    """The same for a server with an event loop: each piece is read in the request's own thread."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await sync_to_async(self._read)()
        except asyncio.CancelledError:
            # The listener has gone. The thread may wait for the next bytes for long, and the request for its thread.
            self._recording.abort()
            raise
        if not piece:
            raise StopAsyncIteration
        return piece


def pieces_for(request: HttpRequest, recording: RecordingStream) -> Pieces | AsyncPieces:
    """Return the pieces in the way in which this request's server wants them."""
    return AsyncPieces(recording) if isinstance(request, ASGIRequest) else Pieces(recording)
