"""Clients of the API: one for each user."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallRecord
from django_exotel_ccm.models.ticket_link import ticket_columns
from tests.admin.pages import AGENT_WORK, BY_HAND

API = "/exotel/api/"


@pytest.fixture(autouse=True)
def no_throttle_before() -> None:
    """Forget the calls of the tests before."""
    cache.clear()


class Api:
    """What one user sends, as a program sends it."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.client = Client()
        if user is not None:
            self.client.force_login(user)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(API + path, headers=headers)

    def post(self, path: str, body: Any = None, *, key: str | None = None, **extra: Any) -> Any:
        headers = {"Idempotency-Key": key} if key is not None else {}
        return self.client.post(API + path, body or {}, content_type="application/json", headers=headers, **extra)

    def delete(self, path: str, body: Any = None) -> Any:
        return self.client.delete(API + path, body or {}, content_type="application/json")

    def send(self, method: str, path: str, body: bytes | str = b"", content_type: str = "application/json") -> Any:
        return self.client.generic(method, API + path, body, content_type=content_type)


@pytest.fixture
def asha(host: Any) -> Api:
    """An agent who may place calls about tickets."""
    return Api(host.user("asha", *AGENT_WORK))


@pytest.fixture
def api(host: Any) -> Callable[..., Api]:
    """Make the client of another user: ``api("ravi", "exotel_ccm.view_callrecord")``."""

    def of(username: str, *permissions: str, agent: str | None = None) -> Api:
        return Api(host.user(username, *permissions, agent=agent))

    return of


@pytest.fixture
def ticket(host: Any) -> Any:
    """A ticket whose customer's phone rings until the test answers it."""
    return host.ticket(phone=BY_HAND)


@pytest.fixture
def two_agents(exotel: Any) -> None:
    """A simulated Exotel that knows a second agent, Ravi."""
    exotel.directory.add_agent("+919000000102", name="Ravi")


@pytest.fixture
def entry(settings: Any) -> Callable[..., None]:
    """Change the entry of the tickets in the settings."""

    def change(**options: Any) -> None:
        entries = settings.EXOTEL_CCM["TICKETS"]
        entries = {**entries, "helpdesk.Ticket": {**entries["helpdesk.Ticket"], **options}}
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": entries}

    return change


def placed(user: Any, ticket: Any = None, *, age: float = 5, **fields: Any) -> CallRecord:
    """Return a call that ``user`` placed about ``ticket`` ``age`` seconds ago."""
    about: dict[str, Any] = {}
    if ticket is not None:
        content_type, key = ticket_columns(ticket)
        about = {
            "ticket_content_type": content_type,
            "ticket_object_id": key,
            "ticket_label": str(ticket),
            "custom_field": f"ticket_{key}",
        }
    return CallRecord.objects.create(
        **{
            "account": "default",
            "agent": Agent.objects.filter(user=user).first(),
            "placed_by": user,
            "customer_number": BY_HAND,
            "created_at": timezone.now() - datetime.timedelta(seconds=age),
            **about,
            **fields,
        }
    )
