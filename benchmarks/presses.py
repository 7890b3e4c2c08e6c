"""`place_call`, beside the least that is safe: INSERT, commit, POST, UPDATE, commit.

python benchmarks/presses.py [--calls N] [--rounds N] [--sizes N N] [--only sqlite|postgres]

Both sides send their POST to the same small HTTP server on this machine, in a process of its own, over a connection
that stays open.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import Side, measure_rounds, prepare, run

CUSTOMER, EXOPHONE = "+919000001001", "+918000000700"
SERVER = """
import json, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Accept(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"response": {"call_sid": uuid.uuid4().hex, "call_state": "active"}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Accept)
print(server.server_port, flush=True)
server.serve_forever()
"""


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of a `place_call` and of the least in each round."""
    database = prepare()
    with accepting_server() as port:
        sides = {"place_call": timed(placing(port)), "the least that is safe": timed(least(port))}
        sizes = measure_rounds(sides, options)
    prove(20 * len(sizes) + options.calls * sum(map(len, sizes.values())))
    return {"database": database, "sizes": sizes}


@contextmanager
def accepting_server() -> Iterator[int]:
    """Run a server that accepts every call; yield its port."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def placing(port: int) -> Callable[[], None]:
    """Return what places one call."""
    from django_exotel_ccm.models import Agent, ExoPhone  # noqa: PLC0415
    from django_exotel_ccm.services import place_call  # noqa: PLC0415

    os.environ["EXOTEL_URL"] = f"exotel://key:token@127.0.0.1:{port}/acme?tls=off"
    ExoPhone.objects.create(number=EXOPHONE, is_default=True)
    agent = Agent.objects.create(name="Asha", contact_uri="+919000000101")

    def press() -> None:
        place_call(agent=Agent.objects.get(pk=agent.pk), to=CUSTOMER)

    return press


def least(port: int) -> Callable[[], None]:
    """Return the least that keeps a call and its answer: the row is committed before the request, and updated after."""
    import requests  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from django_exotel_ccm.models import Agent  # noqa: PLC0415
    from tests.helpdesk.models import Ticket  # noqa: PLC0415

    agent = Agent.objects.get()
    session = requests.Session()

    def press() -> None:
        Agent.objects.get(pk=agent.pk)
        ticket = Ticket.objects.create(subject=f"{CUSTOMER} {timezone.now()}")
        body = {"from": {"user_contact_uri": agent.contact_uri}, "to": {"number": CUSTOMER}, "virtual_number": EXOPHONE}
        answer = session.post(f"http://127.0.0.1:{port}/v2/accounts/acme/calls", json=body, timeout=10).json()
        Ticket.objects.filter(pk=ticket.pk).update(status=answer["response"]["call_sid"][:8])

    return press


def timed(press: Callable[[], None]) -> Side:
    """Return what presses so many times, and returns the seconds that one press takes."""

    def side(times: int) -> float:
        began = time.perf_counter()
        for _time in range(times):
            press()
        return (time.perf_counter() - began) / times

    return side


def prove(calls: int) -> None:
    """Make sure that what was measured was done."""
    from django_exotel_ccm.models import CallEvent, CallRecord  # noqa: PLC0415

    counts = CallRecord.objects.filter(state="active").count(), CallEvent.objects.filter(kind="answer").count()
    if counts != (calls, calls):
        raise SystemExit(f"{counts[0]} of {calls} calls were accepted, {counts[1]} answers are stored")


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, measure))
