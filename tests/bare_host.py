"""A host without admin, messages, sessions, static files or an installed REST framework takes a call to its end.

Run by tests/test_layers.py in a process of its own: python -m tests.bare_host FOLDER
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

import django_exotel_ccm
from django_exotel_ccm import simulator

ABSENT = ("django.contrib.admin", "django.contrib.messages", "django.contrib.staticfiles", "rest_framework")
#: The rooms that use them, and `urls`, which leads to webhooks. (REST framework imports Django's admin itself.)
NOT_CORE = ("admin", "api", "webhooks", "urls", "migrations")

urlpatterns: list[Any] = []


class Quiet(WSGIRequestHandler):
    """Writes no log: standard output is the report."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


def configure(folder: Path, port: int) -> None:
    """Set up the smallest host that this package needs."""
    settings.configure(
        SECRET_KEY="tests-only",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_exotel_ccm"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "host.sqlite3")}},
        EXOTEL_CCM={"CALLBACK_BASE_URL": f"http://127.0.0.1:{port}"},
    )
    django.setup()


def import_the_core() -> list[str]:
    """Import every module of the core; return which of the absent apps it brought along."""
    package = Path(django_exotel_ccm.__file__).parent
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        # A RUNNER brings its own library along; Django's Tasks before 6.0 import the admin.
        if parts[0] not in NOT_CORE and not parts[-1].startswith("with_"):
            importlib.import_module(".".join(("django_exotel_ccm", *parts)).removesuffix(".__init__"))
    return [name for name in ABSENT if name in sys.modules]


def main(folder: Path) -> None:
    """Check, migrate, place one call, receive its callbacks, and print the result."""
    with (
        make_server("127.0.0.1", 0, lambda *_: [], handler_class=Quiet) as server,
        simulator.running(speed=500) as exotel,
    ):
        os.environ["EXOTEL_URL"] = exotel.account_url
        configure(folder, server.server_port)
        brought = import_the_core()
        urlpatterns.append(path("exotel/", include("django_exotel_ccm.urls")))
        call_command("check", fail_level="WARNING")
        call_command("migrate", verbosity=0)
        server.set_app(get_wsgi_application())
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            sys.stdout.write(json.dumps({"brought along": brought} | _call(exotel)))
        finally:
            server.shutdown()
            thread.join()


def _call(exotel: simulator.Simulator) -> dict[str, Any]:
    from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
    from django_exotel_ccm.services import place_call

    ExoPhone.objects.create(number="+918000000700", is_default=True)
    agent = Agent.objects.create(name="Asha", contact_uri="+919000000101")
    call = place_call(agent=agent, to="+919000001001")
    exotel.wait_until_quiet(timeout=20)
    call = CallRecord.objects.get(pk=call.pk)
    return {
        "state": call.state,
        "talk_time": call.talk_time,
        "deliveries": sorted((one.event, one.status) for one in exotel.book.deliveries),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
