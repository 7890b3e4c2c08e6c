"""The demo as its users run it: a process of its own, ended as people and machines end processes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
WITHIN = 90  # seconds; no run takes a fifth of it
REAL = "exotel://never:shown@mumbai/acme1"
LANGUAGES = "path('i18n/', include('django.conf.urls.i18n'))"
NO_INCLUDE = f"urlpatterns = [path('admin/', admin.site.urls), {LANGUAGES}]"
NO_WEBHOOK = f"""urlpatterns = [
    {LANGUAGES},
    path('admin/', admin.site.urls),
    path('exotel/callbacks/<token>/', csrf_exempt(lambda request, token: HttpResponseNotFound())),
    path('exotel/', include('django_exotel_ccm.urls')),
]"""


class Demo:
    """One run of the demo, in a process group of its own."""

    def __init__(self, data: Path, *arguments: str, command: tuple[str, ...] = (), **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        added = {"HELPDESK_DATA": str(data), "PYTHONPATH": f"{data}{os.pathsep}{ROOT}", **environment}
        self.process = subprocess.Popen(
            command or (sys.executable, "-m", "demo", "--speed=40", *arguments),
            cwd=ROOT / "example_project",
            env=kept | added,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self.printed = ""

    def read_until(self, words: str) -> None:
        """Read what is printed, up to the line with the words."""
        assert self.process.stdout
        while words not in self.printed:
            line = self.process.stdout.readline()
            assert line, self.printed
            self.printed += line

    def finish(self, typed: str = "") -> int:
        """Read the rest, check that no process of the run is left, and return the exit status."""
        self.printed += self.process.communicate(typed, timeout=WITHIN)[0]
        with pytest.raises(ProcessLookupError):
            os.killpg(self.process.pid, 0)
        return self.process.returncode


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the folder of the demos' data: its path has spaces."""
    folder = tmp_path / "a path with spaces"
    folder.mkdir()
    return folder


@pytest.fixture
def demo(data: Path) -> Iterator[Callable[..., Demo]]:
    """Start demos; those that still live at the end are killed."""
    runs: list[Demo] = []

    def start(*arguments: str, **options: Any) -> Demo:
        runs.append(Demo(data, *arguments, **options))
        return runs[-1]

    yield start
    for run in runs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate()


def rows(data: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(data / "helpdesk.sqlite3")) as database:
        return database.execute(query).fetchall()


def test_once_places_a_call(demo: Callable[..., Demo], data: Path) -> None:
    proxy = {"http_proxy": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}

    run = demo("--once", EXOTEL_URL=REAL, EXOTEL_API_TOKEN="never-shown", **proxy)

    assert run.finish() == 0, run.printed
    assert "Ignored in your environment: EXOTEL_API_TOKEN, EXOTEL_URL." in run.printed
    assert "never" not in run.printed
    course = [
        "The admin says: Your phone rings first: pick up. Exotel accepted the request",
        "The phones of Asha and +919000001001:",
        'Exotel reports "answered"; the helpdesk answers 200.',
        'Exotel reports "terminal"; the helpdesk answers 200.',
        'The ticket "#1 Ceiling fan hums at night" says: called.',
        "Call by Asha: completed, 0:42 minutes of talk.",
        "The simulator agrees: asked once, 2 callbacks delivered, completed, 42 s of talk.",
    ]
    found = [run.printed.find(words) for words in course]
    assert -1 not in found, run.printed
    assert found == sorted(found)
    assert rows(data, "SELECT status FROM helpdesk_ticket WHERE id = 1") == [("called",)]
    calls = rows(data, "SELECT account, state, outcome, talk_time FROM exotel_ccm_callrecord")
    assert calls == [("default", "ended", "completed", 42)]


def test_doctor_finds_nothing_wrong(demo: Callable[..., Demo], data: Path) -> None:
    run = demo()
    run.read_until("exotel_reconcile runs along.")
    (site,) = re.findall(r"Helpdesk: +(http://127\.0\.0\.1:\d+)/", run.printed)
    (phones,) = re.findall(r"Phones: +http://(127\.0\.0\.1:\d+)/", run.printed)
    account = f"exotel://sim-key:sim-token@{phones}/simulated1?tls=off"

    healthy = demo(command=(sys.executable, "manage.py", "exotel_doctor"), EXOTEL_URL=account, CALLBACK_BASE_URL=site)

    assert healthy.finish() == 0, healthy.printed
    assert f"A signed callback to {site}/exotel/callbacks/ arrives." in healthy.printed
    assert healthy.printed.endswith("All is well.\n")
    broken = demo(
        command=(sys.executable, "manage.py", "exotel_doctor"),
        EXOTEL_URL=account.replace("sim-token", "s1m-t0ken"),
        CALLBACK_BASE_URL=site,
    )
    assert broken.finish() == 1
    assert re.findall("^WRONG  .*$", broken.printed, re.MULTILINE) == [
        f"WRONG  Exotel does not accept the API key and token in http://{phones}."
    ]


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        (NO_INCLUDE, r"(?s)The demo stops here: .*exotel_ccm\.E011"),
        (NO_WEBHOOK, r"(?s)DISAGREE:.*reports and answers: .*expected, \[\('answered', 404\), \('terminal', 404\)"),
    ],
    ids=["no include", "no webhook"],
)
def test_once_fails_without_the_webhook(demo: Callable[..., Demo], data: Path, urls: str, words: str) -> None:
    (data / "deaf_settings.py").write_text("from config.settings import *\nROOT_URLCONF = 'deaf_urls'\n")
    (data / "deaf_urls.py").write_text(
        "from django.contrib import admin\nfrom django.http import HttpResponseNotFound\n"
        "from django.urls import include, path\nfrom django.views.decorators.csrf import csrf_exempt\n\n"
        f"{urls}\n"
    )

    run = demo("--once", DJANGO_SETTINGS_MODULE="deaf_settings")

    assert run.finish() == 1, run.printed
    assert re.search(words, run.printed), run.printed
    assert "Traceback" not in run.printed


def test_seeding_twice_creates_the_simulators_people_once(
    demo: Callable[..., Demo], exotel_simulator: Any, data: Path
) -> None:
    seed = '"$0" manage.py seed_helpdesk'
    run = demo(command=("sh", "-c", f'"$0" manage.py migrate -v0 && {seed} && {seed}', sys.executable))

    assert run.finish() == 0, run.printed
    assert run.printed.count("7 tickets. Log in as asha or admin, password demo.") == 2
    agents = {(agent.name, agent.uri) for agent in exotel_simulator.directory.agents}
    assert sorted(rows(data, "SELECT name, contact_uri FROM exotel_ccm_agent")) == sorted(agents)
    exophones = {(number,) for number in exotel_simulator.directory.exophones}
    assert sorted(rows(data, "SELECT number FROM exotel_ccm_exophone")) == sorted(exophones)


def hold(taken: socket.socket, port: int) -> None:
    """Take the port. Another demo frees it soon; a server of the developer's holds it as well as we would."""
    waits_until = time.monotonic() + 20
    while time.monotonic() < waits_until:
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            taken.listen()
            return
        time.sleep(0.2)


def test_taken_port_and_ctrl_c(demo: Callable[..., Demo]) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hold(taken, 8000)
        run = demo()
        run.read_until("Phones:")
    site, phones = re.findall(r"(http://127\.0\.0\.1:\d+)/(?:admin/helpdesk/ticket/)?  ", run.printed)[-2:]

    page = requests.get(f"{site}/admin/login/", timeout=10)
    clock = requests.get(f"{phones}/page/state.json", timeout=10).json()["speed"]
    foreign = requests.get(f"{site}/admin/login/", headers={"Host": "helpdesk.example.com"}, timeout=10)
    run.process.send_signal(signal.SIGINT)

    assert run.finish() == 0, run.printed
    assert re.search(r"Port 8000 is taken, so the helpdesk uses 80\d\d\.", run.printed)
    assert "log in as asha, password demo" in run.printed
    assert run.printed.endswith("The demo has ended.\n")
    assert (page.status_code, foreign.status_code, clock) == (200, 400, 1.0)
    assert page.cookies.keys() == ["helpdesk_csrftoken"]
    for url in (site, phones):
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda how: how.name)
def test_signal_during_a_call_leaves_nothing(demo: Callable[..., Demo], how: signal.Signals) -> None:
    run = demo("--once", "--speed=1")
    run.read_until("ringing")
    run.process.send_signal(how)

    assert run.finish() == 128 + how, run.printed
    assert run.printed.endswith("The demo has ended.\n")
    assert "Traceback" not in run.printed


def test_killed_demo_can_be_started_again(demo: Callable[..., Demo], data: Path) -> None:
    killed = demo("--speed=1")
    killed.read_until("ringing")
    killed.process.kill()
    killed.finish()

    again = demo("--once")

    assert again.finish() == 0, again.printed
    assert rows(data, "SELECT count(*) FROM helpdesk_ticket WHERE subject LIKE 'Ceiling fan%'") == [(1,)]
    assert rows(data, "PRAGMA integrity_check") == [("ok",)]
    assert sorted(path.name for path in data.iterdir()) == ["helpdesk.sqlite3", "secret_key"]


def test_two_first_runs_at_once_take_turns(demo: Callable[..., Demo]) -> None:
    runs = [demo("--once"), demo("--once")]

    assert [run.finish() for run in runs] == [0, 0], runs[0].printed + runs[1].printed
    assert sum("Another demo places its first call just now" in run.printed for run in runs) == 1


def test_demo_ends_with_the_process_that_started_it(demo: Callable[..., Demo]) -> None:
    run = demo(command=("sh", "-c", '"$0" -m demo --speed=1 & wait', sys.executable))
    run.read_until("ringing")
    run.process.kill()

    rest, _ = run.process.communicate(timeout=WITHIN)  # returns when no process holds the demo's output any more

    assert rest.endswith("The demo has ended.\n")


def test_unusable_database(demo: Callable[..., Demo], data: Path) -> None:
    (data / "helpdesk.sqlite3").write_text("no database" * 1000)

    run = demo("--once")

    assert run.finish() == 1
    assert "To start afresh: rm -r .demo" in run.printed
    assert "Traceback" not in run.printed


def test_impossible_speed(demo: Callable[..., Demo]) -> None:
    run = demo("--speed=0")

    assert run.finish() == 1
    assert run.printed.endswith("1.0 being real time. Type: make demo SPEED=1\n")


# Real phones: only refusals, and an account that is a simulator.

LIVE = {"agent": "+919000000101", "customer": "+919000001001", "exophone": "+918000000700"}


def live(without: str = "", **numbers: str) -> list[str]:
    return ["--live", "--once", *(f"--{name}={value}" for name, value in (LIVE | numbers).items() if name != without)]


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (live(without="agent"), {}, "LIVE needs AGENT, a number with its country code. Type: make demo LIVE=1"),
        (live(without="customer"), {}, "LIVE needs CUSTOMER, a number"),
        (live(without="exophone"), {}, "LIVE needs EXOPHONE, a number"),
        (live(customer="098765 43210"), {}, "LIVE needs CUSTOMER, a number"),
        (live(), {"EXOTEL_URL": ""}, "LIVE needs your Exotel account. Set EXOTEL_API_KEY,"),
        (live(), {"CALLBACK_BASE_URL": ""}, "LIVE needs CALLBACK_BASE_URL"),
        (live(), {"CALLBACK_BASE_URL": "http://crm.example.com:18000"}, "(exotel_ccm.E003)"),
        (live(), {}, "nothing was dialled."),
    ],
)
def test_live_needs_all_numbers(
    demo: Callable[..., Demo], exotel_simulator: Any, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    complete = {"EXOTEL_URL": exotel_simulator.account_url, "CALLBACK_BASE_URL": free_address()}

    run = demo(*arguments, **(complete | environment))

    assert run.finish(typed="y\n") == 1, run.printed
    assert words in run.printed
    assert "Traceback" not in run.printed
    assert exotel_simulator.book.requests == []


def test_live_names_a_taken_port(demo: Callable[..., Demo], exotel_simulator: Any) -> None:
    run = demo(*live(), EXOTEL_URL=exotel_simulator.account_url, CALLBACK_BASE_URL=exotel_simulator.url)

    assert run.finish(typed="yes\n") == 1, run.printed
    assert "is taken, and CALLBACK_BASE_URL leads there" in run.printed


def test_live_calls_after_a_typed_yes(demo: Callable[..., Demo], exotel_simulator: Any, data: Path) -> None:
    run = demo(*live(), EXOTEL_URL=exotel_simulator.account_url, CALLBACK_BASE_URL=free_address())

    assert run.finish(typed="yes\n") == 0, run.printed
    asked = "This rings +919000000101, then +919000001001, through the Exotel account simulated1."
    assert run.printed.index(asked) < run.printed.index("The admin says:") < run.printed.index("Exotel says: terminal")
    assert 'The ticket "#1 A first real call" says: called.' in run.printed
    [request] = [seen.body for seen in exotel_simulator.book.requests if seen.method == "POST"]
    assert (request["to"], request["virtual_number"]) == ({"number": LIVE["customer"]}, LIVE["exophone"])
    assert not (data / "helpdesk.sqlite3").exists()


def test_made_up_people_are_never_called_for_real(demo: Callable[..., Demo]) -> None:
    ask = (
        "import os\nfrom django_exotel_ccm.models import CallRecord\nfrom helpdesk.policies import no_made_up_numbers\n"
        f"for account in ({REAL!r}, 'exotel://k:t@127.0.0.1:1/acme1?tls=off'):\n"
        "    for number in ('+919000001001', '+919812345678'):\n"
        "        os.environ['EXOTEL_URL'] = account\n"
        "        print(bool(no_made_up_numbers(CallRecord(account='default', customer_number=number))))"
    )

    run = demo(command=(sys.executable, "manage.py", "shell", "--no-imports", "-c", ask), EXOTEL_URL=REAL)

    assert run.finish() == 0, run.printed
    assert run.printed.split() == ["True", "False", "False", "False"]


# The first step on a fresh machine.


@pytest.mark.parametrize(
    ("interpreter", "words"),
    [
        ("", "This needs Python 3.11 or newer, and there is none on the PATH."),
        ("#!/bin/sh\nexit 1\n", "This needs Python 3.11 or newer, and there is none on the PATH."),
        ('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; *print*) echo 3.12;; esac\n', "sudo apt install python3.12-"),
    ],
    ids=["none", "too old", "without venv"],
)
def test_make_without_a_fitting_python(tmp_path: Path, interpreter: str, words: str) -> None:
    bin_folder = tmp_path / "a bin"
    bin_folder.mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    if interpreter:
        (bin_folder / "python3").write_text(interpreter)
        (bin_folder / "python3").chmod(0o755)
    make = shutil.which("make")
    assert make

    command, environment = [make, "demo", "ONCE=1"], {"PATH": str(bin_folder)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert words in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_make_installs_what_the_commands_of_the_apis_page_need() -> None:
    make = shutil.which("make")
    assert make
    command = [make, "--dry-run", "--what-if=pyproject.toml", ".venv/package.stamp"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    [extra] = re.findall(r"install --editable '\.\[(\w+)\]'", printed)

    packages = {one.partition(">")[0] for one in project["optional-dependencies"][extra]}
    assert {"django-filter", "drf-spectacular"} <= packages
