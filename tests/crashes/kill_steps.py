"""A process of the host that is killed at a named step: ``python -m tests.crashes.kill_steps STEP place AGENT TICKET``.

It says the step's name on its output and kills itself with signal 9, as the kernel does when memory runs out: nothing
is closed, rolled back or flushed by us.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import django

NOWHERE = "nowhere"
#: Step: the name to be replaced where it is used, and whether death comes before it or after it.
STEPS = {
    "placing: drafted": ("services.placing:_write", "before"),
    "placing: being written down": ("models:CallRecord.save", "after"),
    "placing: written down": ("services.placing:_write", "after"),
    "placing: connected": ("exotel.client:ExotelClient._send", "before"),
    "placing: request sent": ("exotel.transport:WatchedConnection.getresponse", "before"),
    "placing: answer in hand": ("exotel.client:ExotelClient.make_call", "after"),
    "placing: answer inserted": ("services.events:_apply", "before"),
    "placing: answer joined": ("services.events:send_announcements", "before"),
    "placing: receivers called": ("services.events:send_announcements", "after"),
    "placing: committed": ("services.placing:_record", "after"),
    "hearing: body read": ("webhooks.views:read_callback", "before"),
    "hearing: call locked": ("services.events:lock", "after"),
    "hearing: event inserted": ("services.events:_apply", "before"),
    "hearing: call saved": ("services.events:send_announcements", "before"),
    "hearing: receivers called": ("services.events:send_announcements", "after"),
    "hearing: committed": ("webhooks.views:Response", "before"),
    "delivering: announcement locked": ("services.announcements.dispatch:_DeliveryRun._locked", "after"),
    "delivering: receiver called": ("services.announcements.dispatch:Dispatcher.deliver", "after"),
    "delivering: marked": ("models:Announcement.save", "after"),
    "delivering: committed": ("services.announcements.dispatch:run_durably", "after"),
    "delivering: planned": ("services.announcements.dispatch:_save_plan", "after"),
    "download: recording opened": ("views.recording:open_recording", "after"),
    "download: access recorded": ("views.recording:record_access", "after"),
    "download: first piece read": ("exotel.download:RecordingStream.read", "after"),
    "reconciling: due calls read": ("services.reconciliation.reconcile:_Pass._claim", "before"),
    "reconciling: claimed": ("services.reconciliation.reconcile:_Pass._claim", "after"),
    "reconciling: request counted": ("services.reconciliation.call_details:ExotelClient.call_details", "before"),
    "reconciling: details in hand": ("services.reconciliation.call_details:ExotelClient.call_details", "after"),
    "reconciling: details inserted": ("services.events:_apply", "before"),
    "reconciling: receivers called": ("services.events:send_announcements", "after"),
    "reconciling: details committed": ("services.reconciliation.reconcile:record_event", "after"),
    "reconciling: planned": ("services.reconciliation.reconcile:schedule_next", "after"),
}


def die_at(step: str) -> None:
    """Have this process kill itself when it comes to the step."""
    place, when = STEPS[step]
    module, _colon, path = place.partition(":")
    owner: Any = importlib.import_module(f"django_exotel_ccm.{module}")
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, name, _deadly(getattr(owner, name), step, when))


def _deadly(function: Callable[..., Any], step: str, when: str) -> Callable[..., Any]:
    @wraps(function)
    def deadly(*args: Any, **options: Any) -> Any:
        if when == "before":
            die(step)
        result = function(*args, **options)
        die(step)
        return result

    return deadly


def die(step: str) -> None:
    """Say the step, and end at once."""
    os.write(1, f"{step}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def place(agent: str, ticket: str) -> None:
    """Press the button, once."""
    from django_exotel_ccm.models import Agent
    from django_exotel_ccm.services import place_call
    from tests.helpdesk.models import Ticket

    place_call(
        agent=Agent.objects.get(pk=agent),
        ticket=Ticket.objects.get(pk=ticket),
        recording=True,
        request_key="the one press",
    )


def serve(port: str) -> None:
    """Be the host's web server until killed."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    server = ThreadedWSGIServer(("127.0.0.1", int(port)), WSGIRequestHandler)
    server.set_app(get_wsgi_application())
    os.write(1, b"serving\n")
    server.serve_forever(poll_interval=0.05)


def reconcile() -> None:
    """Make one pass."""
    from django_exotel_ccm.services.reconciliation.reconcile import reconcile

    reconcile()


def main(step: str, action: str, *arguments: str) -> None:
    """Do one thing as the host does it, up to the step."""
    django.setup()
    from tests.crashes import ticket_receivers

    ticket_receivers.listen()
    if step != NOWHERE:
        die_at(step)
    {"place": place, "serve": serve, "reconcile": reconcile}[action](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
