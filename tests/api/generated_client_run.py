"""Generates a client from our schema, and uses it at the running example project.

python -m tests.api.generated_client_run

Run by ``nox -s generated_client`` in an environment of its own.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.api.example_server import example


def place(url: str, headers: dict[str, str]) -> list[Any]:
    """Place a call twice with one key, and read it; return the three answers. Uses nothing but the generated client."""
    package = import_module("generated")
    models, calls = import_module("generated.models"), import_module("generated.api.calls")
    operations = {name: import_module(f"{calls.__name__}.{name}") for name in ("place_call", "get_call")}
    client = package.Client(base_url=url, headers=headers)
    agents = import_module("generated.api.agents.list_agents").sync(client=client).results
    body = models.PlaceCall(ticket="ticket_1", agent=next(one.id for one in agents if one.name == "Asha"))
    answers = [
        operations["place_call"].sync_detailed(client=client, body=body, idempotency_key="one press")
        for _time in range(2)
    ]
    return [*answers, operations["get_call"].sync_detailed(answers[0].parsed.reference, client=client)]


def list_and_unlist(url: str, headers: dict[str, str]) -> list[int]:
    """Put a number on the do-not-call list, and take it off again; return what was answered."""
    package, models = import_module("generated"), import_module("generated.models")
    client = package.Client(base_url=url, headers=headers)
    add, remove = (import_module(f"generated.api.do_not_call.{name}_do_not_call") for name in ("add", "remove"))
    added = add.sync_detailed(client=client, body=models.AddNumber(number="+919876543210"))
    removed = [remove.sync_detailed(client=client, body=models.OneNumber(number="+919876543210")) for _time in range(2)]
    return [int(one.status_code) for one in (added, *removed)]


def main() -> None:
    """Raise ``AssertionError`` unless one call was placed, and read by its names, and a number is off the list."""
    with example() as (url, headers, folder):
        generate = ("openapi-python-client", "generate", "--url", f"{url}/schema/", "--meta", "none")
        subprocess.run([*generate, "--output-path", str(Path(folder, "generated")), "--fail-on-warning"], check=True)
        sys.path.insert(0, folder)
        answers = place(url, headers)
        assert list_and_unlist(url, headers) == [201, 204, 404]
    assert [int(one.status_code) for one in answers] == [201, 200, 200], answers
    assert len({str(one.parsed.reference) for one in answers}) == 1
    assert answers[2].parsed.ticket == "ticket_1"


if __name__ == "__main__":
    main()
