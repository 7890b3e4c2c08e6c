"""A call with a recording on a scripted server, and a user who plays it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from django_exotel_ccm.exotel.recordings import recording_of
from tests.servers.scripted_http import Server, Visit, serving

if TYPE_CHECKING:
    from django_exotel_ccm.models import CallRecord

LISTEN = "exotel_ccm.listen_recording"
VIEW_TICKET = "helpdesk.view_ticket"
SOUND = bytes(range(256)) * 100
TYPE = "Content-Type: audio/wav"
SECRET = "planted-recording-name"


class RecordingPlayer:
    """Serves recordings, makes calls that have them, and logs listeners in."""

    def __init__(self, host: Any, monkeypatch: Any, stack: ExitStack) -> None:
        self.host = host
        self._monkeypatch = monkeypatch
        self._stack = stack
        self.server: Server

    def serve(self, *scripts: Callable[[Visit], None]) -> Server:
        """Serve recordings with these scripts, as the account's Exotel."""
        self.server = self._stack.enter_context(serving(*scripts))
        url = f"exotel://planted-key:planted-token@127.0.0.1:{self.server.port}/acme1?tls=off"
        self._monkeypatch.setenv("EXOTEL_URL", url)
        return self.server

    def call(self, ticket: Any = None, **fields: Any) -> CallRecord:
        """Return a call about ``ticket`` that ended a minute ago, whose recording is on the server."""
        # Models can be imported only once Django is set up.
        from django_exotel_ccm.models import CallRecord

        port = self.server.port if hasattr(self, "server") else 1
        ended = timezone.now() - datetime.timedelta(minutes=1)
        about = {"ticket": ticket, "ticket_label": str(ticket)} if ticket is not None else {}
        url = fields.get("recording_url", f"http://127.0.0.1:{port}/recordings/acme1/{SECRET}.wav?{SECRET}=1")
        return CallRecord.objects.create(
            **{
                "account": "default",
                "agent_label": "Asha",
                "created_at": ended - datetime.timedelta(minutes=5),
                "ended_at": ended,
                "state": "ended",
                "outcome": "completed",
                "talk_time": 42,
                "recording_requested": True,
                "recording_url": url,
                "facts": facts_of(url),
                **about,
                **fields,
            }
        )

    def listener(self, *permissions: str, **fields: Any) -> Client:
        """Return the client of a user with the permissions; by default those that are needed."""
        user = self.host.user("meera", *(permissions or (LISTEN, VIEW_TICKET)), agent=None, **fields)
        client = Client()
        client.force_login(user)
        return client


def facts_of(*urls: str) -> dict[str, Any]:
    """Return the facts of a call with these recordings; a blank URL is none."""
    return {"recordings": {recording_of(url): [2, 0, url] for url in urls if url}}


def url_of(call: CallRecord, adapter: str = "admin", *, recording: int = 0, page_view: str = "") -> str:
    """Return our URL of a recording of a call; an unknown recording's if the call has none."""
    from django_exotel_ccm.services.recordings import recording_urls

    ids = [*recording_urls(call)] or ["0" * 16]
    query = {"exotel_adapter": adapter, "page_view": page_view}
    path = reverse("exotel_ccm:recording", args=[call.reference, ids[recording]])
    return f"{path}?{urlencode({name: value for name, value in query.items() if value})}"


def play(answer: Any) -> bytes:
    """Return the content of a streamed answer, and close it."""
    sound = b"".join(answer.streaming_content)
    answer.close()
    return sound
