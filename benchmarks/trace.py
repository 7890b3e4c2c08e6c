"""Which files of the package one callback with one receiver passes, and one ``place_call``, both about a ticket.

python benchmarks/trace.py [--paths]

Counts files, different functions, calls of functions, and jumps: calls from a function in one file to a function in
another. The parser of messages (``exotel/callbacks``, ``calls``, ``values``, ``recordings``) is counted apart, because
its size depends on how many spellings Exotel uses. ``--paths`` prints the walk from file to file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = f"{ROOT / 'django_exotel_ccm'}{os.sep}"
PARSER = {f"exotel/{name}.py" for name in ("callbacks", "calls", "values", "recordings")}
sys.path.insert(0, str(ROOT))


class Trace:
    """What was called while it was active."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []  # (file, function)
        self.jumps: list[tuple[str, str]] = []  # (from file, to file)
        self._stack: list[str] = []

    def __enter__(self) -> Self:
        sys.setprofile(self._event)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)

    def _event(self, frame: FrameType, event: str, _argument: Any) -> None:
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE) or "/simulator/" in path:
            return
        name = path.removeprefix(PACKAGE).replace(os.sep, "/")
        if event == "call":
            self.calls.append((name, frame.f_code.co_qualname))
            if self._stack and self._stack[-1] != name:
                self.jumps.append((self._stack[-1], name))
            self._stack.append(name)
        elif event == "return" and self._stack:
            self._stack.pop()

    def report(self, title: str) -> str:
        """Return the counts, of all files and of those that are not the parser's."""
        outside = [jump for jump in self.jumps if not PARSER.intersection(jump)]
        files = {file for file, _function in self.calls}
        return (
            f"{title:<12}{len(files):>6}{len(set(self.calls)):>11}{len(self.calls):>7}{len(self.jumps):>7}"
            f"   outside the parser: {len(files - PARSER)} files, {len(outside)} jumps"
        )


def main() -> int:
    """Trace a callback and a press on an empty SQLite database, with the simulator as Exotel."""
    with tempfile.TemporaryDirectory(prefix="exotel-ccm-trace-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "SQLITE_NAME": str(Path(folder) / "trace.sqlite3")}
        traces = measure()
    print(f"{'':<12}{'files':>6}{'functions':>11}{'calls':>7}{'jumps':>7}")
    for title, trace in traces.items():
        print(trace.report(title))
        if "--paths" in sys.argv[1:]:
            print("\n".join(f"    {source} -> {target}" for source, target in trace.jumps))
    return 0


def measure() -> dict[str, Trace]:
    """Return the traces by title; each is of the second time, because the first one imports and caches."""
    import django  # noqa: PLC0415 - the settings are named above

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from django_exotel_ccm import callback_urls, signals, simulator  # noqa: PLC0415
    from django_exotel_ccm.models import Agent, ExoPhone  # noqa: PLC0415
    from django_exotel_ccm.services import place_call  # noqa: PLC0415
    from tests.helpdesk.models import Ticket  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    signals.call_ended.connect(_receiver)
    client = Client()
    with simulator.running() as exotel:
        os.environ["EXOTEL_URL"] = exotel.account_url
        exotel.speed = 20_000.0
        exophone = ExoPhone.objects.create(number="+918000000700", is_default=True)
        agent = Agent.objects.create(name="Asha", contact_uri="+919000000101", exophone=exophone)
        ticket = Ticket.objects.create(subject="Broken fan")
        traces: dict[str, Trace] = {}
        for _time in range(2):
            call: Any = traced(
                traces, "place_call", partial(place_call, agent=agent, to="+919000001001", ticket=ticket)
            )
            body = {"event_details": {"event_type": "terminal"}, "call_details": {"call_sid": call.call_sid}}
            url = callback_urls.callback_urls(call)["terminal"].partition("/exotel/")[2]
            exotel.wait_until_quiet(timeout=60)
            traced(traces, "callback", partial(client.post, f"/exotel/{url}", body, content_type="application/json"))
    return traces


def traced(traces: dict[str, Trace], title: str, work: Callable[[], Any]) -> Any:
    """Run the work, keep its trace, and return its result."""
    with Trace() as trace:
        result = work()
    traces[title] = trace
    return result


def _receiver(call: Any, **_arguments: Any) -> None:
    """Receive an announcement, and do nothing."""


if __name__ == "__main__":
    sys.exit(main())
