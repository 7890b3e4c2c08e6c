"""Installs nothing, and does the rest of README's steps in a new project: ``python walk_readme.py README FOLDER``.

Runs with the installed package alone, outside of this repository (``make release``). FOLDER is empty; afterwards it has
the project. The last line says how the call ended and what the ticket's status is; the exit status is 1 if it is wrong.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from pathlib import Path

import requests

WITHIN = 60  # seconds
PASSWORD = "kamala-rani-7"
NUMBER = "+919000001001"  # of the simulator: answers, and talks
MODELS = """
from django.db import models


class Customer(models.Model):
    phone = models.CharField(max_length=20)


class Ticket(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    status = models.CharField(max_length=20, default="new")
"""
ADMIN = """
from django.contrib import admin

from helpdesk.models import Customer, Ticket

admin.site.register([Customer, Ticket])
"""


def main(readme: Path, folder: Path) -> int:
    """Do the steps; return the exit status."""
    text = readme.read_text("utf-8").replace("\n   ", "\n")  # in lists, blocks are indented
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    site, exotel = _free_port(), _free_port()
    os.chdir(folder)
    environment = dict(os.environ, PYTHONUNBUFFERED="1", DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    _write_project(blocks, site)

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=WITHIN
        ).stdout

    with ExitStack() as stack:
        printed = stack.enter_context(_running(["exotel_simulator", "--port", str(exotel)], environment))
        [line] = _first(printed, "export EXOTEL_URL=")
        environment["EXOTEL_URL"] = line.partition("=")[2].strip().strip("'")
        manage("makemigrations", "helpdesk")
        manage("migrate")
        [create] = re.findall(r"^python manage.py (createsuperuser .*)$", text, re.MULTILINE)
        manage(*create.split(), "--noinput")
        stack.enter_context(_running(["runserver", "--noreload", str(site)], environment))
        manage("exotel_setup")
        _wait_for(f"http://127.0.0.1:{site}/admin/login/")
        _press(f"http://127.0.0.1:{site}", manage)
        ended = _until_ended(manage)
        manage("exotel_reconcile")
    print(f"The call: {ended}")
    return 0 if ended == "ended completed called" else 1


def _write_project(blocks: list[str], port: int) -> None:
    subprocess.run([sys.executable, "-m", "django", "startproject", "crm", "."], check=True)
    subprocess.run([sys.executable, "-m", "django", "startapp", "helpdesk"], check=True)
    Path("helpdesk/models.py").write_text(MODELS, "utf-8")
    Path("helpdesk/admin.py").write_text(ADMIN, "utf-8")
    [settings] = [block for block in blocks if "EXOTEL_CCM = {" in block]
    [urls] = [block for block in blocks if "urlpatterns +=" in block]
    with Path("crm/settings.py").open("a", encoding="utf-8") as file:
        file.write(settings.replace(":8000", f":{port}") + '\nINSTALLED_APPS += ["helpdesk"]\n')
    with Path("crm/urls.py").open("a", encoding="utf-8") as file:
        file.write(urls)
    for name in ("telephony", "apps"):
        [block] = [block for block in blocks if block.startswith(f"# helpdesk/{name}.py\n")]
        Path(f"helpdesk/{name}.py").write_text(block, "utf-8")


def _press(site: str, run: Callable[..., str]) -> None:
    """Log in, open a ticket and press its button, as the browser does without JavaScript."""
    made = "from helpdesk.models import *; c = Customer.objects.create(phone='{}'); Ticket.objects.create(customer=c)"
    run("shell", "-c", made.format(NUMBER))
    browser = requests.Session()
    _post(browser, f"{site}/admin/login/", {"username": "asha", "password": PASSWORD, "next": "/admin/"})
    page = browser.get(f"{site}/admin/helpdesk/ticket/1/change/", timeout=WITHIN)
    [place] = re.findall(r'data-exotel-place="([^"]+)"', page.text)[:1]
    _post(browser, f"{site}{unescape(place)}", {}, page=page)


def _post(
    browser: requests.Session, url: str, values: dict[str, str], page: requests.Response | None = None
) -> requests.Response:
    text = (page or browser.get(url, timeout=WITHIN)).text
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)[0]
    answer = browser.post(url, {**values, "csrfmiddlewaretoken": token}, headers={"Referer": url}, timeout=WITHIN)
    answer.raise_for_status()
    return answer


def _until_ended(run: Callable[..., str]) -> str:
    ask = (
        "from django_exotel_ccm.models import CallRecord; from helpdesk.models import Ticket; "
        "c = CallRecord.objects.get(); print('=', c.state, c.outcome, Ticket.objects.get().status)"
    )
    until = time.monotonic() + WITHIN
    while True:
        said = run("shell", "-c", ask).rpartition("= ")[2].strip()
        if said.startswith("ended") or time.monotonic() > until:
            return said


@contextmanager
def _running(arguments: list[str], environment: dict[str, str]) -> Iterator[Iterator[str]]:
    """Run a command of ``manage.py`` beside us; yields the lines that it prints."""
    command = [sys.executable, "manage.py", *arguments]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        yield iter(process.stdout)
    finally:
        process.terminate()
        process.communicate(timeout=WITHIN)


def _first(lines: Iterator[str], beginning: str) -> list[str]:
    return [next(line.strip() for line in lines if line.strip().startswith(beginning))]


def _wait_for(url: str) -> None:
    until = time.monotonic() + WITHIN
    while time.monotonic() < until:
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(url)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
