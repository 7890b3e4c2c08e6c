"""A fake Exotel over real HTTP: it answers, lets phones ring, calls back, and records it all in a book.

    from django_exotel_ccm import simulator

    with simulator.running(speed=50.0) as exotel:
        os.environ["EXOTEL_URL"] = exotel.account_url     # what the application reads
        ...                                               # place a call
        exotel.wait_until_quiet()                         # every call over, every callback delivered
        exotel.book.requests, exotel.book.calls, exotel.book.deliveries

From a shell: `python manage.py exotel_simulator`; its web page shows the two phones.
It serves this machine only.

The account is `simulated1`, its key `sim-key`, its token `sim-token`. Its directory:

| Agent | Contact URI       | user_id                              | Device     |
|-------|-------------------|--------------------------------------|------------|
| Asha  | +919000000101     | 7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa | on         |
| Vik   | sip:vik4c1d77e2   | 2b8e4c10-95d7-4f36-8a1b-6c0d3e7f9b42 | on         |
| Ola   | +919000000103     | c5f3091e-7a24-4d8b-b6e0-18a94d2c7f05 | off        |
| Uma   | +919000000104     | e90a7b63-1f4d-4c52-93c8-5db206f8417e | unverified |

ExoPhones: +918000000700 and +918000000701. `simulator.SCRIPTS` says what happens in a call to which number; any other
customer answers, talks for 42 seconds and hangs up. `simulator.SCENARIOS` are what can go wrong with every call, by
name: `exotel.use_scenario("no_reports")`. `simulator.Options` are single options: `exotel.options.answer_shape = "B"`.
"""

from __future__ import annotations

from django_exotel_ccm.simulator.http_types import Account
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.scenarios import SCENARIOS, SCRIPTS
from django_exotel_ccm.simulator.simulator import Simulator

__all__ = ["SCENARIOS", "SCRIPTS", "Account", "Options", "Simulator", "running"]

running = Simulator
"""Start a simulator; what it takes is documented there."""
