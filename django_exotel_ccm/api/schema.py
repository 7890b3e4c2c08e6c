"""The OpenAPI schema, by drf-spectacular. Imported only where that is installed; the host's settings need no line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any

from django.urls import URLPattern
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import patched_settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from django_exotel_ccm.api import calls, directory, do_not_call, follow_ups, notes
from django_exotel_ccm.api.errors import Forbidden, body_of, unknown_fields, unknown_filters
from django_exotel_ccm.api.examples import BODIES, ERRORS
from django_exotel_ccm.api.filters import filterset_of
from django_exotel_ccm.api.placing import LONGEST_REQUEST_KEY, PlaceCall
from django_exotel_ccm.api.serializers import (
    AgentSerializer,
    Body,
    CallSerializer,
    DispositionSerializer,
    DoNotCallSerializer,
    EventSerializer,
    ExoPhoneSerializer,
    FollowUpSerializer,
    NoteSerializer,
)
from django_exotel_ccm.choices import Outcome, Step

READING = (400, 401, 403, 406, 429)
OF_ONE = (*READING, 404)
WRITING = (*OF_ONE, 413, 415)


class NumberChoice(serializers.Serializer[Any]):
    """One of the numbers of a ticket that has several."""

    label = serializers.CharField(help_text="What the host calls it.")  # type: ignore[assignment]
    number = serializers.CharField(help_text="The number, masked without view_customer_number.")
    to = serializers.CharField(help_text="What stands for the number in the next POST.")


class Error(serializers.Serializer[Any]):
    """What every error says, whatever its status."""

    code = serializers.CharField(help_text="For programs. Of a refused call Exotel's code, or the name of the rule.")
    advice = serializers.CharField(help_text="For people: what to do.")
    reference = serializers.UUIDField(required=False, help_text="The call that was refused, or that has the key.")
    numbers = NumberChoice(many=True, required=False, help_text="The numbers to choose from.")
    seconds = serializers.IntegerField(required=False, help_text="How long to wait.")

    def get_fields(self) -> dict[str, Any]:
        """Return the fields; one has the name of an attribute of serializers."""
        told = serializers.ListField(child=serializers.CharField())
        wrong = serializers.DictField(
            child=told, required=False, help_text="What is wrong with each field, or with each parameter."
        )
        return {**super().get_fields(), "fields": wrong}


class CallStatus(serializers.Serializer[Any]):
    """Where a call stands."""

    reference = serializers.UUIDField(help_text="The call.")
    step = serializers.ChoiceField([step.value for step in Step], help_text="How far it has come, for a person.")
    headline = serializers.CharField(help_text="The same in a sentence.")
    hint = serializers.CharField(allow_blank=True, help_text="What to do, or what to know besides.")
    is_over = serializers.BooleanField(help_text="Whether nothing more is expected.")
    outcome = serializers.ChoiceField(Outcome.choices, allow_blank=True, help_text="How it ended; blank until it has.")
    talk_time = serializers.IntegerField(allow_null=True, help_text="Seconds of conversation.")
    seconds = serializers.IntegerField(help_text="Seconds since the step began.")
    poll_after = serializers.IntegerField(allow_null=True, help_text="Seconds until to ask again; null at the end.")


class CallStatuses(serializers.Serializer[Any]):
    """Where the calls stand."""

    next = serializers.CharField(allow_null=True, help_text="Always null.")
    previous = serializers.CharField(allow_null=True, help_text="Always null.")
    results = CallStatus(many=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the schema says of one method of a view, besides what its docstring does."""

    name: str
    body: type[Body] | None = None
    answers: Mapping[int, tuple[Any, str]] = field(default_factory=dict)
    errors: Iterable[int] = READING
    parameters: Iterable[OpenApiParameter] = ()


def _list(name: str, serializer: Any, errors: Iterable[int] = READING) -> Operation:
    return Operation(name=name, answers={200: (serializer(many=True), "A page.")}, errors=errors)


_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description=f"A text of your own for each call, 1 to {LONGEST_REQUEST_KEY} printable ASCII characters. "
    "The same key from the same user places one call; a request that you change, as after a 409, takes a new one.",
)
_REFERENCES = OpenApiParameter(
    "reference",
    {"type": "array", "items": {"type": "string", "format": "uuid"}, "minItems": 1, "maxItems": 100},
    required=True,
    description="A call; once for each.",
)
_SEEN = OpenApiParameter(
    "If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The ETag of the answer that you have."
)
_PLACED = {
    201: (CallSerializer, "Exotel accepted the request: the agent's phone rings."),
    200: (CallSerializer, "The same key again: the call that it has placed, as it stands now."),
    202: (CallSerializer, "Nobody knows yet whether it rings. It is never dialled again; follow its status."),
}
OPERATIONS: dict[tuple[type[Any], str], Operation] = {
    (calls.Calls, "GET"): _list("list_calls", CallSerializer),
    (calls.Calls, "POST"): Operation(
        name="place_call", body=PlaceCall, answers=_PLACED, errors=(*WRITING, 409), parameters=[_KEY]
    ),
    (calls.Statuses, "GET"): Operation(
        name="list_call_statuses",
        answers={200: (CallStatuses, "Where they stand."), 304: (None, "Nothing has changed.")},
        parameters=[_REFERENCES, _SEEN],
    ),
    (calls.OneCall, "GET"): Operation(name="get_call", answers={200: (CallSerializer, "The call.")}, errors=OF_ONE),
    (calls.Events, "GET"): _list("list_events", EventSerializer, OF_ONE),
    (notes.Notes, "GET"): _list("list_notes", NoteSerializer, OF_ONE),
    (notes.Notes, "POST"): Operation(
        name="write_note", body=notes.WriteNote, answers={201: (NoteSerializer, "The note.")}, errors=WRITING
    ),
    (follow_ups.FollowUps, "GET"): _list("list_follow_ups", FollowUpSerializer),
    (follow_ups.FollowUps, "POST"): Operation(
        name="schedule_follow_up",
        body=follow_ups.ScheduleFollowUp,
        answers={201: (FollowUpSerializer, "The call-back.")},
        errors=WRITING,
    ),
    (follow_ups.DoneFollowUp, "POST"): Operation(
        name="complete_follow_up",
        body=follow_ups.NothingMore,
        answers={200: (FollowUpSerializer, "The call-back, done.")},
        errors=WRITING,
    ),
    (directory.Agents, "GET"): _list("list_agents", AgentSerializer),
    (directory.ExoPhones, "GET"): _list("list_exophones", ExoPhoneSerializer),
    (directory.Dispositions, "GET"): _list("list_dispositions", DispositionSerializer),
    (do_not_call.DoNotCallList, "GET"): _list("list_do_not_call", DoNotCallSerializer),
    (do_not_call.DoNotCallList, "POST"): Operation(
        name="add_do_not_call",
        body=do_not_call.AddNumber,
        answers={
            201: (DoNotCallSerializer, "The number was added."),
            200: (DoNotCallSerializer, "The number was on the list already."),
            204: (None, "On the list; no more is said without view_donotcall and view_customer_number."),
        },
        errors=tuple(status for status in WRITING if status != 404),
    ),
    (do_not_call.DoNotCallList, "DELETE"): Operation(
        name="remove_do_not_call",
        body=do_not_call.OneNumber,
        answers={204: (None, "The number is off the list.")},
        errors=WRITING,
    ),
    (do_not_call.OneDoNotCall, "DELETE"): Operation(
        name="remove_do_not_call_entry",
        answers={204: (None, "The entry is off the list.")},
        errors=tuple(status for status in OF_ONE if status != 400),
    ),
}
DESCRIPTION = "Places calls over Exotel, and reads them. Every error has code and advice. Lists lead on by next."
PINNED = {
    "TITLE": "django-exotel-ccm",
    "DESCRIPTION": DESCRIPTION,
    "OAS_VERSION": "3.0.3",
    "PREPROCESSING_HOOKS": [],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
    "ENUM_NAME_OVERRIDES": {
        "EventReason": "django_exotel_ccm.choices.EventReason",
        "DoNotCallSource": "django_exotel_ccm.choices.DoNotCallSource",
    },
    "SCHEMA_PATH_PREFIX": "/",
    "SCHEMA_PATH_PREFIX_TRIM": False,
    "COMPONENT_SPLIT_REQUEST": False,
    "CAMELIZE_NAMES": False,
    "ENFORCE_NON_BLANK_FIELDS": True,
    "SORT_OPERATIONS": True,
    "APPEND_COMPONENTS": {},
    "APPEND_PATHS": {},
    "SERVERS": [],
    "TAGS": [],
}
"""What the host's ``SPECTACULAR_SETTINGS`` would change in our schema."""


class Inspector(AutoSchema):
    """Describes one of our operations."""

    view: Any

    @property
    def operation(self) -> Operation:
        """What we say of it."""
        return OPERATIONS[type(self.view), self.method]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        """Return the description. drf-spectacular leaves out the body of a DELETE."""
        found = super().get_operation(*args, **kwargs)
        if found is not None and self.method == "DELETE" and self.operation.body is not None:
            examples = {one.name: {"value": one.value} for one in self.get_examples()}
            body = {"schema": self.resolve_serializer(self.operation.body, "request").ref, "examples": examples}
            found["requestBody"] = {"content": {"application/json": body}, "required": True}
        return found

    def get_operation_id(self) -> str:
        """Return the name that generated clients give it."""
        return self.operation.name

    def get_tags(self) -> list[str]:
        """Return the resource."""
        return [self.path.strip("/").split("/")[0]]

    def get_override_parameters(self) -> list[Any]:
        """Return what its own code reads of the request, besides the body."""
        return list(self.operation.parameters)

    def get_request_serializer(self) -> Any:
        """Return the serializer of its body."""
        return self.operation.body

    def get_response_serializers(self) -> Any:
        """Return what it answers, by status."""
        answers = {
            status: OpenApiResponse(serializer, description=description)
            for status, (serializer, description) in self.operation.answers.items()
        }
        return answers | {status: self._error(status) for status in sorted(self.operation.errors)}

    def _error(self, status: int) -> OpenApiResponse:
        value = ERRORS.get(status) or self._own_error(status)
        example = OpenApiExample(value["code"], value=value, response_only=True, status_codes=[str(status)])
        return OpenApiResponse(Error, description=value["advice"], examples=[example])

    def _own_error(self, status: int) -> dict[str, Any]:
        """Return what is answered to a user without permission, or to a request with a misspelt name."""
        if status == 403:
            return body_of(Forbidden(*self.view.needs[self.method]))
        if self.operation.body is not None:
            return body_of(unknown_fields(["tikcet"], list(self.operation.body().fields)))
        filters = filterset_of(self.view)
        known = [one.name for one in self.operation.parameters if one.location == OpenApiParameter.QUERY]
        return body_of(unknown_filters(["colour"], known or list(filters.base_filters if filters else [])))

    def get_examples(self) -> list[OpenApiExample]:
        """Return bodies that can be sent as they are."""
        bodies = BODIES.get(self.operation.name, {})
        return [OpenApiExample(title, value=value, request_only=True) for title, value in bodies.items()]

    def _is_list_view(self, serializer: Any = None) -> bool:
        if serializer is None:
            serializer = next(iter(self.operation.answers.values()))[0]
        return isinstance(serializer, serializers.ListSerializer)


class Generator(SchemaGenerator):
    """Describes our views alone, whatever inspector the host has for its own."""

    def create_view(self, callback: Callable[..., Any], method: str, request: Any = None) -> Any:
        """Return a view with our inspector."""
        view = super().create_view(callback, method, request)
        self._set_schema_to_view(view, Inspector())
        return view


_lock = threading.Lock()


@cache
def _document(patterns: tuple[URLPattern, ...]) -> dict[str, Any]:
    # The settings of drf-spectacular are the process's, and are changed meanwhile.
    with _lock, patched_settings({**PINNED, "VERSION": version("django-exotel-ccm")}), translation.override("en"):
        found: dict[str, Any] = Generator(patterns=list(patterns)).get_schema(public=True)
        return found


def schema_of(patterns: Iterable[URLPattern], root: str) -> dict[str, Any]:
    """Return the OpenAPI document of our addresses, which are below the URL ``root``."""
    return {**_document(tuple(patterns)), "servers": [{"url": root.rstrip("/")}]}
