"""A process of the host that is killed at a named step: ``python -m tests.crashes.kill_steps STEP place AGENT TICKET``.

It prints the step's name and kills itself with signal 9, as the kernel does when memory runs out: nothing is closed,
rolled back or flushed.
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
#: Step: the function that is replaced, and whether the process is killed before or after it.
STEPS = {
    "placing: drafted": ("services.placing:_write", "before"),
    "placing: record inserted": ("services.placing:insert", "after"),
    "placing: record committed": ("services.placing:_write", "after"),
    "placing: connected": ("exotel.client:ExotelClient._send", "before"),
    "placing: request sent": ("exotel.transport:WatchedConnection.getresponse", "before"),
    "placing: answer received": ("exotel.client:ExotelClient.make_call", "after"),
    "placing: answer inserted": ("services.events:insert", "after"),
    "placing: answer joined": ("services.events:update", "before"),
    "placing: receivers called": ("services.events:send_announcements", "after"),
    "placing: committed": ("services.placing:_record", "after"),
    "callback: body read": ("webhooks.views:read_callback", "before"),
    "callback: call locked": ("services.events:lock", "after"),
    "callback: event inserted": ("services.events:_apply", "before"),
    "callback: call saved": ("services.events:send_announcements", "before"),
    "callback: receivers called": ("services.events:send_announcements", "after"),
    "callback: committed": ("webhooks.views:JsonResponse", "before"),
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
    "reconciling: details received": ("services.reconciliation.call_details:ExotelClient.call_details", "after"),
    "reconciling: details inserted": ("services.events:_apply", "before"),
    "reconciling: receivers called": ("services.events:send_announcements", "after"),
    "reconciling: details committed": ("services.reconciliation.reconcile:record_event", "after"),
    "reconciling: planned": ("services.reconciliation.reconcile:schedule_next", "after"),
    "syncing: page fetched": ("services.synchronisation.runs:SyncRun._fetch", "after"),
    "syncing: agents inserted": ("services.synchronisation.agents:_AgentPage._insert", "after"),
    "syncing: page committed": ("services.synchronisation.agents:AgentRun.store_page", "after"),
    "syncing: list read": ("services.synchronisation.runs:SyncRun._deactivate_missing", "before"),
    "syncing: missing deactivated": ("services.synchronisation.agents:AgentRun.finish", "before"),
    "syncing: agents done": ("services.synchronisation.exophones:ExoPhoneRun.store_page", "before"),
}


def kill_at(step: str) -> None:
    """Make this process kill itself at the step."""
    place, when = STEPS[step]
    module, _colon, path = place.partition(":")
    owner: Any = importlib.import_module(f"django_exotel_ccm.{module}")
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, name, _killing(getattr(owner, name), step, when))


def _killing(function: Callable[..., Any], step: str, when: str) -> Callable[..., Any]:
    @wraps(function)
    def killing(*args: Any, **options: Any) -> Any:
        if when == "before":
            kill_self(step)
        result = function(*args, **options)
        kill_self(step)
        return result

    return killing


def kill_self(step: str) -> None:
    """Print the step, and end at once."""
    os.write(1, f"{step}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def place(agent: str, ticket: str) -> None:
    """Place one call."""
    from django_exotel_ccm.models import Agent
    from django_exotel_ccm.services import place_call
    from tests.helpdesk.models import Ticket

    place_call(
        agent=Agent.objects.get(pk=agent),
        ticket=Ticket.objects.get(pk=ticket),
        recording=True,
        request_key="request 1",
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
    """Make one pass of the reconciler."""
    from django_exotel_ccm.services.reconciliation.reconcile import reconcile

    reconcile()


def sync() -> None:
    """Fetch agents and ExoPhones."""
    from django.core.management import call_command

    call_command("exotel_sync", verbosity=0)


def main(step: str, action: str, *arguments: str) -> None:
    """Do one action of the host, up to the step."""
    django.setup()
    from tests.crashes import ticket_receivers

    ticket_receivers.listen()
    if step != NOWHERE:
        kill_at(step)
    {"place": place, "serve": serve, "reconcile": reconcile, "sync": sync}[action](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
