"""The words a call's record is written in: stable codes for the database, translatable labels for people."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Permission(StrEnum):
    """The permissions that we ask for, as Django names them."""

    PLACE_CALL = "exotel_ccm.place_call"
    ANY_NUMBER = "exotel_ccm.dial_any_number"
    FOR_OTHERS = "exotel_ccm.place_call_for_others"
    CHOOSE_EXOPHONE = "exotel_ccm.choose_exophone"
    LISTEN = "exotel_ccm.listen_recording"
    VIEW_NUMBER = "exotel_ccm.view_customer_number"
    VIEW_CALL = "exotel_ccm.view_callrecord"
    VIEW_ALL_CALLS = "exotel_ccm.view_all_calls"
    VIEW_REPORTS = "exotel_ccm.view_reports"
    OVERRIDE_POLICY = "exotel_ccm.override_policy"
    VIEW_DO_NOT_CALL = "exotel_ccm.view_donotcall"
    ADD_DO_NOT_CALL = "exotel_ccm.add_donotcall"
    DELETE_DO_NOT_CALL = "exotel_ccm.delete_donotcall"
    VIEW_AGENT = "exotel_ccm.view_agent"
    ADD_AGENT = "exotel_ccm.add_agent"
    VIEW_EXOPHONE = "exotel_ccm.view_exophone"
    VIEW_DISPOSITION = "exotel_ccm.view_disposition"
    VIEW_EVENT = "exotel_ccm.view_callevent"
    ADD_NOTE = "exotel_ccm.add_callnote"
    VIEW_FOLLOW_UP = "exotel_ccm.view_followup"
    ADD_FOLLOW_UP = "exotel_ccm.add_followup"
    CHANGE_FOLLOW_UP = "exotel_ccm.change_followup"
    VIEW_CALL_LIST = "exotel_ccm.view_calllist"
    CHANGE_EVENT = "exotel_ccm.change_callevent"
    CHANGE_ANNOUNCEMENT = "exotel_ccm.change_announcement"

    def granted_to(self, user: Any) -> bool:
        """Return whether ``user`` is logged in and has this permission.

        Nobody else is asked about: a host's authentication backend may read attributes that only its own users have.
        A user model that knows no permissions has none of ours.
        """
        return bool(user.is_authenticated and hasattr(user, "has_perm") and user.has_perm(self))


class Step(StrEnum):
    """Where a call stands, for the person who looks at a page."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    ANSWERED = "answered"
    ENDED = "ended"
    REFUSED = "refused"
    UNCONFIRMED = "unconfirmed"
    NEVER_CONFIRMED = "never_confirmed"


class State(TextChoices):
    """How far a call has come. Later states are never left for earlier ones."""

    REQUESTED = "requested", pgettext_lazy("telephony", "requested")
    UNCONFIRMED = "unconfirmed", _("outcome unknown")
    REFUSED = "refused", pgettext_lazy("telephony", "refused")
    ACTIVE = "active", _("accepted by Exotel")
    ENDED = "ended", pgettext_lazy("telephony", "ended")


class Outcome(TextChoices):
    """How a call ended. Exotel: Call Details, ``call_status``."""

    COMPLETED = "completed", pgettext_lazy("telephony", "completed")
    AGENT_UNANSWERED = "agent_unanswered", _("agent did not answer")
    CUSTOMER_UNANSWERED = "customer_unanswered", _("customer did not answer")
    AGENT_CANCELED = "agent_canceled", _("agent hung up first")
    CUSTOMER_NO_DIAL = "customer_no_dial", _("customer could not be dialled")
    AGENT_NO_DIAL = "agent_no_dial", _("agent could not be dialled")
    FAILED = "failed", pgettext_lazy("telephony", "failed")
    BUSY = "busy", _("customer was busy")
    UNKNOWN = "unknown", pgettext_lazy("telephony", "unknown")


class Origin(TextChoices):
    """Where a call was placed."""

    HERE = "here", _("placed here")
    EXTERNAL = "external", _("placed elsewhere")


class EventKind(TextChoices):
    """Where an event came from."""

    CALLBACK = "callback", _("callback from Exotel")
    ANSWER = "answer", _("answer to the request")
    DETAILS = "details", _("Call Details")
    POLICY = "policy", _("refused before dialling")
    NO_RESPONSE = "no_response", _("no response recorded")


class EventReason(TextChoices):
    """Why an event in the ledger was not applied to a call; blank when it was."""

    UNKNOWN_CALL = "unknown_call", _("no such call")
    ANOTHER_CALL = "another_call", _("it names another call")
    UNVERIFIED = "unverified", _("not verified: Call Details decides")
    EMPTY = "empty", _("empty body")
    UNREADABLE = "unreadable", _("unreadable body")
    NOT_AN_OBJECT = "not_an_object", _("not an object")
    NO_CALL = "no_call", _("no call in the body")
    TOO_DEEP = "too_deep", _("nested too deeply")


class UnverifiedReason(TextChoices):
    """Why a reported call is not in the records. Where Exotel gave no usable answer, its code stands instead."""

    NOT_FOUND = "not_found", _("Exotel does not know such a call")
    MAY_BE_OURS = "may_be_ours", _("it may be a call placed from here whose outcome is unknown")
    NO_ACCOUNT = "no_account", _("its account is no longer in the settings")
    ERASED = "erased", _("its customer was erased on request")


class Authentication(TextChoices):
    """What vouches for an event."""

    SIGNED_URL = "signed_url", _("signed callback URL")
    ACCOUNT_URL = "account_url", _("the account's own URL")
    CREDENTIALS = "credentials", _("asked with the account's credentials")
    OURSELVES = "ourselves", _("written by this system")


class SignalName(TextChoices):
    """The announcements, each a signal of the same name."""

    CALL_ACCEPTED = "call_accepted", _("call accepted")
    CALL_REFUSED = "call_refused", _("call refused")
    CALL_ANSWERED = "call_answered", _("call answered")
    CALL_ENDED = "call_ended", _("call ended")
    RECORDING_READY = "recording_ready", _("recording ready")
    CALL_UPDATED = "call_updated", _("call updated")
    NOTE_ADDED = "note_added", _("note added")


class AnnouncementState(TextChoices):
    """How far an announcement was delivered to its receivers."""

    PENDING = "pending", pgettext_lazy("telephony", "pending")
    DONE = "done", pgettext_lazy("telephony", "delivered")
    FAILED = "failed", _("a receiver failed")
    SUPERSEDED = "superseded", pgettext_lazy("telephony", "superseded")


class DeviceKind(TextChoices):
    """What rings."""

    PHONE = "phone", pgettext_lazy("telephony", "phone")
    SIP = "sip", pgettext_lazy("telephony", "softphone")


class Means(TextChoices):
    """What a disposition says of the customer, whatever its label."""

    REACHED = "reached", _("the customer was reached")
    NOT_REACHED = "not_reached", _("the customer was not reached")
    DO_NOT_CALL = "do_not_call", _("the customer wants no calls")


class DoNotCallSource(TextChoices):
    """How a number came onto the do-not-call list."""

    TYPED = "typed", pgettext_lazy("telephony", "typed in")
    IMPORTED = "imported", pgettext_lazy("telephony", "imported")
    DISPOSITION = "disposition", _("said after a call")
    EXOTEL = "exotel", _("refused by Exotel")


class ItemState(TextChoices):
    """How far a ticket on a call list is."""

    WAITING = "waiting", pgettext_lazy("telephony", "waiting")
    CALLED = "called", pgettext_lazy("telephony", "called")
    SKIPPED = "skipped", pgettext_lazy("telephony", "skipped")


class RemovalKind(TextChoices):
    """What was purged or erased; all but the last are clocks of ``RETENTION``."""

    RAW_BODIES = "raw_bodies", _("raw bodies of events")
    UNAPPLIED_BODIES = "unapplied_bodies", _("raw bodies of events that were not applied")
    RECORDINGS = "recordings", _("addresses of recordings")
    RECORDING_ACCESSES = "recording_accesses", _("who listened to recordings")
    DO_NOT_CALL = "do_not_call", _("expired do-not-call numbers")
    CUSTOMER = "customer", _("a customer, on request")


class NoRecording(TextChoices):
    """Why there is nothing to listen to."""

    NONE = "none", _("There is no recording of this call.")
    NOT_READY = "not_ready", _("The recording is not ready yet. Try again in a minute.")
    GONE = "gone", _("The recording is no longer kept by Exotel.")
    ERASED = "erased", _("The recording was erased on request.")
    PURGED = "purged", _("The recording is older than this site keeps recordings.")
    FAILED = "failed", _("The recording could not be fetched. An administrator finds the reason in the log.")
