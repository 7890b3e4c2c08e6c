"""A set-up in which everything is right, and the doctor that looks at it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_exotel_ccm.models import AccountUsage
from django_exotel_ccm.services.groups import OF_AGENTS
from tests.servers.faulty_proxy import Proxy, proxy_before

NUMBER = "+919000001001"


class Doctor:
    """Runs ``exotel_doctor`` and returns what it says."""

    def checks(self) -> list[dict[str, Any]]:
        """Return everything that was found; it names no secret and no customer."""
        out = io.StringIO()
        with suppress(CommandError):
            call_command("exotel_doctor", "--json", stdout=out)
        printed = out.getvalue()
        for secret in ("sim-key", "sim-token", NUMBER, NUMBER[3:]):
            assert secret not in printed
        found: list[dict[str, Any]] = json.loads(printed)["checks"]
        for one in found:
            assert set(one) == {"name", "ok", "message", "why", "fix"}
            assert one["message"]
            assert one["ok"] or (one["why"] and one["fix"]), one
        return found

    def wrong(self) -> list[tuple[str, str]]:
        """Return name and message of what is wrong."""
        return [(one["name"], one["message"]) for one in self.checks() if not one["ok"]]

    def only(self) -> dict[str, Any]:
        """Return the one thing that is wrong."""
        (one,) = [one for one in self.checks() if not one["ok"]]
        return one


@pytest.fixture
def doctor(host: Any, exotel: Any) -> Doctor:
    """The doctor, at a healthy set-up: agent, ExoPhone, ticket, reconciler, a site that answers."""
    host.asha = host.user("asha", *OF_AGENTS)
    host.user("root", is_superuser=True, agent=None)
    host.first_ticket = host.ticket(phone=NUMBER)
    AccountUsage.objects.save_moment("default", reconciled_at=timezone.now())
    return Doctor()


@pytest.fixture
def report_to(settings: Any) -> Callable[[str], None]:
    """Set ``CALLBACK_BASE_URL``."""

    def use(url: str) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": url}

    return use


@pytest.fixture
def proxy(doctor: Doctor, live_server: Any, report_to: Callable[[str], None]) -> Iterator[Proxy]:
    """A proxy before the site, at the address for callbacks."""
    with proxy_before(live_server.url) as proxy:
        report_to(proxy.url)
        yield proxy


@pytest.fixture
def tls_proxy(
    doctor: Doctor,
    live_server: Any,
    report_to: Callable[[str], None],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> Iterator[Proxy]:
    """A proxy that speaks https, with a certificate that this process trusts, and a site that trusts the proxy."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    with proxy_before(live_server.url, certificate) as proxy:
        proxy.proto = "https"
        report_to(proxy.url)
        yield proxy
