"""The pytest fixture `exotel_simulator`: a fake Exotel for a host's own tests."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django_exotel_ccm.simulator import Simulator

SPEED = 500.0  # a usual call, 51 simulated seconds, takes a tenth of a second


@pytest.fixture
def exotel_simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A running simulator. EXOTEL_URL and every account of the settings lead to it, and to no real Exotel."""
    from django_exotel_ccm import simulator  # noqa: PLC0415 - a run that does not ask for it need not load it

    with simulator.running(speed=SPEED) as exotel, _accounts_led_to(exotel.account_url, monkeypatch):
        yield exotel


@contextlib.contextmanager
def _accounts_led_to(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    led, others = _variables()
    for name in led:
        monkeypatch.setenv(name, url)
    for name in others:
        monkeypatch.delenv(name, raising=False)

    def lead_more(*, setting: str, **kwargs: object) -> None:
        names = _variables()[0] if setting == "EXOTEL_CCM" else set()
        for name in names - led:  # what the test itself set afterwards is left alone
            monkeypatch.setenv(name, url)
        led.update(names)

    if not _django_is_set_up():
        yield
        return
    from django.core.signals import setting_changed  # noqa: PLC0415 - a host without Django has none

    # Tests override settings after this fixture has begun, and may name other accounts then.
    setting_changed.connect(lead_more)
    try:
        yield
    finally:
        setting_changed.disconnect(lead_more)


def _variables() -> tuple[set[str], set[str]]:
    """Return the variables that each hold an account, and the others that may hold credentials."""
    from django_exotel_ccm.exotel.account import PartNames  # noqa: PLC0415

    if not _django_is_set_up():
        return {"EXOTEL_URL"}, set(PartNames())
    from django_exotel_ccm import accounts, conf  # noqa: PLC0415 - they need Django

    _refuse_real_accounts()
    named = {source for source in conf.get_settings().accounts.values() if isinstance(source, str)}
    names = {*named, accounts.URL_VARIABLE}
    return names, accounts.credential_variables() - names


def _refuse_real_accounts() -> None:
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415

    from django_exotel_ccm import accounts, conf  # noqa: PLC0415

    for alias, source in conf.get_settings().accounts.items():
        if isinstance(source, str):
            continue
        with contextlib.suppress(ImproperlyConfigured):  # one that cannot be read rings no phone
            if not accounts.get_account(alias).is_loopback:
                raise pytest.UsageError(
                    f"EXOTEL_CCM['ACCOUNTS'][{alias!r}] holds the credentials of a real account, so a test would ring "
                    f'real phones. Write "ACCOUNTS": {{"{alias}": "EXOTEL_URL"}} in the settings of your tests.'
                )


def _django_is_set_up() -> bool:
    django_conf = sys.modules.get("django.conf")  # not imported for its own sake
    return django_conf is not None and django_conf.settings.configured
