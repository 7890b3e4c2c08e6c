"""A fake Exotel over real HTTP: it answers, lets phones ring, calls back, and records it all in a book.

    from django_exotel_ccm import simulator

    with simulator.running(speed=50.0) as exotel:
        os.environ["EXOTEL_URL"] = exotel.account_url     # what the application reads
        ...                                               # place a call
        exotel.wait_until_quiet()                         # every call over, every callback delivered
        exotel.book.requests, exotel.book.calls, exotel.book.deliveries

From a shell: `python manage.py exotel_simulator`; its web page shows the two phones.
It serves this machine only.

The account is `simulated1`, its key `sim-key`, its token `sim-token`. Its agents are Asha (+919000000101) and Vik
(sip:vik4c1d77e2), whose devices are on, Ola (+919000000103), whose device is off, and Uma (+919000000104), whose device
is not verified. Its ExoPhones are +918000000700 and +918000000701.

`simulator.SCRIPTS` says what happens in a call to which number; any other customer answers, talks for 42 seconds and
hangs up. `simulator.SCENARIOS` are what can go wrong with every call, by name: `exotel.use_scenario("no_report")`.
`simulator.Options` are single options: `exotel.options.answer_shape = "B"`.
"""

from __future__ import annotations

from django_exotel_ccm.simulator.directory import Account
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.scenarios import SCENARIOS, SCRIPTS
from django_exotel_ccm.simulator.simulator import Simulator

__all__ = ["SCENARIOS", "SCRIPTS", "Account", "Options", "Simulator", "running"]

running = Simulator
"""Start a simulator; what it takes is documented there."""
