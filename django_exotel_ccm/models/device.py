"""Devices: the phones and softphones of an agent, as Exotel last showed them."""

from __future__ import annotations

import datetime
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.choices import DeviceKind, State
from django_exotel_ccm.models.agent import Agent
from django_exotel_ccm.models.call import CallRecord

BUSY = "busy"
BUSY_FOR = datetime.timedelta(minutes=5)
"""How long pages say that a phone is busy: such a state does not last."""
OF_REFUSALS: dict[str, dict[str, Any]] = {
    "1012": {"is_on": False},
    "10705": {"is_verified": False},
    "10706": {"status": BUSY},
    "10708": {"is_on": False},
}
"""Exotel's code -> what it says of the device that it would have rung."""


class DeviceQuerySet(models.QuerySet["Device"]):
    """Which devices there are."""

    def with_later_call(self) -> Any:
        """Return the devices, each with ``has_later_call``: Exotel has accepted a call of the agent since ``seen_at``.

        Then one of the agent's devices was on and in no call, whatever is stored of them.
        """
        accepted = CallRecord.objects.filter(state__in=[State.ACTIVE, State.ENDED], agent=models.OuterRef("agent"))
        later = accepted.filter(created_at__gt=models.OuterRef("seen_at")).order_by()
        return self.annotate(has_later_call=models.Exists(later))

    def note_refusal(self, agent: Agent, code: str) -> None:
        """Note what Exotel says of the agent's device when it refuses a call with ``code`` (docs/exotel.md 2.8)."""
        changed = OF_REFUSALS.get(code)
        if changed is not None:
            self.filter(agent=agent, is_on=True).update(**changed, seen_at=timezone.now())


class Device(models.Model):
    """A phone or a softphone of an agent. Exotel rings the one that is on; it is true as of ``seen_at``."""

    agent = models.ForeignKey(
        Agent,
        models.CASCADE,
        related_name="devices",
        verbose_name=pgettext_lazy("telephony", "agent"),
        help_text=_("Whose device it is."),
    )
    exotel_id = models.CharField(_("Exotel device id"), max_length=64, help_text=_("The device's id in Exotel."))
    contact_uri = models.CharField(
        _("contact URI"), max_length=200, help_text=_("A number with its country code, or a SIP address.")
    )
    kind = models.CharField(
        pgettext_lazy("telephony", "kind"), max_length=5, choices=DeviceKind.choices, help_text=_("What rings.")
    )
    is_on = models.BooleanField(
        pgettext_lazy("telephony", "on"), default=False, help_text=_("Whether calls ring on this device.")
    )
    is_verified = models.BooleanField(
        pgettext_lazy("telephony", "verified"),
        default=False,
        help_text=_("A device that is not verified cannot be turned on."),
    )
    status = models.CharField(
        pgettext_lazy("telephony", "status"),
        max_length=32,
        blank=True,
        help_text=_("Whether the device is in use, in Exotel's words."),
    )
    seen_at = models.DateTimeField(
        pgettext_lazy("telephony", "as of"), help_text=_("When Exotel last said this about the device.")
    )

    objects = DeviceQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("telephony", "device")
        verbose_name_plural = pgettext_lazy("telephony", "devices")
        constraints = [models.UniqueConstraint(fields=["agent", "exotel_id"], name="exotel_ccm_device_exotel")]

    def __str__(self) -> str:
        return self.contact_uri

    @property
    def is_busy(self) -> bool:
        """Whether Exotel says that the device is in a call."""
        return self.status.lower() == BUSY


def is_busy_still(device: Any) -> bool:
    """Return whether a device may still be in the call that Exotel spoke of, which a later call shows to be over.

    ``device`` is one of those ``with_later_call``.
    """
    return device.is_busy and not device.has_later_call and timezone.now() - device.seen_at < BUSY_FOR
