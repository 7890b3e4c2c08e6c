"""An agent's own devices: as they are now, and turned on or off in Exotel (docs/exotel.md 5.5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts
from django_exotel_ccm.choices import DeviceKind
from django_exotel_ccm.exceptions import DeviceNotSwitched, SyncedInsideTransaction
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.directory import fetch_user, set_available
from django_exotel_ccm.exotel.errors import (
    AgentDeviceBusy,
    AgentDeviceOff,
    AgentDeviceUnverified,
    ExotelError,
    NotPlaced,
)
from django_exotel_ccm.local_time import to_local
from django_exotel_ccm.models import Agent, Device
from django_exotel_ccm.policies import Refusal
from django_exotel_ccm.services.budget import RateLimited, pause_after, take_request
from django_exotel_ccm.services.synchronisation.devices import compare_devices, store_devices
from django_exotel_ccm.services.transactions import open_transaction, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

PATIENCE = 10.0  # seconds for one request: somebody waits for the page


def refresh_devices(agent: Agent) -> list[Device]:
    """Ask Exotel for the agent's devices, and return them as they are stored now.

    Raises :class:`~.DeviceNotSwitched` where Exotel does not say them, and :class:`~.SyncedInsideTransaction`.
    """
    with _explained():
        return _Devices(agent).read()


def switch_device(device: Device, *, on: bool) -> Device:
    """Turn the device on or off in Exotel, and return it as Exotel shows it afterwards.

    Exotel has one device of an agent on at most. So the other one is turned off first, and on again when this one
    cannot be turned on. Raises :class:`~.DeviceNotSwitched`, and :class:`~.SyncedInsideTransaction`.
    """
    with _explained():
        return _Devices(device.agent).switch(device, on=on)


def device_refusal(agent: Agent) -> Refusal | None:
    """Ask Exotel whether a device of the agent can ring; return what it would say to the call, or None.

    None also if it does not say: then the call itself is told.
    """
    if not agent.exotel_user_id:
        return None
    try:
        devices = refresh_devices(agent)
    except DeviceNotSwitched:
        return None
    on = [device for device in devices if device.is_on]
    if devices and not on and _lists_softphones(agent.account):
        is_verified = any(device.is_verified for device in devices)
        return _as_exotel("1012", AgentDeviceOff) if is_verified else _as_exotel("10705", AgentDeviceUnverified)
    return _as_exotel("10706", AgentDeviceBusy) if on and all(device.is_busy for device in on) else None


def _lists_softphones(account: str) -> bool:
    """Return whether Exotel lists an account's softphones: of some it lists the phones alone, and one may be on."""
    return Device.objects.filter(agent__account=account, kind=DeviceKind.SIP).exists()


def _as_exotel(code: str, error: type[NotPlaced]) -> Refusal:
    return Refusal(code, str(error.advice))


@contextmanager
def _explained() -> Iterator[None]:
    if (alias := open_transaction()) is not None:
        raise SyncedInsideTransaction(alias)
    try:
        yield
    except ExotelError as error:
        raise DeviceNotSwitched(error.code, str(error.advice)) from error
    except ImproperlyConfigured as error:
        raise DeviceNotSwitched("not_configured", str(error)) from error
    except RateLimited as limit:
        until = to_local(limit.until)
        advice = _("Exotel was asked too often. Try again at %(time)s.") % {"time": f"{until:%H:%M}"}
        raise DeviceNotSwitched("rate_limited", advice) from limit


class _Devices:
    """The devices of one agent, here and in Exotel."""

    def __init__(self, agent: Agent) -> None:
        if not agent.exotel_user_id:
            advice = _("Exotel does not know this agent here. An administrator can fetch the agents from Exotel.")
            raise DeviceNotSwitched("agent_not_synced", advice)
        self._agent = agent
        self._user_id: str = agent.exotel_user_id
        self._client = ExotelClient(accounts.get_account(agent.account), read_timeout=PATIENCE, deadline=PATIENCE)

    def read(self, *, always: bool = False) -> list[Device]:
        with self._request(always=always):
            user = fetch_user(self._client, self._user_id)
        using = router.db_for_write(Device)

        def store() -> None:
            found = {} if user.devices is None else {self._agent.pk: user.devices}
            store_devices(compare_devices(found, using=using, now=timezone.now()), using=using)

        run_durably(store, using=using)
        return list(Device.objects.using(using).filter(agent=self._agent).order_by("pk"))

    def switch(self, device: Device, *, on: bool) -> Device:
        found = self.read()
        target = _same(found, device)
        if target.is_on == on:
            return target
        others = [other for other in found if on and other.is_on]
        if any(one.is_busy for one in (target, *others)):
            raise DeviceNotSwitched("device_busy", _("This phone is in a call. Finish the call, then try again."))
        try:
            for other in others:
                self._set(other, on=False)
            self._set(target, on=on)
        except (ExotelError, RateLimited):
            self._put_back(others)
            raise
        return _same(self.read(always=True), device)

    def _put_back(self, others: list[Device]) -> None:
        try:
            for other in others:
                self._set(other, on=True, always=True)
            self.read(always=True)
        except ExotelError:
            logger.exception("The devices of agent %s may be off: they could not be put back.", self._agent.pk)

    def _set(self, device: Device, *, on: bool, always: bool = False) -> None:
        with self._request(always=always):
            set_available(self._client, self._user_id, device.exotel_id, on=on)

    @contextmanager
    def _request(self, *, always: bool) -> Iterator[None]:
        """Count a request within the account's budget, and pause the account where its answer asks for it.

        What has been begun is ended ``always``: else all devices of an agent could stay off.
        """
        try:
            take_request(self._agent.account)
        except RateLimited:
            if not always:
                raise
        try:
            yield
        except ExotelError as error:
            with suppress(RateLimited):  # the error itself says more
                pause_after(error, self._agent.account)
            raise


def _same(found: list[Device], device: Device) -> Device:
    for one in found:
        if one.exotel_id == device.exotel_id:
            return one
    raise DeviceNotSwitched("device_gone", _("Exotel does not have this phone any more."))
