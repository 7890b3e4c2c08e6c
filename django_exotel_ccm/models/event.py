"""The ledger: everything we were told about calls, raw, with what it says and how it was authenticated."""

from __future__ import annotations

import datetime
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.choices import Authentication, EventKind, EventReason, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.values import as_object
from django_exotel_ccm.lifecycle import Message
from django_exotel_ccm.masking import mask
from django_exotel_ccm.models.call import CallRecord

_PERSONAL = frozenset({"customer_number", "recordings", "custom_field"})

#: Reasons that do not mean that the body cannot be read.
READABLE = frozenset({"", EventReason.UNKNOWN_CALL, EventReason.ANOTHER_CALL, EventReason.UNVERIFIED})


class CallEvent(models.Model):
    """One thing we were told about a call."""

    REDACTED: ClassVar = ("facts", "advice", "raw", "purged_at")
    """The columns that :meth:`redact` changes."""

    call = models.ForeignKey(
        CallRecord,
        models.CASCADE,
        null=True,
        related_name="events",
        verbose_name=pgettext_lazy("telephony", "call"),
        help_text=_("Empty when no such call is known."),
    )
    reference = models.UUIDField(
        pgettext_lazy("telephony", "reference"),
        null=True,
        help_text=_("The call that the signed URL named, whether we know it or not."),
    )
    account = models.CharField(
        pgettext_lazy("telephony", "account"),
        max_length=50,
        blank=True,
        help_text=_("The account whose own URL it came to, by its alias."),
    )
    kind = models.CharField(
        pgettext_lazy("telephony", "kind"), max_length=12, choices=EventKind, help_text=_("Where it came from.")
    )
    authentication = models.CharField(
        pgettext_lazy("telephony", "authentication"),
        max_length=12,
        choices=Authentication,
        help_text=_("What vouches for it."),
    )
    event = models.CharField(
        pgettext_lazy("telephony", "event"),
        max_length=64,
        blank=True,
        help_text=_("What the body says happened, else what its URL was for."),
    )
    url_event = models.CharField(
        _("URL's event"), max_length=10, blank=True, help_text=_("The event that the callback URL was signed for.")
    )
    facts = models.JSONField(pgettext_lazy("telephony", "facts"), default=dict, help_text=_("What it says, as read."))
    verdict = models.CharField(
        pgettext_lazy("telephony", "verdict"),
        max_length=12,
        blank=True,
        help_text=_("What an answer to our request proves."),
    )
    code = models.CharField(
        pgettext_lazy("telephony", "code"), max_length=40, blank=True, help_text=_("Exotel's code, or what went wrong.")
    )
    advice = models.TextField(pgettext_lazy("telephony", "advice"), blank=True, help_text=_("What the agent was told."))
    tries = models.PositiveSmallIntegerField(
        pgettext_lazy("telephony", "tries"), default=1, help_text=_("How many requests it took.")
    )
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, help_text=_("The status of an answer."))
    request_id = models.CharField(
        _("request id"),
        max_length=64,
        blank=True,
        help_text=_("Exotel's name for the request; support asks for it."),
    )
    content_type = models.CharField(
        pgettext_lazy("telephony", "content type"), max_length=200, blank=True, help_text=_("As it was sent.")
    )
    raw = models.BinaryField(_("raw body"), default=bytes, help_text=_("As it was sent, to the byte."))
    purged_at = models.DateTimeField(_("raw body purged"), null=True, help_text=_("When the raw body was purged."))
    reason = models.CharField(
        _("not applied because"),
        max_length=20,
        choices=EventReason,
        blank=True,
        help_text=_("Blank when it was applied to the call."),
    )
    fingerprint = models.CharField(
        pgettext_lazy("telephony", "fingerprint"),
        max_length=64,
        help_text=_("The same news told twice has the same fingerprint."),
    )
    received_at = models.DateTimeField(
        pgettext_lazy("telephony", "received"), db_index=True, help_text=_("When we were told.")
    )

    #: The JSON that was parsed, and what it says.
    _parsed: tuple[object, CallFacts] = (None, CallFacts())

    class Meta:
        verbose_name = pgettext_lazy("telephony", "event")
        verbose_name_plural = pgettext_lazy("telephony", "events")
        # Not unique=True: for text, PostgreSQL would get a second index, which every callback writes.
        constraints = [models.UniqueConstraint(fields=["fingerprint"], name="exotel_ccm_fingerprint")]
        indexes = [
            models.Index(fields=["reason", "received_at"], name="exotel_ccm_event_reason"),
            # A purge, and what says how much is due, do not read again what was purged.
            models.Index(fields=["purged_at", "received_at"], name="exotel_ccm_event_purged"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event} {self.fingerprint[:12]}"

    @property
    def is_personal(self) -> bool:
        """Whether there is a raw body, or a fact that names a customer or a recording."""
        return bool(self.raw) or not _PERSONAL.isdisjoint(as_object(self.facts))

    def redact(self) -> None:
        """Remove the customer, the recordings and the raw body; mask numbers in the advice. Saves nothing."""
        self.facts = {name: value for name, value in as_object(self.facts).items() if name not in _PERSONAL}
        self.advice = mask(self.advice)
        if self.raw:
            self.raw, self.purged_at = b"", timezone.now()

    def drop_recordings(self) -> bool:
        """Remove the addresses of recordings, and the raw body that has them too; return whether there were any."""
        facts = as_object(self.facts)
        if "recordings" not in facts:
            return False
        self.facts = {name: value for name, value in facts.items() if name != "recordings"}
        if self.raw:
            self.raw, self.purged_at = b"", timezone.now()
        return True

    @property
    def is_readable(self) -> bool:
        """Whether the body could be read as a message about a call."""
        return self.reason in READABLE

    @property
    def parsed(self) -> CallFacts:
        """What the body says; setting it sets ``facts``, which is the same as JSON."""
        facts, parsed = self._parsed
        if facts is not self.facts:
            parsed = CallFacts.from_json(self.facts)
            self._parsed = self.facts, parsed
        return parsed

    @parsed.setter
    def parsed(self, parsed: CallFacts) -> None:
        self.facts = parsed.as_json()
        self._parsed = self.facts, parsed

    def as_message(self) -> Message:
        """Return the event as ``lifecycle`` joins it."""
        return Message(
            kind=self.kind,
            facts=self.parsed,
            received_at=_aware(self.received_at),
            fingerprint=self.fingerprint,
            # An unreadable body proves that Exotel knows the call, and nothing else.
            event=self.event if self.is_readable else "",
            url_event=self.url_event,
            verdict=self.verdict,
            refusal=self.code if self.verdict == State.REFUSED else "",
            tries=self.tries,
        )


def _aware(moment: datetime.datetime) -> datetime.datetime:
    if timezone.is_aware(moment):
        return moment
    # USE_TZ is False. Naive times are ambiguous in the repeated hour when DST ends: take the first.
    return timezone.make_aware(moment.replace(fold=0), timezone.get_default_timezone())
