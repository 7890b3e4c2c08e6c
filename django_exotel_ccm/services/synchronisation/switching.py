"""An agent's own devices: as they are now, and turned on or off in Exotel (docs/exotel.md 5.5)."""

from __future__ import annotations

import datetime
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
    Forbidden,
    NotPlaced,
    NoUsableAnswer,
)
from django_exotel_ccm.local_time import to_local
from django_exotel_ccm.models import Agent, Device
from django_exotel_ccm.policies import Refusal
from django_exotel_ccm.services.budget import RateLimited, pause_after, take_request
from django_exotel_ccm.services.synchronisation.devices import compare_devices, store_devices
from django_exotel_ccm.services.transactions import open_transaction, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

PATIENCE = 10.0  # seconds for one request: somebody waits for the page
DEVICE_SHARE = 0.75  # of the requests per minute: calls' ends are asked with the rest
SHARE_TO_FINISH = 2.0  # what was begun is finished: else all devices of an agent could stay off


def refresh_devices(agent: Agent, *, max_age: float = 0) -> list[Device]:
    """Ask Exotel for the agent's devices, and return them as they are stored now.

    It is not asked where it has said so of all of them in the last ``max_age`` seconds.
    Raises :class:`~.DeviceNotSwitched` where Exotel does not say them, and :class:`~.SyncedInsideTransaction`.
    """
    with _explained():
        devices = _Devices(agent)
        known = devices.known() if max_age else []
        newest = timezone.now() - datetime.timedelta(seconds=max_age)
        return known if known and all(device.seen_at > newest for device in known) else devices.read()


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
    # Exotel does not list every softphone, and one of those may be on. So it has to be an agent of whom it lists some.
    if not on and any(device.kind == DeviceKind.SIP for device in devices):
        is_verified = any(device.is_verified for device in devices)
        return _as_exotel("1012", AgentDeviceOff) if is_verified else _as_exotel("10705", AgentDeviceUnverified)
    return _as_exotel("10706", AgentDeviceBusy) if on and all(device.is_busy for device in on) else None


def _as_exotel(code: str, error: type[NotPlaced]) -> Refusal:
    return Refusal(code, str(error.advice))


@contextmanager
def _explained() -> Iterator[None]:
    if (alias := open_transaction()) is not None:
        raise SyncedInsideTransaction(alias)
    try:
        yield
    except (ExotelError, ImproperlyConfigured, RateLimited) as error:
        raise _not_switched(error) from error


def _not_switched(error: ExotelError | ImproperlyConfigured | RateLimited) -> DeviceNotSwitched:
    if isinstance(error, ExotelError):
        return DeviceNotSwitched(error.code, str(error.advice))
    if isinstance(error, RateLimited):
        advice = _("Exotel was asked too often. Try again at %(time)s.")
        return DeviceNotSwitched("rate_limited", advice % {"time": f"{to_local(error.until):%H:%M}"})
    return DeviceNotSwitched("not_configured", str(error))


class _Devices:
    """The devices of one agent, here and in Exotel."""

    def __init__(self, agent: Agent) -> None:
        if not agent.exotel_user_id:
            advice = _("Exotel does not know this agent here. An administrator can fetch the agents from Exotel.")
            raise DeviceNotSwitched("agent_not_synced", advice)
        self._agent = agent
        self._user_id: str = agent.exotel_user_id
        self._using = router.db_for_write(Device)
        self._was_set: dict[int, bool] = {}
        """The device's key -> whether it is on since its change was accepted."""
        self._client = ExotelClient(accounts.get_account(agent.account), read_timeout=PATIENCE, deadline=PATIENCE)

    def known(self) -> list[Device]:
        """Return the devices as they are stored."""
        return list(Device.objects.using(self._using).filter(agent=self._agent).order_by("pk"))

    def read(self, *, share: float = DEVICE_SHARE) -> list[Device]:
        """Ask Exotel, and store what it says."""
        with self._request(share):
            user = fetch_user(self._client, self._user_id)

        def store() -> None:
            found = {} if user.devices is None else {self._agent.pk: user.devices}
            store_devices(compare_devices(found, using=self._using, now=timezone.now()), using=self._using)

        run_durably(store, using=self._using)
        return self.known()

    def switch(self, device: Device, *, on: bool) -> Device:
        """Turn the device on or off, and the others off before it is turned on."""
        found = self.read()
        target = _same(found, device)
        if target.is_on == on:
            return target
        others = [other for other in found if on and other.is_on]
        busy = next((one for one in (target, *others) if one.is_busy), None)
        if busy is not None:
            text = _("%(phone)s is in a call. Finish the call, then try again.")
            raise DeviceNotSwitched("device_busy", text % {"phone": busy})
        off: list[Device] = []
        try:
            for other in others:
                self._set(other, on=False, share=SHARE_TO_FINISH if off else 1)
                off.append(other)
            self._set(target, on=on, share=SHARE_TO_FINISH if off else 1)
        except (ExotelError, RateLimited) as error:
            is_unknown = isinstance(error, NoUsableAnswer)  # the device may be off all the same
            raise self._put_back(others[: len(off) + 1] if is_unknown else off, error) from error
        return _same(self._look_again(), device)

    def _put_back(self, off: list[Device], error: ExotelError | RateLimited) -> DeviceNotSwitched:
        """Turn on again what was turned off; return what to say of the ``error``."""
        for device in off:
            try:
                self._set(device, on=True, share=SHARE_TO_FINISH)
            except (ExotelError, RateLimited):
                logger.exception("Device %s of agent %s could not be turned on again.", device.pk, self._agent.pk)
        refused = _not_switched(error)
        if any(device.is_on for device in self._look_again()) or not off:
            return refused
        text = _("%(advice)s No phone is on now, so Exotel refuses calls: turn one on again as soon as you can.")
        return DeviceNotSwitched(refused.code, text % {"advice": refused.advice})

    def _look_again(self) -> list[Device]:
        """Return the devices as Exotel shows them now; if it does not, as its answers to the changes left them."""
        try:
            return self.read(share=1)
        except (ExotelError, RateLimited):
            for pk, is_on in self._was_set.items():
                Device.objects.using(self._using).filter(pk=pk).update(is_on=is_on, seen_at=timezone.now())
            return self.known()

    def _set(self, device: Device, *, on: bool, share: float) -> None:
        with self._request(share):
            set_available(self._client, self._user_id, device.exotel_id, on=on)
        self._was_set[device.pk] = on

    @contextmanager
    def _request(self, share: float) -> Iterator[None]:
        """Count a request within its share of the account's budget, and pause the account if its answer says so."""
        take_request(self._agent.account, share=share)
        try:
            yield
        except ExotelError as error:
            if not isinstance(
                error, Forbidden
            ):  # the key may lack the right to users alone, and calls need no such right
                with suppress(RateLimited):  # the error itself says more
                    pause_after(error, self._agent.account)
            raise


def _same(found: list[Device], device: Device) -> Device:
    for one in found:
        if one.exotel_id == device.exotel_id:
            return one
    raise DeviceNotSwitched("device_gone", _("Exotel does not have this phone any more."))
