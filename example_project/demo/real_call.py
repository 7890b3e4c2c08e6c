"""``make demo LIVE=1``: two real phones, a real account, and a typed yes before either rings."""

from __future__ import annotations

import argparse
import os
import re
import secrets
from urllib.parse import urlsplit

from demo.alone import alone
from demo.console import Trouble, say
from demo.ending import wait_for_ctrl_c
from demo.setting_up import load_django, set_up
from demo.settling import reconciling
from demo.site import Site, is_taken

PORT = 8000
COMMAND = "make demo LIVE=1 AGENT=+91… CUSTOMER=+91… EXOPHONE=+91…"
NUMBER = re.compile(r"\+[1-9][0-9]{7,14}")
ACCOUNT = ("EXOTEL_API_KEY", "EXOTEL_API_TOKEN", "EXOTEL_ACCOUNT_SID", "EXOTEL_REGION")


def call_for_real(options: argparse.Namespace) -> int:
    """Ask for everything that is missing, ask for a yes, then place one call; return 0 if its end was heard."""
    _check(options)
    # A database of its own: the demo's people have made-up numbers, which may be somebody's.
    os.environ |= {"HELPDESK_DATABASE": "live.sqlite3", "HELPDESK_DEBUG": "false"}
    port = _port()
    if is_taken(port):
        raise Trouble(f"port {port} is taken, and CALLBACK_BASE_URL leads there. Stop what runs on it.")
    with alone(load_django()):
        application = set_up()
    _ask(options)
    password = secrets.token_urlsafe(9)  # the callback address is open to the world, and with it the login page
    with Site(port) as site, site.serving(application), reconciling():
        from demo.live_call import live_call  # noqa: PLC0415 - models are loaded only now

        status = live_call(site.url, options, password)
        if not options.once:
            say(f"The site stays open until Ctrl-C: {site.url}/admin/   log in as agent, password {password}")
            wait_for_ctrl_c()
    return status


def _check(options: argparse.Namespace) -> None:
    for name in ("agent", "customer", "exophone"):
        value = getattr(options, name)
        if not NUMBER.fullmatch(value) and not (name == "agent" and value.startswith("sip:")):
            raise Trouble(f"LIVE needs {name.upper()}, a number with its country code. Type: {COMMAND}")
    if not os.environ.get("EXOTEL_URL") and not all(map(os.environ.get, ACCOUNT)):
        raise Trouble(f"LIVE needs your Exotel account. Set {', '.join(ACCOUNT)}, then: {COMMAND}")
    if not os.environ.get("CALLBACK_BASE_URL"):
        raise Trouble(
            "LIVE needs CALLBACK_BASE_URL: without it nobody hears how the call ends. Start a tunnel from an https "
            f"address to http://127.0.0.1:{PORT}, then: export CALLBACK_BASE_URL=https://…"
        )


def _port() -> int:
    """The port to which CALLBACK_BASE_URL leads: 8000 behind a tunnel, its own on this machine."""
    parts = urlsplit(os.environ["CALLBACK_BASE_URL"])
    return parts.port or PORT if parts.scheme == "http" else PORT


def _ask(options: argparse.Namespace) -> None:
    from django_exotel_ccm.accounts import get_account  # noqa: PLC0415 - the settings are read only now

    say(f"This rings {options.agent}, then {options.customer}, through the Exotel account {get_account().sid}.")
    say("Real phones ring, and Exotel charges for the call. Type yes to go on:")
    try:
        answer = input()
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        raise Trouble("nothing was dialled.")
