"""Calls: one row per press of the button, written before Exotel is asked."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm import conf
from django_exotel_ccm.choices import Origin, Outcome, State
from django_exotel_ccm.lifecycle import Projection
from django_exotel_ccm.models.agent import Agent
from django_exotel_ccm.models.call_queryset import LONGEST_CALL, LONGEST_SILENCE, CallRecordQuerySet
from django_exotel_ccm.models.exophone import ExoPhone
from django_exotel_ccm.models.ticket_link import TicketLink, mask_key

LONGEST_OVERRIDE_REASON = 200
"""Characters."""


class CallRecord(TicketLink):
    """A call: who asked for it, whom it was to reach, and what is known of it."""

    REDACTED: ClassVar = (
        "customer_number",
        "customer_label",
        "ticket_label",
        "ticket_object_id",
        "custom_field",
        "override_reason",
        "erased_at",
    )
    """The columns that :meth:`redact` changes."""

    reference = models.UUIDField(
        pgettext_lazy("telephony", "reference"),
        default=uuid.uuid4,
        unique=True,
        editable=False,
        help_text=_("Our own name for the call."),
    )
    account = models.CharField(
        pgettext_lazy("telephony", "account"), max_length=50, help_text=_("The Exotel account, by its alias.")
    )
    origin = models.CharField(
        pgettext_lazy("telephony", "origin"),
        max_length=10,
        choices=Origin,
        default=Origin.HERE,
        help_text=_("Where the call was placed."),
    )
    agent = models.ForeignKey(
        Agent,
        models.SET_NULL,
        null=True,
        db_index=False,  # the index of both columns begins with it
        related_name="calls",
        verbose_name=pgettext_lazy("telephony", "agent"),
        help_text=_("Rings first."),
    )
    agent_label = models.CharField(
        _("agent's name"),
        max_length=200,
        blank=True,
        help_text=_("The agent's name when the call was placed."),
    )
    exophone = models.ForeignKey(
        ExoPhone,
        models.SET_NULL,
        null=True,
        related_name="calls",
        verbose_name=_("ExoPhone"),
        help_text=_("The number that the customer sees."),
    )
    exophone_number = models.CharField(
        _("ExoPhone's number"),
        max_length=16,
        blank=True,
        help_text=_("The ExoPhone when the call was placed."),
    )
    exophone_choice = models.CharField(
        _("choice of the ExoPhone"),
        max_length=40,
        blank=True,
        help_text=_("What chose the ExoPhone: a strategy's name, or given."),
    )
    customer_number = models.CharField(
        pgettext_lazy("telephony", "customer"),
        max_length=16,
        blank=True,
        help_text=_("Rings second. Blank when there was no valid number."),
    )
    customer_label = models.CharField(
        _("customer's name"),
        max_length=200,
        blank=True,
        help_text=_("The customer's name when the call was placed; blank when the ticket itself has the number."),
    )
    ticket_label = models.CharField(
        pgettext_lazy("telephony", "ticket"),
        max_length=200,
        blank=True,
        help_text=_("What the ticket was called when the call was placed."),
    )
    custom_field = models.CharField(
        _("custom field"),
        max_length=128,
        blank=True,
        help_text=_("What Exotel sends back: the ticket's name."),
    )
    placed_by = models.ForeignKey(
        conf.user_model(),
        models.SET_NULL,
        null=True,
        db_index=False,  # the index of both columns begins with it
        related_name="exotel_calls",
        verbose_name=_("placed by"),
        help_text=_("Who pressed the button."),
    )
    placed_by_label = models.CharField(
        _("placed by (name)"), max_length=200, blank=True, help_text=_("Their name when the call was placed.")
    )
    request_key = models.CharField(
        _("request key"),
        max_length=64,
        null=True,
        help_text=_("A digest of what makes this press the same press: a double click finds the call it placed."),
    )
    call_sid = models.CharField(
        _("call SID"),
        max_length=64,
        null=True,
        help_text=_("Exotel's name for the call; empty while unknown."),
    )
    state = models.CharField(
        pgettext_lazy("telephony", "state"),
        max_length=12,
        choices=State,
        default=State.REQUESTED,
        help_text=_("How far the call has come."),
    )
    outcome = models.CharField(
        pgettext_lazy("telephony", "outcome"),
        max_length=20,
        choices=Outcome,
        blank=True,
        help_text=_("How it ended; blank until it has."),
    )
    refusal_code = models.CharField(
        pgettext_lazy("telephony", "refusal"),
        max_length=40,
        blank=True,
        help_text=_("Exotel's code, or the name of the rule that said no."),
    )
    override_reason = models.CharField(
        _("reason to call anyway"),
        max_length=LONGEST_OVERRIDE_REASON,
        blank=True,
        help_text=_("Why it was called although a rule said no, in the caller's words."),
    )
    overridden_rules = models.CharField(
        _("overridden rules"),
        max_length=200,
        blank=True,
        help_text=_("The names of the rules that said no, and were overridden."),
    )
    started_at = models.DateTimeField(
        pgettext_lazy("telephony", "started"), null=True, help_text=_("When Exotel began the call.")
    )
    answered_at = models.DateTimeField(
        pgettext_lazy("telephony", "answered"),
        null=True,
        help_text=_("When a phone was answered; it proves no conversation."),
    )
    ended_at = models.DateTimeField(
        pgettext_lazy("telephony", "ended"), null=True, help_text=_("When the call was over.")
    )
    ended_at_approximate = models.BooleanField(
        _("end is approximate"), default=False, help_text=_("Whether the end was worked out, not told.")
    )
    total_duration = models.PositiveIntegerField(
        pgettext_lazy("telephony", "duration"), null=True, help_text=_("Seconds, with ringing.")
    )
    talk_time = models.PositiveIntegerField(
        _("talk time"),
        null=True,
        help_text=_("Seconds of conversation. Empty: nobody said. 0: there was none."),
    )
    recording_url = models.CharField(
        _("recording URL"), max_length=2000, blank=True, help_text=_("Where Exotel keeps the recording.")
    )
    facts = models.JSONField(
        pgettext_lazy("telephony", "facts"),
        default=dict,
        editable=False,
        help_text=_("Everything known, joined; the columns show it."),
    )
    next_check_at = models.DateTimeField(
        _("next check"),
        null=True,
        db_index=True,
        help_text=_("When exotel_reconcile looks after the call next; empty when nothing is due."),
    )
    details_check_at = models.DateTimeField(
        _("asks next"), null=True, help_text=_("When Exotel is to be asked about the call.")
    )
    announce_at = models.DateTimeField(
        _("announces next"), null=True, help_text=_("When pending announcements are delivered next.")
    )
    checks = models.PositiveSmallIntegerField(
        pgettext_lazy("telephony", "checks"),
        default=0,
        help_text=_("How often Exotel was asked since the state changed."),
    )
    gave_up_at = models.DateTimeField(
        _("given up"), null=True, help_text=_("When we stopped asking. A late callback still counts.")
    )
    events_stored = models.PositiveIntegerField(
        _("events stored"), default=0, help_text=_("How many events of the call are stored.")
    )
    events_not_stored = models.PositiveIntegerField(
        _("events not stored"), default=0, help_text=_("How many callbacks were only counted, because too many came.")
    )
    was_rebuilt = models.BooleanField(
        pgettext_lazy("telephony", "rebuilt"),
        default=False,
        help_text=_("Whether facts were taken back that may have been announced."),
    )
    recording_requested = models.BooleanField(
        _("recording requested"), default=False, help_text=_("Whether Exotel was asked to record the call.")
    )
    options = models.JSONField(
        pgettext_lazy("telephony", "options"),
        default=dict,
        editable=False,
        help_text=_("What Exotel was asked for beside the phones; of the audio's address only a digest."),
    )
    erased_at = models.DateTimeField(
        pgettext_lazy("telephony", "erased"),
        null=True,
        help_text=_("When the customer's number and recordings were erased on request."),
    )
    created_at = models.DateTimeField(pgettext_lazy("telephony", "placed"), help_text=_("When the button was pressed."))
    updated_at = models.DateTimeField(
        pgettext_lazy("telephony", "updated"), auto_now=True, help_text=_("When the record last changed.")
    )

    MAX_EVENTS = 5_000

    objects = CallRecordQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("telephony", "call")
        verbose_name_plural = pgettext_lazy("telephony", "calls")
        permissions = [
            ("place_call", _("Can place calls")),
            ("dial_any_number", _("Can dial numbers that are not the ticket's")),
            ("place_call_for_others", _("Can place calls as another agent")),
            ("choose_exophone", _("Can choose the number that customers see")),
            ("listen_recording", _("Can listen to recordings")),
            ("view_customer_number", _("Can see customers' numbers")),
            ("view_all_calls", _("Can see the calls of all tickets")),
            ("view_reports", _("Can see the figures of all agents")),
            ("override_policy", _("Can call although a rule says no, and gives the reason")),
        ]
        # Not unique=True: for text, PostgreSQL would get a second index, which every callback writes.
        constraints = [
            models.UniqueConstraint(fields=["account", "call_sid"], name="exotel_ccm_call_sid"),
            models.UniqueConstraint(fields=["request_key"], name="exotel_ccm_request_key"),
        ]
        indexes = [
            models.Index(fields=["created_at"], name="exotel_ccm_call_created"),
            models.Index(
                fields=["ticket_content_type", "ticket_object_id", "created_at"], name="exotel_ccm_call_ticket"
            ),
            models.Index(fields=["state", "created_at"], name="exotel_ccm_call_state"),
            models.Index(fields=["placed_by", "created_at"], name="exotel_ccm_call_placed_by"),
            # The rules count today's calls of an agent and to a customer.
            models.Index(fields=["agent", "created_at"], name="exotel_ccm_call_agent"),
            models.Index(fields=["customer_number", "created_at"], name="exotel_ccm_call_customer"),
        ]

    def __str__(self) -> str:
        # Shown to who may not see the ticket, and kept in log entries: without the customer, and with the whole date.
        words = {"agent": self.agent_label or gettext("an agent"), "date": "", "time": ""}
        if self.created_at is not None:
            placed = timezone.localtime(self.created_at) if timezone.is_aware(self.created_at) else self.created_at
            words |= {"date": date_format(placed, "DATE_FORMAT"), "time": time_format(placed, "H:i")}
        return gettext("Call by %(agent)s, %(date)s, %(time)s") % words

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.reference}>"

    @property
    def is_conversation(self) -> bool:
        """Whether agent and customer talked: the only test of it."""
        return bool(self.talk_time)

    @property
    def is_over(self) -> bool:
        """Whether nothing rings any more, as far as is known."""
        return self.state in (State.ENDED, State.REFUSED)

    @property
    def is_in_progress(self) -> bool:
        """Whether a phone may ring, or somebody talk."""
        return not self.is_over and self.gave_up_at is None and self.created_at > timezone.now() - LONGEST_CALL

    @property
    def may_not_have_gone_out(self) -> bool:
        """Whether Exotel has not said in time that it accepted the request."""
        is_silent = self.state == State.REQUESTED and self.created_at <= timezone.now() - LONGEST_SILENCE
        return is_silent or self.state == State.UNCONFIRMED

    @property
    def is_flooded(self) -> bool:
        """Whether so many callbacks came that none is stored any more: Call Details decide what is true."""
        return self.events_stored >= self.MAX_EVENTS

    @property
    def is_external(self) -> bool:
        """Whether the call was not placed by this system: Exotel told us of it."""
        return self.origin == Origin.EXTERNAL

    def update_next_check(self) -> None:
        """Have ``next_check_at`` be the earlier of what is due: asking Exotel, and telling receivers."""
        due = [moment for moment in (self.details_check_at, self.announce_at) if moment is not None]
        self.next_check_at = min(due, default=None)

    def redact(self, number: str) -> None:
        """Remove the customer with ``number`` (E.164) from the columns that the host filled. Saves nothing."""
        self.customer_number, self.customer_label, self.ticket_label, self.override_reason = "", "", "", ""
        # A host may have numbers for keys. Masked, not blank: more users see a call about no ticket.
        for name in ("custom_field", "ticket_object_id"):
            setattr(self, name, mask_key(getattr(self, name), number))
        self.erased_at = timezone.now()

    def apply_projection(self, projection: Projection) -> list[str]:
        """Set the columns that show the facts; return the names of those that changed."""
        changed = []
        for name in _FACT_COLUMNS:
            value = getattr(projection, name)
            if not conf.uses_time_zones():
                value = conf.as_column(value)
            if getattr(self, name) != value:
                setattr(self, name, value)
                changed.append(name)
        return changed


_FACT_COLUMNS = (
    "call_sid",
    "state",
    "outcome",
    "refusal_code",
    "started_at",
    "answered_at",
    "ended_at",
    "ended_at_approximate",
    "total_duration",
    "talk_time",
    "recording_url",
)
