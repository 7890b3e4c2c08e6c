"""The database modes and the web servers of the concurrency tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection

from tests.concurrency.web_process import Web, web
from tests.crashes import ticket_receivers


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``journal`` on SQLite in WAL and not; elsewhere once.

    One that takes ``isolation`` runs at Django's isolation level, and at the one that many hosts have; SQLite has only
    one.
    """
    if "journal" in metafunc.fixturenames:
        modes = ["wal", "delete"] if connection.vendor == "sqlite" else [connection.vendor]
        metafunc.parametrize("journal", modes, indirect=True)
    if "isolation" in metafunc.fixturenames:
        levels = ["usual"] if connection.vendor == "sqlite" else ["usual", "repeatable read"]
        metafunc.parametrize("isolation", levels, indirect=True)


@pytest.fixture
def journal(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """SQLite's journal mode, "wal" or "delete", in this process and in those that the test starts."""
    mode: str = request.param
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor != "sqlite":
        yield mode
        return
    usual = options["init_command"]
    options["init_command"] = f"PRAGMA journal_mode={mode}"
    try:
        connection.close()
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA journal_mode").fetchone() == (mode,)
        yield mode
    finally:
        connection.close()
        options["init_command"] = usual


@pytest.fixture
def isolation(request: pytest.FixtureRequest, host: Any) -> Iterator[str]:
    """The isolation level of all connections of the test."""
    level: str = request.param
    options = connection.settings_dict.setdefault("OPTIONS", {})
    before = dict(options)
    if level != "usual" and connection.vendor == "postgresql":
        from psycopg import IsolationLevel

        options["isolation_level"] = IsolationLevel.REPEATABLE_READ
    elif level != "usual":
        options["isolation_level"] = level
    connection.close()
    yield level
    connection.close()
    options.clear()
    options.update(before)


@pytest.fixture
def servers(journal: str) -> Iterator[list[Web]]:
    """Two web servers of the host, each a process with many threads."""
    with ExitStack() as stack:
        yield [stack.enter_context(web(TEST_JOURNAL=journal)) for _number in range(2)]


@pytest.fixture(autouse=True)
def connected_receivers() -> Iterator[None]:
    """The host's receiver notes every signal in the ticket."""
    ticket_receivers.listen()
    yield
    ticket_receivers.silence()
