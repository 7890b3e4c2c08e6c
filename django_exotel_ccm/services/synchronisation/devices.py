"""The devices of agents, as the users of the account have them."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.core.exceptions import ValidationError

from django_exotel_ccm.choices import DeviceKind
from django_exotel_ccm.exotel.directory import ExotelDevice
from django_exotel_ccm.models import Device
from django_exotel_ccm.models.agent import normalise_contact_uri

COMPARED = ("contact_uri", "kind", "is_on", "is_verified", "status")


class DeviceChanges(NamedTuple):
    """What one page says about the devices of stored agents."""

    new: list[Device]
    changed: list[Device]
    same: list[Device]
    gone: list[Device]
    details: dict[int, str]
    """The agent's key -> in words what is another than before."""


def compare_devices(
    devices_of: Mapping[int, Collection[ExotelDevice]], *, using: str, now: datetime.datetime
) -> DeviceChanges:
    """Compare the devices of the agents with these keys with those stored, by one statement; writes nothing."""
    rows = Device.objects.using(using).filter(agent__in=list(devices_of)).order_by("pk")
    stored = {(device.agent_id, device.exotel_id): device for device in rows}
    new: list[Device] = []
    changed: list[Device] = []
    same: list[Device] = []
    lines: dict[int, list[str]] = defaultdict(list)
    for agent_id, found in devices_of.items():
        for exotel_device in found:
            device = stored.pop((agent_id, exotel_device.id), None)
            before = [] if device is None else [getattr(device, name) for name in COMPARED]
            device = device or Device(agent_id=agent_id)
            update_device(device, exotel_device, now)
            if [getattr(device, name) for name in COMPARED] == before:
                same.append(device)
            else:
                (changed if before else new).append(device)
                lines[agent_id].append(f"{device} {'on' if device.is_on else 'off'}")
    for gone in stored.values():
        lines[gone.agent_id].append(f"{gone} gone")
    details = {key: ", ".join(found) for key, found in lines.items()}
    return DeviceChanges(new, changed, same, list(stored.values()), details)


def store_devices(changes: DeviceChanges, *, using: str) -> None:
    """Write the changes with four statements at most; called inside the transaction of the comparison."""
    rows = Device.objects.using(using)
    if changes.gone:
        rows.filter(pk__in=[device.pk for device in changes.gone]).delete()
    if changes.changed:
        rows.bulk_update(changes.changed, [*COMPARED, "seen_at"])
    if changes.same:
        now = changes.same[0].seen_at
        rows.filter(pk__in=[device.pk for device in changes.same]).update(seen_at=now)
    if changes.new:
        rows.bulk_create(changes.new)


def update_device(device: Device, exotel_device: ExotelDevice, now: datetime.datetime) -> None:
    """Set the columns of a device to what Exotel says at this moment; saves nothing."""
    try:
        device.contact_uri = normalise_contact_uri(exotel_device.contact_uri)
    except ValidationError:
        device.contact_uri = exotel_device.contact_uri
    device.exotel_id = exotel_device.id
    device.kind = DeviceKind.SIP if exotel_device.is_softphone else DeviceKind.PHONE
    device.is_on, device.is_verified = exotel_device.is_on, exotel_device.is_verified
    device.status, device.seen_at = exotel_device.status, now
