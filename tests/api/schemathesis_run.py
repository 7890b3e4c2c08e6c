"""Sends what schemathesis makes of our schema to the running example project, as somebody who may do everything.

python -m tests.api.schemathesis_run [arguments of schemathesis]

Run by ``nox -s schemathesis`` in an environment of its own: schemathesis brings a pytest plugin along.
"""

from __future__ import annotations

import subprocess
import sys

from tests.api.example_server import example

SECONDS = 150
# A body can be right and yet name a ticket that there is not, a number that nobody has, or a moment that is over.
NOT_IN_A_SCHEMA = "positive_data_acceptance"


def main(arguments: list[str]) -> int:
    """Return schemathesis's exit status: 0 when nothing failed."""
    with example() as (url, headers, folder):
        command = [
            *("schemathesis", "run", f"{url}/schema/", "--phases", "coverage,fuzzing"),
            *("--max-examples", "30", "--max-time", str(SECONDS), "--exclude-checks", NOT_IN_A_SCHEMA),
            *(word for name, value in headers.items() for word in ("-H", f"{name}: {value}")),
        ]
        # In the folder, because it keeps notes of its runs.
        return subprocess.run([*command, *arguments], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
