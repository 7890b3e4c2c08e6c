"""The example project, served to programs of others as somebody who may do everything."""

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
CSRF = "a" * 32
LOGGED_IN = (
    "from django.contrib.auth.models import User; from django.test import Client; client = Client();"
    "client.force_login(User.objects.get(username='admin')); print(client.cookies['helpdesk_sessionid'].value)"
)


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


@contextlib.contextmanager
def example() -> Iterator[tuple[str, dict[str, str], str]]:
    """Serve the example project with a simulated Exotel.

    Yields the address of the API, the headers of an administrator, and a folder that is removed afterwards.
    """
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
        headers = {"Cookie": f"helpdesk_sessionid={session}; helpdesk_csrftoken={CSRF}", "X-CSRFToken": CSRF}
        with running(environment, port) as url:
            yield f"{url}/exotel/api", headers, folder
