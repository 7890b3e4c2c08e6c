"""The addresses of the API, below ``api/``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path, re_path

from django_exotel_ccm.api.base import NoSuchAddress
from django_exotel_ccm.api.calls import Calls, Events, OneCall, Statuses
from django_exotel_ccm.api.directory import Agents, Dispositions, ExoPhones
from django_exotel_ccm.api.do_not_call import DoNotCallList, OneDoNotCall
from django_exotel_ccm.api.follow_ups import DoneFollowUp, FollowUps
from django_exotel_ccm.api.notes import Notes
from django_exotel_ccm.api.schema_view import Schema
from django_exotel_ccm.services.transactions import exempt_from_atomic_requests


def _path(route: str, view: Any, name: str) -> URLPattern:
    # What is written is committed when the answer is sent, and no call is placed inside a transaction.
    exempted: Callable[..., Any] = exempt_from_atomic_requests(view.as_view())
    return path(route, exempted, name=name)


urlpatterns = [
    _path("calls/", Calls, "api-calls"),
    _path("calls/status/", Statuses, "api-statuses"),
    _path("calls/<uuid:reference>/", OneCall, "api-call"),
    _path("calls/<uuid:reference>/events/", Events, "api-events"),
    _path("calls/<uuid:reference>/notes/", Notes, "api-notes"),
    _path("follow-ups/", FollowUps, "api-follow-ups"),
    _path("follow-ups/<int:key>/done/", DoneFollowUp, "api-follow-up-done"),
    _path("agents/", Agents, "api-agents"),
    _path("exophones/", ExoPhones, "api-exophones"),
    _path("dispositions/", Dispositions, "api-dispositions"),
    _path("do-not-call/", DoNotCallList, "api-do-not-call"),
    _path("do-not-call/<int:key>/", OneDoNotCall, "api-do-not-call-entry"),
    _path("schema/", Schema, "api-schema"),
    re_path("", NoSuchAddress.as_view()),
]
