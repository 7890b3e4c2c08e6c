"""``python -m demo``: what ``make demo`` runs. Helpdesk and simulator are threads of this process: nothing is left."""

from __future__ import annotations

import argparse
import os
import re
import sys
from contextlib import ExitStack
from urllib.parse import urlsplit

from demo.running import end_on_signals, lock, new_site, on_free_port, say, serve, stay_open, stop
from django_exotel_ccm import simulator

COMMAND = "make demo LIVE=1 AGENT=+91… CUSTOMER=+91… EXOPHONE=+91…"
ACCOUNT = ("EXOTEL_API_KEY", "EXOTEL_API_TOKEN", "EXOTEL_ACCOUNT_SID", "EXOTEL_REGION")


def main() -> int:
    """Run the demo; return its exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description="A helpdesk whose customers can be called.")
    parser.add_argument("--once", action="store_true", help="end after the call: 0 if ticket and simulator agree")
    parser.add_argument("--speed", type=float, default=7.0, help="of the first call (default: 7, which takes 8 s)")
    parser.add_argument("--live", action="store_true", help="ring two real phones through your Exotel account")
    for name in ("agent", "customer", "exophone"):
        parser.add_argument(f"--{name}", default="", help="with --live: this number, as +91…")
    options = parser.parse_args()
    # A proxy cannot reach this machine's own addresses.
    known = f"{os.environ.get('NO_PROXY', '')},{os.environ.get('no_proxy', '')}"
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{known},127.0.0.1,localhost,::1".strip(",")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    end_on_signals()
    return ring_real_phones(options) if options.live else ring_simulated_phones(once=options.once, speed=options.speed)


def ring_simulated_phones(*, once: bool, speed: float) -> int:
    """Place a call through the simulator; return 0 if ticket and simulator agree. The site then stays open."""
    say("A helpdesk and a simulated Exotel, both on this machine alone. No real phone rings.")
    if ignored := sorted(name for name in os.environ if name.startswith("EXOTEL_")):
        say(f"Ignored in your environment: {', '.join(ignored)}. To ring real phones: make demo LIVE=1")
    for name in ignored:
        del os.environ[name]
    with ExitStack() as stack:
        try:
            exotel = on_free_port(lambda port: simulator.running(port=port, speed=speed), 8900, "the simulated Exotel")
            exotel.options.recording_delay = 5.0  # seconds; Exotel's own take about a minute, and a newcomer waits here
        except ValueError as error:
            stop(f"{error}. Type: make demo SPEED=1")
        stack.enter_context(exotel)
        site = stack.enter_context(on_free_port(new_site, 8000, "the helpdesk"))
        url = f"http://127.0.0.1:{site.server_port}"
        os.environ |= {"EXOTEL_URL": exotel.account_url, "CALLBACK_BASE_URL": url}
        held = lock()
        serve(site, stack)
        from demo.story import call_simulated_phones, invite  # noqa: PLC0415 - models are loaded only now

        status = call_simulated_phones(url, exotel)
        os.close(held)
        if not once:
            exotel.speed = 1.0  # real time, since a person answers the phones
            invite(url, exotel.url)
            stay_open()
    return status


def ring_real_phones(options: argparse.Namespace) -> int:
    """Check that nothing is missing, ask for a yes, then place one call; return 0 if its end was reported."""
    for name in ("agent", "customer", "exophone"):
        value = getattr(options, name)
        if not re.fullmatch(r"\+[1-9][0-9]{7,14}", value) and not (name == "agent" and value.startswith("sip:")):
            stop(f"LIVE needs {name.upper()}, a number with its country code. Type: {COMMAND}")
    if not os.environ.get("EXOTEL_URL") and not all(map(os.environ.get, ACCOUNT)):
        stop(f"LIVE needs your Exotel account. Set {', '.join(ACCOUNT)}, then: {COMMAND}")
    base = urlsplit(os.environ.get("CALLBACK_BASE_URL", ""))
    if not base.netloc:
        stop("LIVE needs CALLBACK_BASE_URL, where a tunnel leads to port 8000: export CALLBACK_BASE_URL=https://…")
    # A database of its own: the demo's people have made-up numbers, which may be somebody's.
    os.environ |= {"HELPDESK_DATABASE": "live.sqlite3", "HELPDESK_DEBUG": "false"}
    port = (base.port if base.scheme == "http" else None) or 8000  # an https address is a tunnel's
    with ExitStack() as stack:
        try:
            site = stack.enter_context(new_site(port))
        except OSError:
            stop(f"port {port} is taken, and CALLBACK_BASE_URL leads there. Stop what runs on it.")
        serve(site, stack)
        from demo.story import call_real_phones  # noqa: PLC0415 - models are loaded only now

        status = call_real_phones(options)
        if not options.once:
            stay_open()
    return status


if __name__ == "__main__":
    sys.exit(main())
