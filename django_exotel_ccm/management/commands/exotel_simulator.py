"""`manage.py exotel_simulator`: a fake Exotel to develop against, with a web page of two phones."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_exotel_ccm import simulator
from django_exotel_ccm.accounts import configured_accounts

SITE = "http://127.0.0.1:8000"
"""Where `runserver` serves unless it is told otherwise."""
ALL_THE_SAME = "To start the simulator all the same, type: python manage.py exotel_simulator --beside-real-account"


class Command(BaseCommand):
    """Serves until Ctrl-C; refuses to start beside an account whose calls would reach real phones."""

    help = "Serves a fake Exotel on this machine: answers the API, lets phones ring on a web page, calls back."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to serve, how fast its clock runs, and as which account."""
        usual = simulator.Account()
        parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8900, help="default: %(default)s")
        parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds in a real one (default: 1)")
        parser.add_argument("--key", default=usual.key, help="API key (default: %(default)s)")
        parser.add_argument("--token", default=usual.token, help="API token (default: %(default)s)")
        parser.add_argument("--sid", default=usual.sid, help="account SID (default: %(default)s)")
        parser.add_argument(
            "--set",
            dest="set",
            metavar="OPTION=VALUE",
            action="append",
            default=[],
            help="set an option of the simulator, for example loss_rate=0.1; may be repeated",
        )
        parser.add_argument(
            "--beside-real-account",
            action="store_true",
            help="start although EXOTEL_CCM names an account that is not on this machine",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Check, start, say what to put in the environment, wait."""
        if not options["beside_real_account"]:
            refuse_beside_real_account()
        simulated = read_options(options["set"])
        account = simulator.Account(key=options["key"], token=options["token"], sid=options["sid"])
        try:
            exotel = simulator.running(
                host=options["host"],
                port=options["port"],
                speed=options["speed"],
                account=account,
                options=simulated,
            )
        except (ValueError, OSError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                raise CommandError(port_is_taken(options["host"], options["port"])) from error
            raise CommandError(f"The simulator cannot start: {error} (see --host, --port and --speed)") from error
        with exotel, contextlib.suppress(KeyboardInterrupt):
            self._welcome(exotel)
            self._serve()
        self.stdout.write("The simulator has stopped.")

    def _welcome(self, exotel: simulator.Simulator) -> None:
        self.stdout.write(self.style.SUCCESS(f"A fake Exotel answers at {exotel.url}"))
        self.stdout.write(f"Its phones:  {exotel.url}/")
        self.stdout.write(f"Its record:  {exotel.url}/book.json")
        self.stdout.write("Put this in the environment of your project:")
        self.stdout.write(f"export EXOTEL_URL='{exotel.account_url}'")
        self.stdout.write(
            "Put this in its settings, with the port of its runserver, so that the reports of calls reach it:"
        )
        self.stdout.write(f'EXOTEL_CCM["CALLBACK_BASE_URL"] = "{SITE}"')
        self.stdout.write("Then start the project.")
        self.stdout.write("Ctrl-C stops the simulator.")
        self.stdout.flush()

    def _serve(self) -> None:
        threading.Event().wait()


def port_is_taken(host: str, port: int) -> str:
    """Return what to type instead: the same command with the next port that is free."""
    free = next((one for one in range(port + 1, port + 100) if is_free(host, one)), 0)
    return f"Port {port} is in use, perhaps by another simulator. Type: python manage.py exotel_simulator --port {free}"


def is_free(host: str, port: int) -> bool:
    """Return True if a server could listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
        return True


def read_options(texts: list[str]) -> dict[str, Any]:
    """Return the simulator's options by `--set`; CommandError if one cannot be set.

    Whoever tries the command has agents and ExoPhones of their own, so they are added unless `--set` says otherwise.
    """
    options = simulator.Options(add_unknown=True)
    for given in texts:
        name, _, text = given.partition("=")
        try:
            options.set_text(name.strip(), text)
        except (AttributeError, ValueError) as error:
            raise CommandError(f"--set {given}: {error}") from error
    return vars(options)


def refuse_beside_real_account() -> None:
    """CommandError if an account is configured whose calls would ring real phones."""
    try:
        accounts = configured_accounts()
    except (ImproperlyConfigured, ValueError) as error:
        raise CommandError(f"{error} {ALL_THE_SAME}") from error
    real = sorted(alias for alias, account in accounts.items() if not account.is_loopback)
    if real:
        raise CommandError(
            f"The account {', '.join(real)} is a real one: calls placed in this project ring real phones."
            f" Put the simulator's EXOTEL_URL in the environment instead. {ALL_THE_SAME}"
        )
