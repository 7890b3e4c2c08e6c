"""Every order of a scenario's events, with repetitions and losses: the same record, in the join and in the database.

python -m tests.properties.orders [--full] [--postgres]

Prints the counts, and fails at the first order that makes another record or announces what it must not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from tests.properties.database import in_a_database
from tests.properties.permutations import Count, walk_join
from tests.properties.scenarios import BY_OUTCOME, SCENARIOS, Scenario


def main(arguments: Sequence[str]) -> int:
    """Walk the chosen orders, print the counts and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all six events in the database too: about ten minutes")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own instead of SQLite")
    options = parser.parse_args(arguments)
    report("join", SCENARIOS, walk_join)
    with in_a_database(postgres=options.postgres) as vendor:
        from tests.properties.call_driver import CallDriver

        with CallDriver() as driver:
            report(f"{vendor}, four events", [scenario.first(4) for scenario in BY_OUTCOME], driver.walk)
            if options.full:
                report(f"{vendor}, all events", SCENARIOS, lambda scenario: driver.walk(scenario, repeated=1))
    return 0


def report(where: str, scenarios: Sequence[Scenario], walk: Callable[[Scenario], Count]) -> None:
    """Walk ``scenarios`` and print what was tried; raises :class:`Differs`."""
    began = time.monotonic()
    total = sum(map(walk, scenarios), Count())
    print(f"{where}: {total}, 0 differ, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
