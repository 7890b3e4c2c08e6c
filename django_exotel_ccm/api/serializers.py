"""Rows of ours as JSON, for one user: numbers are masked, and what is about a ticket that they may not see is blank."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from django.db import models
from django.urls import reverse
from rest_framework import serializers
from rest_framework.fields import empty

from django_exotel_ccm.adapters import TicketAdapter
from django_exotel_ccm.api.errors import unknown_fields
from django_exotel_ccm.api.moments import Moment
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.descriptions import is_about_first_ticket
from django_exotel_ccm.exotel.redact import each_text, redact
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import (
    Agent,
    CallEvent,
    CallNote,
    CallRecord,
    Disposition,
    DoNotCall,
    ExoPhone,
    FollowUp,
)
from django_exotel_ccm.services.recordings import first_recording

TICKET_HELP = "The ticket by its name, such as ticket_7. Null without one, or for a ticket that you may not see."


class Body(serializers.Serializer[Any]):
    """The body of a request. A field that it does not know is an error, because a misspelt one would be ignored."""

    def run_validation(self, data: Any = empty) -> Any:
        """Return the checked values."""
        unknown = [name for name in data if name not in self.fields] if isinstance(data, dict) else []
        if unknown:
            raise unknown_fields(unknown, list(self.fields))
        return super().run_validation(data)


class Text(serializers.CharField):
    """A text. REST framework would take a number for one."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumber(serializers.IntegerField):
    """A whole number. REST framework would take a text with digits for one."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class YesOrNo(serializers.BooleanField):
    """True or false. REST framework would take words such as "on" and numbers, too."""

    def to_internal_value(self, data: Any) -> bool:
        """Return it."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Row(serializers.ModelSerializer[Any]):
    """A row that nobody writes."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: Moment,
        # Of these, a setting of the host's would make texts.
        models.BigAutoField: serializers.IntegerField,
        models.BigIntegerField: serializers.IntegerField,
    }

    def include_extra_kwargs(self, kwargs: Any, extra_kwargs: Any) -> Any:
        """Keep that a choice can be blank, which REST framework forgets of fields that are not written."""
        can_be_blank = "choices" in kwargs and kwargs.get("allow_blank", False)
        included = dict(super().include_extra_kwargs(kwargs, extra_kwargs))
        return included | {"allow_blank": True} if can_be_blank else included


class Shown(Row):
    """Rows as ``user`` may see them, whose texts in ``masked`` may have phone numbers in them."""

    masked: tuple[str, ...] = ()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Return the row as JSON values."""
        shown = super().to_representation(instance)
        for name in self.masked:
            shown[name] = visible_to(shown[name], self.context["user"]) if shown[name] else shown[name]
        return shown


class CallSerializer(Shown):
    """A call. Nothing in it can be written: it is what Exotel told."""

    ticket = serializers.CharField(source="ticket_name", read_only=True, allow_null=True, help_text=TICKET_HELP)
    recording_url = serializers.SerializerMethodField(
        help_text="Where somebody who is logged in plays the recording; who does is written down. Blank when there is "
        "none, without listen_recording, and when the user may not hear this one."
    )
    # Not the ticket's name: who sees a ticket knows its key, and a key of seven digits would look like a number.
    masked = ("customer_number", "customer_label", "ticket_label", "custom_field", "override_reason")

    class Meta:
        model = CallRecord
        fields = [
            *("reference", "account", "origin", "agent", "agent_label", "exophone", "exophone_number"),
            *("customer_number", "customer_label", "ticket", "ticket_label", "custom_field", "call_sid"),
            *("state", "outcome", "refusal_code", "override_reason", "overridden_rules"),
            *("started_at", "answered_at", "ended_at", "ended_at_approximate", "total_duration", "talk_time"),
            *("recording_url", "placed_by", "placed_by_label", "gave_up_at", "created_at", "updated_at"),
        ]
        read_only_fields = fields

    def to_representation(self, instance: CallRecord) -> dict[str, Any]:
        """Return the call. Of one's own that was moved since, the other ticket is not shown."""
        shown = super().to_representation(instance)
        visible: Container[Any] = self.context["visible"]
        if instance.pk not in visible and not is_about_first_ticket(instance):
            shown |= {"ticket": None, "ticket_label": ""}
        if instance.custom_field and instance.custom_field == shown["ticket"]:
            shown["custom_field"] = instance.custom_field
        return shown

    def get_recording_url(self, call: CallRecord) -> str:
        """Return our own address, which asks again and writes down who listens; Exotel's own would do neither."""
        user, recording = self.context["user"], first_recording(call)
        sees = call.pk in self.context["visible"] and (call.ticket_object_id or Permission.VIEW_CALL.granted_to(user))
        if not recording or not sees or not Permission.LISTEN.granted_to(user):
            return ""
        address: str = reverse("exotel_ccm:recording", args=[call.reference, recording])
        return str(self.context["request"].build_absolute_uri(address))


class EventSerializer(Shown):
    """One thing that we were told about a call."""

    facts = serializers.SerializerMethodField(help_text="What it says, as read. Addresses are cut to their host.")
    masked = ("advice",)

    class Meta:
        model = CallEvent
        fields = [
            *("id", "kind", "event", "url_event", "authentication", "verdict", "code", "advice", "reason"),
            *("facts", "http_status", "request_id", "tries", "content_type", "received_at"),
        ]
        read_only_fields = fields

    def get_facts(self, event: CallEvent) -> dict[str, Any]:
        """Return the facts without the signed addresses of recordings, numbers masked."""
        facts: dict[str, Any] = each_text(event.facts, lambda text: visible_to(redact(text), self.context["user"]))
        return facts


class NoteSerializer(Row):
    """What somebody wrote about a call."""

    text = serializers.SerializerMethodField(help_text="What was written.")
    disposition: Any = serializers.SlugRelatedField(
        "code", read_only=True, allow_null=True, help_text="How the call went, by its code."
    )

    class Meta:
        model = CallNote
        fields = ["id", "text", "disposition", "author", "author_label", "created_at"]
        read_only_fields = fields

    def get_text(self, note: CallNote) -> str:
        """Return the text with numbers masked."""
        return visible_to(redact(note.text), self.context["user"])


class FollowUpSerializer(Row):
    """A promise to call back."""

    ticket = serializers.SerializerMethodField(help_text=TICKET_HELP)
    ticket_label = serializers.SerializerMethodField(help_text="What the ticket was called when this was noted.")
    text = serializers.SerializerMethodField(help_text="What to talk about.")
    call = serializers.UUIDField(source="call.reference", read_only=True, allow_null=True, default=None)
    done_by = serializers.UUIDField(source="done_by.reference", read_only=True, allow_null=True, default=None)

    class Meta:
        model = FollowUp
        fields = [
            *("id", "ticket", "ticket_label", "due_at", "text", "assigned_to", "assigned_to_label"),
            *("call", "done_at", "done_by", "created_at"),
        ]
        read_only_fields = fields

    def get_ticket(self, row: FollowUp) -> str | None:
        """Return the name of a ticket that the user may see."""
        return row.ticket_name if self._is_visible(row) else None

    def get_ticket_label(self, row: FollowUp) -> str:
        """Return the label of a ticket that the user may see."""
        return visible_to(row.ticket_label, self.context["user"]) if self._is_visible(row) else ""

    def get_text(self, row: FollowUp) -> str:
        """Return the text with numbers masked."""
        return visible_to(redact(row.text), self.context["user"])

    def _is_visible(self, row: FollowUp) -> bool:
        return row.pk in self.context["visible"]


class AgentSerializer(Row):
    """Somebody whose phone can ring first."""

    class Meta:
        model = Agent
        fields = ["id", "name", "account", "user", "exophone", "is_active"]
        read_only_fields = fields


class ExoPhoneSerializer(Row):
    """A number that customers see."""

    class Meta:
        model = ExoPhone
        fields = ["id", "number", "label", "account", "is_default", "is_active"]
        read_only_fields = fields


class DispositionSerializer(Row):
    """A way in which a call can have gone."""

    class Meta:
        model = Disposition
        fields = ["code", "label", "means", "position"]
        read_only_fields = fields


class DoNotCallSerializer(Shown):
    """A number that is not to be called."""

    masked = ("number", "reason")

    class Meta:
        model = DoNotCall
        fields = ["id", "number", "reason", "source", "expires_at", "created_by", "created_at"]
        read_only_fields = fields


def calls_as_shown(calls: list[CallRecord], request: Any, adapter: TicketAdapter) -> list[dict[str, Any]]:
    """Return those of the calls that the user of a Django request may see, as JSON values.

    Asks ``adapter`` once for each kind of ticket. One's own calls are always shown.
    """
    visible = adapter.visible_calls(request, calls)
    may_see = Permission.VIEW_CALL.granted_to(request.user)
    shown = [call for call in calls if call.placed_by_id == request.user.pk or (may_see and call.pk in visible)]
    context = {"user": request.user, "visible": visible, "request": request}
    return list(CallSerializer(shown, many=True, context=context).data)
