"""``python -m demo``: what ``make demo`` runs, in the folder ``example_project``."""

from __future__ import annotations

import argparse
import os
import sys

from demo import ending, environment
from demo.console import Trouble, say
from demo.real_call import call_for_real
from demo.rehearsal import SPEED, rehearse


def main() -> int:
    """Run the demo; return its exit status."""
    options = read_options()
    environment.prepare_streams()
    environment.keep_loopback_off_proxies()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        with ending.by_signals():
            return call_for_real(options) if options.live else rehearse(once=options.once, speed=options.speed)
    except Trouble as trouble:
        say(f"The demo stops here: {trouble}")
        return 1
    except ending.Ended as ended:
        say("")
        say("The demo has ended.")
        return ended.status


def read_options() -> argparse.Namespace:
    """Read the command line; the Makefile writes it."""
    parser = argparse.ArgumentParser(prog="make demo", description="A helpdesk whose customers can be called.")
    parser.add_argument("--once", action="store_true", help="end after the call: 0 if ticket and simulator agree")
    parser.add_argument("--speed", type=float, default=SPEED, help="of the first call (default: %(default)s times)")
    parser.add_argument("--live", action="store_true", help="ring two real phones through your Exotel account")
    for name, what in (("agent", "rings first"), ("customer", "rings second"), ("exophone", "your ExoPhone")):
        parser.add_argument(f"--{name}", default="", help=f"with --live: the number that {what}, as +91…")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
