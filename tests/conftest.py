"""What every test stands on: a clean environment, a host with people and tickets, and a real simulated Exotel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.scripted_http import make_certificate

for _name in [name for name in os.environ if name.startswith("EXOTEL_")]:
    del os.environ[_name]
# Loopback never goes through a proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"
# The sync API of Playwright runs an event loop in the thread that uses the ORM.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

AGENT = "+919000000101"
EXOPHONE = "+918000000700"
# Nobody listens there. Tests that place calls have a simulated Exotel.
UNREACHABLE = "exotel://key:token@127.0.0.1:1/acme?tls=off"
LAST_SPEED = 100_000.0  # a call that goes on when its test is over may last four simulated hours
# The names of marks and fixtures.
USES_A_DATABASE = {"db", "transactional_db", "live_server", "django_db", "redis", "postgres_only", "not_on_sqlite"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, without a skip, the tests that are not meant for this database."""
    from django.db import connection

    left_out = {item for item in items if not belongs_on(connection.vendor, item)}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def belongs_on(vendor: str, item: pytest.Item) -> bool:
    """Say whether a test has something to show on this database; those that use none run on SQLite alone."""
    marks = {mark.name for mark in item.iter_markers()}
    if "sqlite_only" in marks and vendor != "sqlite":
        return False
    if vendor == "sqlite":
        return not marks & {"postgres_only", "not_on_sqlite"}
    if vendor == "mysql" and "postgres_only" in marks:
        return False
    return bool(USES_A_DATABASE & {*marks, *getattr(item, "fixturenames", ())})


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Make the databases; each is emptied quickly after a test with real transactions."""
    from django.db import DEFAULT_DB_ALIAS
    from django.test import TransactionTestCase

    from tests.quick_flush import QuickFlush

    with django_db_blocker.unblock():
        flush = QuickFlush(DEFAULT_DB_ALIAS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _case: flush())
        yield


@pytest.fixture(autouse=True)
def language() -> Iterator[None]:
    """Take back the language that a request has activated: LocaleMiddleware leaves it to the next."""
    from django.utils import translation  # imported as late as the models are

    with translation.override(None):
        yield


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis of our own, as Celery takes it; for tests marked ``redis``."""
    from tests.servers.redis import NoRedis, running_redis

    try:
        with running_redis() as url:
            yield url
    except NoRedis as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "DNS:localhost", "IP:127.0.0.1")


@pytest.fixture
def host(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host's account, people and tickets, in a database whose transactions are real."""
    if "EXOTEL_URL" not in os.environ:
        monkeypatch.setenv("EXOTEL_URL", UNREACHABLE)
    return Host()


class Host:
    """Makes what a host has."""

    def __init__(self) -> None:
        from django_exotel_ccm.models import ExoPhone

        self.exophone = ExoPhone.objects.create(number=EXOPHONE, is_default=True)

    def user(self, username: str = "asha", *permissions: str, agent: str | None = AGENT, **fields: Any) -> Any:
        """Return a user of the admin with the permissions ("app.codename"), and with an agent unless None."""
        from django.contrib.auth.models import Permission, User

        from django_exotel_ccm.models import Agent

        user = User.objects.create_user(username, f"{username}@example.com", "pw", is_staff=True, **fields)
        for permission in permissions:
            label, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=label, codename=codename))
        if agent:
            Agent.objects.create(user=user, name=username.title(), contact_uri=agent)
        return user

    def agent(self, name: str = "Asha", contact_uri: str | None = AGENT, **fields: Any) -> Any:
        """Return an agent."""
        from django_exotel_ccm.models import Agent

        return Agent.objects.create(name=name, contact_uri=contact_uri, **fields)

    def ticket(self, subject: str = "Broken fan", phone: str = "+919000001001", other: str = "", **fields: Any) -> Any:
        """Return a ticket of a customer with the phone number."""
        from tests.helpdesk.models import Customer, Ticket

        customer = Customer.objects.create(name="Ravi", phone=phone, other_phone=other)
        return Ticket.objects.create(subject=subject, customer=customer, **fields)


@pytest.fixture
def calls(client: Any, db: None) -> Any:
    """Calls inside a transaction that the test rolls back."""
    from tests.factories import Calls

    return Calls(client)


@pytest.fixture
def real_calls(client: Any, transactional_db: None) -> Any:
    """Calls in a database whose transactions are real."""
    from tests.factories import Calls

    return Calls(client)


@pytest.fixture
def exotel(exotel_simulator: Any, live_server: Any, settings: Any, compare_books: Callable[..., None]) -> Iterator[Any]:
    """A simulated Exotel that reports to this test's live server; afterwards its book is the database."""
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": live_server.url}
    yield exotel_simulator
    compare_books(exotel_simulator)


@pytest.fixture
def compare_books(request: pytest.FixtureRequest, transactional_db: None) -> Callable[..., None]:
    """Compare the simulator's book with the database once all is quiet; with ``books_differ`` wait for the quiet alone.

    A callback on its way when its test is over would be stored in the next test's database.
    """

    def compare(exotel: Any) -> None:
        from tests.comparison import assert_record_equals_book

        exotel.speed = LAST_SPEED
        exotel.wait_until_quiet(timeout=20)
        if not request.node.get_closest_marker("books_differ"):
            assert_record_equals_book(exotel)

    return compare


@pytest.fixture
def receivers() -> Iterator[Callable[..., None]]:
    """Connect receivers to signals for this test alone: ``receivers(signal, function, sender=None)``."""
    connected: list[tuple[Any, Any, Any]] = []

    def connect(signal: Any, receiver: Any, sender: Any = None, dispatch_uid: str | None = None) -> None:
        signal.connect(receiver, sender=sender, weak=False, dispatch_uid=dispatch_uid)
        connected.append((signal, receiver, (sender, dispatch_uid)))

    yield connect
    for signal, receiver, (sender, uid) in connected:
        signal.disconnect(receiver, sender=sender, dispatch_uid=uid)
