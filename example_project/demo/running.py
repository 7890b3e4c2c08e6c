"""What runs in this process, and how it ends: the helpdesk's server and reconciler, on free ports."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, NoReturn

import django
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError

STARTED_BY = os.getppid()


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201 - the demo's output


def stop(why: str) -> NoReturn:
    """Exit with status 1; ``why`` says what to type where that helps."""
    say(f"The demo stops here: {why}")
    sys.exit(1)


def end_on_signals() -> None:
    """Have Ctrl-C, a polite kill and a closed terminal exit through every open block, which closes what it opened."""
    # Signals that are ignored already stay so: with nohup the demo outlives its terminal.
    known = [one for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN]

    def end(number: int, frame: object) -> None:
        for one in known:
            signal.signal(one, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the way out
        say("\nThe demo has ended.")
        sys.exit(128 + number)

    for one in known:
        signal.signal(one, end)


def nap() -> None:
    """Wait a moment. End if the process that started the demo is gone: it may have been killed."""
    if os.getppid() != STARTED_BY:
        signal.raise_signal(signal.SIGTERM)
    time.sleep(0.2)


def stay_open() -> NoReturn:
    """Wait until somebody ends the demo, which is no failure."""
    try:
        while True:
            nap()
    except SystemExit:
        sys.exit(0)


def new_site(port: int) -> ThreadedWSGIServer:
    """Return a server that has its port, and answers after :func:`serve`."""
    return ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)


def on_free_port(start: Callable[[int], Any], wanted: int, what: str) -> Any:
    """Return ``start(port)`` for the wanted port, or for the next free one, and print which."""
    for port in range(wanted, wanted + 50):
        with suppress(OSError):
            started = start(port)
            if port != wanted:
                say(f"Port {wanted} is taken, so {what} uses {port}.")
            return started
    return stop(f"no port from {wanted} to {wanted + 49} is free for {what}.")


def lock() -> int:
    """Hold the data's folder until ``os.close`` of what is returned, or the end of this process, however it ends."""
    folder = os.open(settings.DATA, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another demo places its first call just now; this one waits for it.")
        fcntl.flock(folder, fcntl.LOCK_EX)
    return folder


def serve(site: ThreadedWSGIServer, stack: ExitStack) -> None:
    """Prepare the database, then serve the helpdesk and reconcile its calls until ``stack`` is left."""
    django.setup()
    try:
        call_command("check", stdout=io.StringIO())
        call_command("migrate", verbosity=0)
    except (SystemCheckError, DatabaseError) as error:
        stop(f"the helpdesk cannot be set up. To start afresh: rm -r .demo\n{error}")
    from django_exotel_ccm.services.reconciliation.reconcile import reconcile_forever  # noqa: PLC0415 - models are loaded only now

    site.set_app(StaticFilesHandler(get_wsgi_application()))  # styles and scripts also without DEBUG
    ended = threading.Event()
    for target in (partial(site.serve_forever, poll_interval=0.05), partial(reconcile_forever, ended, every=5.0)):
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        stack.callback(thread.join, 5)
    stack.callback(site.shutdown)
    stack.callback(ended.set)
