"""What a run of exotel_sync costs: requests, statements, seconds and memory.

A simulated Exotel in a process of its own has 5,000 agents with two devices each, and 500 ExoPhones; half of the agents
have a user here. The first run adds them all, the second finds them as they were, the third finds one in ten changed.
Then a run is killed half-way through an empty database, and repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measuring import DATABASES, ROOT, prepare

EXOTEL = """
import sys
from django_exotel_ccm import simulator
agents, exophones = map(int, sys.argv[1:])
with simulator.running() as exotel:
    for agent in exotel.directory.agents:
        exotel.remove_agent(agent.user_id)
    for number in exotel.directory.exophones:
        exotel.remove_exophone(number)
    for number in range(agents):
        agent = exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}", email=f"agent{number}@example.com")
        exotel.add_device(agent, f"+9190000{number:05}")
    for number in range(exophones):
        exotel.add_exophone(f"+9180000{number:05}", label=f"Line {number}")
    print(exotel.account_url, flush=True)
    for line in sys.stdin:
        for agent in exotel.directory.agents[::10]:
            agent.switch(agent.devices[1], "on")
        print("changed", flush=True)
"""


def main() -> int:
    """Measure each database in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=5_000, help="agents in Exotel (%(default)s)")
    parser.add_argument("--exophones", type=int, default=500, help="ExoPhones in Exotel (%(default)s)")
    parser.add_argument("--only", choices=DATABASES, help="measure this database alone")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        prepare(EXOTEL_CCM=settings())
        print(json.dumps(one_run()))
        return 0
    if options.here:
        measure(options)
        return 0
    from tests.servers.postgresql import running_postgresql  # noqa: PLC0415 - the path is set by measuring

    for name in [options.only] if options.only else DATABASES:
        command = [sys.executable, __file__, "--here", f"--agents={options.agents}", f"--exophones={options.exophones}"]
        with tempfile.TemporaryDirectory(prefix="exotel-ccm-bench-") as folder:
            if name == "sqlite":
                subprocess.run(command, env=environment(SQLITE_NAME=str(Path(folder) / "sync.sqlite3")), check=True)
                continue
            with running_postgresql(durable=True) as socket_folder:
                subprocess.run(command, env=environment(POSTGRES_HOST=str(socket_folder)), check=True)
    return 0


def environment(**given: str) -> dict[str, str]:
    """Return this process's environment with another database."""
    strange = ("EXOTEL_", "POSTGRES_", "SQLITE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(strange)} | given


def settings() -> Any:
    """Return EXOTEL_CCM with a budget that no run uses up: what it costs is measured, not how long it waits."""
    return {"CALLBACK_BASE_URL": "https://crm.example.com", "REQUESTS_PER_MINUTE": 1_000_000}


def measure(options: argparse.Namespace) -> None:
    """Run and print."""
    database = prepare(EXOTEL_CCM=settings())
    from django.contrib.auth.models import User  # noqa: PLC0415

    from django_exotel_ccm.models import Agent, Device, ExoPhone  # noqa: PLC0415

    User.objects.bulk_create(
        User(username=f"agent{number}", email=f"Agent{number}@Example.com") for number in range(0, options.agents, 2)
    )
    print(f"\n{database}: {options.agents:,} agents with two devices, {options.exophones:,} ExoPhones")
    with running_exotel(options) as change:
        print(f"    {'':<26}{'requests':>9}{'statements':>12}{'seconds':>9}{'MB more':>9}")
        for what in ("all are new", "all are as before"):
            report(what, in_a_process())
        change()
        report("one in ten has changed", in_a_process())
        want = options.agents, options.agents // 2, 2 * options.agents, options.exophones
        prove("after three runs", want)
        Agent.objects.all().delete()
        ExoPhone.objects.all().delete()
        kill_half_way(lambda: Agent.objects.count() >= options.agents // 2)
        left = Agent.objects.count()
        if left % 50 or Device.objects.count() != 2 * left:
            raise SystemExit(f"The killed run left {left} agents with {Device.objects.count()} devices")
        report(f"killed at {left:,}, repeated", in_a_process())
        prove("after the killed run", want)


def prove(when: str, want: tuple[int, ...]) -> None:
    """Make sure that what was measured was done."""
    from django_exotel_ccm.models import Agent, Device, ExoPhone  # noqa: PLC0415

    linked = Agent.objects.filter(user__isnull=False).count()
    found = Agent.objects.filter(is_active=True).count(), linked, Device.objects.count(), ExoPhone.objects.count()
    if found != want:
        raise SystemExit(f"{when}: agents, with a user, devices, ExoPhones are {found}, not {want}")


def report(what: str, found: dict[str, Any]) -> None:
    """Print a line."""
    counts = f"{found['requests']:>9}{found['statements']:>12}{found['seconds']:>9.1f}{found['memory']:>9.1f}"
    print(f"    {what:<26}{counts}", flush=True)


@contextmanager
def running_exotel(options: argparse.Namespace) -> Iterator[Callable[[], None]]:
    """Run the simulated Exotel; yield what changes one agent in ten."""
    command = [sys.executable, "-c", EXOTEL, str(options.agents), str(options.exophones)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        os.environ["EXOTEL_URL"] = process.stdout.readline().strip()

        def change() -> None:
            print("change", file=process.stdin, flush=True)
            process.stdout.readline()  # type: ignore[union-attr]

        try:
            yield change
        finally:
            process.kill()


def in_a_process() -> dict[str, Any]:
    """Do one run in a process of its own, whose memory nothing else has used."""
    command = [sys.executable, __file__, "--once"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def kill_half_way(is_half: Callable[[], bool]) -> None:
    """Kill a run with signal 9 as soon as it is half through."""
    with subprocess.Popen([sys.executable, __file__, "--once"], stdout=subprocess.DEVNULL) as process:
        while not is_half() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    if process.returncode != -signal.SIGKILL:
        raise SystemExit("The run ended before it was killed")


def peak() -> float:
    """Return the most memory that this process has had, in megabytes. Linux alone tells."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def one_run() -> dict[str, Any]:
    """Run both lists of the default account; return what it cost."""
    from django.db import connection  # noqa: PLC0415

    from django_exotel_ccm.services import sync_agents, sync_exophones  # noqa: PLC0415

    statements = 0

    def count(execute: Any, *given: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*given)

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = peak(), time.perf_counter()
    with connection.execute_wrapper(count):
        reports = [sync_agents("default"), sync_exophones("default")]
    seconds = time.perf_counter() - began
    problems = [problem for one in reports for problem in one.problems]
    if problems:
        raise SystemExit(f"Not complete: {problems}")
    return {
        "requests": sum(one.requests for one in reports),
        "statements": statements,
        "seconds": seconds,
        "memory": peak() - before,
    }


if __name__ == "__main__":
    sys.exit(main())
