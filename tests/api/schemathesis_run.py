"""Sends what schemathesis makes of our schema to the running example project, as somebody who may do everything.

python -m tests.api.schemathesis_run [arguments of schemathesis]

Run by ``nox -s schemathesis`` in an environment of its own: schemathesis brings a pytest plugin along.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from django_exotel_ccm import simulator

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 150
CSRF = "a" * 32
LOGGED_IN = (
    "from django.contrib.auth.models import User; from django.test import Client; client = Client();"
    "client.force_login(User.objects.get(username='admin')); print(client.cookies['helpdesk_sessionid'].value)"
)
# A body can be right and yet name a ticket that there is not, a number that nobody has, or a moment that is over.
NOT_IN_A_SCHEMA = "positive_data_acceptance"


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run ``manage.py`` of the example project, and return what it prints."""
    command = [sys.executable, "-W", "ignore", "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT / "example_project", env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


@contextlib.contextmanager
def running(environment: dict[str, str], port: int) -> Iterator[str]:
    """Serve the example project meanwhile; yields its address."""
    command = [sys.executable, "-W", "ignore", "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command, cwd=ROOT / "example_project", env=environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _attempt in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/exotel/api/schema/").close()
                break
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()


def main(arguments: list[str]) -> int:
    """Return schemathesis's exit status: 0 when nothing failed."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, simulator.running() as exotel:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "HELPDESK_DATA": folder,
            "HELPDESK_DEBUG": "0",
            "CALLBACK_BASE_URL": f"http://127.0.0.1:{port}",
            "EXOTEL_URL": exotel.account_url,
        }
        manage(environment, "migrate", "-v0")
        manage(environment, "seed_helpdesk")
        session = manage(environment, "shell", "-v0", "-c", LOGGED_IN)
        with running(environment, port) as url:
            command = [
                *("schemathesis", "run", f"{url}/exotel/api/schema/", "--phases", "coverage,fuzzing"),
                *("--max-examples", "30", "--max-time", str(SECONDS), "--exclude-checks", NOT_IN_A_SCHEMA),
                *("-H", f"Cookie: helpdesk_sessionid={session}; helpdesk_csrftoken={CSRF}"),
                *("-H", f"X-CSRFToken: {CSRF}"),
            ]
            # There, because it keeps notes of its runs in a folder of its own.
            return subprocess.run([*command, *arguments], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
