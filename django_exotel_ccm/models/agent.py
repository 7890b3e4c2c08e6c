"""Agents: the people whose phone rings first."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm import conf
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models.exophone import ExoPhone
from django_exotel_ccm.phone_numbers import parse_number

# SIP URIs of real accounts have no host, those of Exotel's documentation do: take both (docs/exotel.md 11.10).
_SIP = re.compile(r"sip:[^\s@]+(@[^\s@]+)?", re.IGNORECASE)


def normalise_contact_uri(value: object) -> str:
    """Return a SIP address as it is, or a phone number as E.164; raises ``ValidationError`` that says what to type."""
    text = value.strip() if isinstance(value, str) else ""
    if text.lower().startswith("sip:"):
        if _SIP.fullmatch(text):
            return text
        raise ValidationError(_("That is not a SIP address. Write it as in Exotel, for example sip:asha4c1d77e2."))
    try:
        return parse_number(value)
    except InvalidNumber as error:
        raise ValidationError(str(error)) from None


class AgentQuerySet(models.QuerySet["Agent"]):
    """Which agents there are."""

    def active(self) -> AgentQuerySet:
        """Return those who may place calls."""
        return self.filter(is_active=True)

    def of_user(self, user: Any) -> AgentQuerySet:
        """Return the active agents that are ``user``, one per account at most."""
        return self.active().filter(user_id=user.pk)

    def with_usual_number(self) -> AgentQuerySet:
        """Return the agents, each with ``usual_number``: that of ``ExoPhone.objects.default_of`` their account.

        None without one. Pages so learn it without a statement of its own.
        """
        usual = ExoPhone.objects.usual().filter(account=models.OuterRef("account"))
        return self.annotate(usual_number=models.Subquery(usual.values("number")[:1]))


class Agent(models.Model):
    """A co-worker of the Exotel account, whose device rings first."""

    user = models.ForeignKey(
        conf.user_model(),
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="exotel_agents",
        verbose_name=pgettext_lazy("telephony", "user"),
        help_text=_("The person who logs in here. Without one, others can still call as this agent."),
    )
    name = models.CharField(
        pgettext_lazy("telephony", "name"), max_length=150, help_text=_("Shown in lists and beside calls.")
    )
    account = models.CharField(
        pgettext_lazy("telephony", "account"),
        max_length=50,
        default=conf.DEFAULT_ALIAS,
        help_text=_("The Exotel account, by its alias in the settings."),
    )
    contact_uri = models.CharField(
        _("contact URI"),
        max_length=200,
        null=True,
        blank=True,
        help_text=_("The phone that rings: a number with its country code, or a SIP address such as sip:asha4c1d77e2."),
    )
    exotel_user_id = models.CharField(
        _("Exotel user id"),
        max_length=64,
        null=True,
        blank=True,
        help_text=_("The agent's id in Exotel. Then the device that is on rings, whichever it is."),
    )
    exophone = models.ForeignKey(
        ExoPhone,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="agents",
        verbose_name=_("ExoPhone"),
        help_text=_("The number that this agent's customers see. Without one, the account's default."),
    )
    is_active = models.BooleanField(
        pgettext_lazy("telephony", "active"), default=True, help_text=_("Only active agents can place calls.")
    )
    exotel_email = models.CharField(
        _("e-mail in Exotel"),
        max_length=254,
        blank=True,
        editable=False,
        help_text=_("Whose phone this is, as Exotel knows the person."),
    )
    synced_at = models.DateTimeField(
        _("last seen in Exotel"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When exotel_sync last found the agent in Exotel; empty if it never did."),
    )
    left_exotel_at = models.DateTimeField(
        _("left Exotel"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When exotel_sync did not find the agent in Exotel any more, and deactivated it."),
    )
    # What tells a user whom a person chose from one whom exotel_sync linked: the key as text, "" if it linked nobody.
    # Where a person took a user away, it is that user's.
    linked_user_key = models.CharField(
        _("linked user"),
        max_length=128,
        blank=True,
        editable=False,
        help_text=_("The key of the user whom exotel_sync linked last. If another one stands here, it is left alone."),
    )

    objects = AgentQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("telephony", "agent")
        verbose_name_plural = pgettext_lazy("telephony", "agents")
        constraints = [
            models.UniqueConstraint(fields=["user", "account"], name="exotel_ccm_agent_user"),
            models.UniqueConstraint(fields=["account", "contact_uri"], name="exotel_ccm_agent_contact_uri"),
            models.UniqueConstraint(fields=["account", "exotel_user_id"], name="exotel_ccm_agent_exotel_user"),
        ]

    def __str__(self) -> str:
        return self.name if self.account == conf.DEFAULT_ALIAS else f"{self.name} ({self.account})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the phone as Exotel wants it, and NULL for what is absent: two blanks would pass for the same device.

        A phone that cannot be read is saved as it is; a call by this agent is then refused.
        """
        with suppress(ValidationError):
            self._normalise()
        super().save(*args, **kwargs)

    def _normalise(self) -> None:
        self.exotel_user_id = (self.exotel_user_id or "").strip() or None
        self.contact_uri = self.contact_uri or None
        self.contact_uri = self.contact_uri and normalise_contact_uri(self.contact_uri)

    def clean(self) -> None:
        """Refuse an agent whom Exotel could not ring, and a phone that is none."""
        try:
            self._normalise()
        except ValidationError as error:
            raise ValidationError({"contact_uri": error.messages}) from None
        if self.contact_uri is None and self.exotel_user_id is None:
            raise ValidationError(_("Give the agent a contact URI or an Exotel user id: one of them is called."))
        if self.exophone is not None and self.exophone.account != self.account:
            raise ValidationError({"exophone": _("This ExoPhone belongs to another account.")})

    def note_choice_of_user(self, before: Any) -> None:
        """Note that a person has set ``user``, so that exotel_sync leaves it; ``before`` is the key of the last one.

        Saves nothing.
        """
        self.linked_user_key = str(before) if self.user_id is None and before is not None else ""

    @property
    def has_device(self) -> bool:
        """Whether Exotel can be told whom to ring."""
        return bool(self.contact_uri or self.exotel_user_id)

    def device(self) -> tuple[str | None, str | None]:
        """Return the Exotel user id or the contact URI to send, and None for the other.

        Raises ``ValidationError`` for a contact URI that cannot be called: code can store one without ``clean``.
        """
        if self.exotel_user_id:
            return self.exotel_user_id, None
        return None, normalise_contact_uri(self.contact_uri)
