"""Serves a host without admin, messages, static files and REST framework, and a simulated Exotel beside it.

python -m tests.plain_host FOLDER prints one line of JSON with the addresses, and ends when its input ends.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.utils import timezone

from django_exotel_ccm import simulator
from tests.bare_host import Quiet

PREFIX = "/crm"


class Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at once, as a browser sends them."""

    daemon_threads = True


def configure(folder: Path, port: int) -> None:
    """Set up the host."""
    settings.configure(
        SECRET_KEY="tests-only",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="tests.plain_host.urls",
        LOGIN_URL="login",
        USE_TZ=True,
        AUTH_USER_MODEL="plain_host.Person",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django_exotel_ccm",
            "tests.plain_host",
        ],
        MIGRATION_MODULES={"plain_host": None},
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
            "tests.plain_host.urls.of_tenant",
            "tests.plain_host.urls.strict_policy",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "host.sqlite3"),
                "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
            }
        },
        EXOTEL_CCM={
            "CALLBACK_BASE_URL": f"http://127.0.0.1:{port}{PREFIX}",
            "TICKETS": {"plain_host.Order": {"prefix": "order", "phone": "phone"}},
        },
    )
    django.setup()


def below_prefix(application: Any) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """Mount the site below a path, as servers do."""

    def mounted(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(PREFIX):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b""]
        path = environ["PATH_INFO"].removeprefix(PREFIX)
        answer: Iterable[bytes] = application(environ | {"SCRIPT_NAME": PREFIX, "PATH_INFO": path}, start_response)
        return answer

    return mounted


def fill() -> dict[str, str]:
    """Make an agent who may call, and what they see; return the keys."""
    from django.contrib.auth.models import Permission

    from django_exotel_ccm.models import Agent, Disposition, ExoPhone, FollowUp
    from django_exotel_ccm.services import create_call_list, schedule_follow_up, sync_agents
    from tests.plain_host.models import Order, Person, RushOrder

    person = Person(email="asha@example.com")
    person.set_password("pw")
    person.save()
    names = ("place_call", "add_callnote", "view_callrecord", "view_order", "view_rushorder")
    person.user_permissions.set(Permission.objects.filter(codename__in=names))
    ExoPhone.objects.create(number="+918000000700", is_default=True)
    Agent.objects.create(user=person, name="Asha", contact_uri="+919000000101")
    sync_agents("default")  # so Asha's phone is known
    order = Order.objects.create(title="Blue carpet", phone="+919000001001")
    rush = RushOrder.objects.create(title="Roses for today", phone="+919000001009")
    none = Order.objects.create(title="Asked for a quote", phone="")
    made = create_call_list(owner=person, name="Reminders", model=Order, keys=[order.pk, rush.pk, none.pk])
    tomorrow = timezone.now() + datetime.timedelta(days=1)
    schedule_follow_up(ticket=order, due_at=tomorrow, assigned_to=person, text="asks for red")
    FollowUp.objects.update(due_at=timezone.now() - datetime.timedelta(hours=1))
    Disposition.objects.add_starter_set()
    return {"order": str(order.pk), "rush": str(rush.pk), "none": str(none.pk), "call_list": str(made.pk)}


def main(folder: Path) -> None:
    """Serve until standard input ends."""
    with (
        make_server("127.0.0.1", 0, lambda *_: [], server_class=Server, handler_class=Quiet) as server,
        simulator.running(speed=1.0) as exotel,
    ):
        exotel.options.by_hand = True
        os.environ["EXOTEL_URL"] = exotel.account_url
        configure(folder, server.server_port)
        call_command("check", fail_level="WARNING", stdout=sys.stderr)
        call_command("migrate", run_syncdb=True, verbosity=0)
        keys = fill()
        server.set_app(below_prefix(get_wsgi_application()))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}{PREFIX}/en"
        sys.stdout.write(json.dumps({"url": url, "phones": exotel.url, **keys}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
