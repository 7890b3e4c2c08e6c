"""The demo proper: one call through the admin against a simulated Exotel, and the site left open to play with."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial

from demo import environment
from demo.alone import alone
from demo.console import Trouble, say
from demo.ending import wait_for_ctrl_c
from demo.setting_up import load_django, set_up
from demo.settling import reconciling
from demo.site import Site, on_a_free_port
from django_exotel_ccm import simulator

SITE_PORT, SIMULATOR_PORT = 8000, 8900
SPEED = 7.0  # the first call's 53 seconds pass in eight


def rehearse(*, once: bool, speed: float) -> int:
    """Run the demo; return 0 if the ticket and the simulator's book agree."""
    say("A helpdesk and a simulated Exotel, both on this machine alone. No real phone rings.")
    ignored = environment.forget_real_accounts()
    if ignored:
        say(f"Ignored in your environment: {', '.join(ignored)}. To ring real phones: make demo LIVE=1")
    with ExitStack() as stack:
        exotel = stack.enter_context(on_a_free_port(partial(fake_exotel, speed), SIMULATOR_PORT, "the fake Exotel"))
        site = stack.enter_context(on_a_free_port(Site, SITE_PORT, "the helpdesk"))
        os.environ |= {"EXOTEL_URL": exotel.account_url, "CALLBACK_BASE_URL": site.url}
        with alone(load_django()):
            stack.enter_context(site.serving(set_up()))
            stack.enter_context(reconciling())
            from demo.first_call import first_call, invite  # noqa: PLC0415 - models are loaded only now

            status = first_call(site.url, exotel.url)
        if not once:
            exotel.speed = 1.0  # real time: phones ring as long as real ones, to be answered by hand
            invite(site.url, exotel.url)
            wait_for_ctrl_c()
    return status


def fake_exotel(speed: float, port: int) -> simulator.Simulator:
    """Start the simulator, or raise Trouble if its clock cannot run at that speed."""
    try:
        return simulator.running(port=port, speed=speed)
    except ValueError as error:
        raise Trouble(f"{error}. Type: make demo SPEED=1") from error
