"""A test database for the property tests that run as commands, and a way to take back what was done in it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator


@contextlib.contextmanager
def in_a_database(*, postgres: bool = False) -> Iterator[str]:
    """Make a test database for the tests' host, and yield its kind; it is gone afterwards."""
    with contextlib.ExitStack() as stack:
        if postgres:
            from tests.servers.postgresql import running_postgresql

            os.environ["POSTGRES_HOST"] = str(stack.enter_context(running_postgresql()))
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django
        from django.db import connection, connections
        from django.test.utils import setup_databases, setup_test_environment, teardown_databases

        django.setup()
        setup_test_environment()
        logging.disable()
        made = setup_databases(verbosity=0, interactive=False)
        try:
            with rolled_back():
                yield connection.vendor
        finally:
            teardown_databases(made, verbosity=0)
            connections.close_all()


@contextlib.contextmanager
def rolled_back() -> Iterator[None]:
    """Take back all that is written inside, as Django's ``TestCase`` does."""
    from django.db import transaction

    block = transaction.atomic()
    block._from_testcase = True  # or a durable transaction would refuse to be inside it
    with block:
        try:
            yield
        finally:
            transaction.set_rollback(True)
