"""What the API answers when it says no: whatever the status, ``code`` for programs and ``advice`` for people."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from django_exotel_ccm.choices import Permission

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024  # a note of 10,000 characters has at most 120 KB, each written as two escapes

MOST_FIELDS = 20
LONGEST_TOLD = 500  # characters; some messages repeat what was sent


class APIError(exceptions.APIException):
    """An answer of ours: its status, its code, its advice, and whatever else the body holds."""

    def __init__(self, status_code: int, code: str, advice: Any, **more: Any) -> None:
        super().__init__(advice, code)
        self.status_code = status_code
        self.more = more


class Invalid(APIError):
    """400: the request cannot be read as it is. ``fields`` says of each field what is wrong with it."""

    def __init__(self, code: str, advice: Any, **fields: Any) -> None:
        super().__init__(status.HTTP_400_BAD_REQUEST, code, advice, **({"fields": fields} if fields else {}))


class Forbidden(APIError):
    """403: the user lacks each of these permissions, one of which is needed."""

    def __init__(self, *wanted: Permission) -> None:
        names = [str(one) for one in wanted]
        advice = ngettext(
            "You may not do this. An administrator can give you the permission %(names)s.",
            "You may not do this. An administrator can give you one of the permissions %(names)s.",
            len(names),
        )
        super().__init__(status.HTTP_403_FORBIDDEN, "permission_denied", advice % {"names": ", ".join(names)})


class Conflict(APIError):
    """409: nobody was called."""

    def __init__(self, code: str, advice: Any, **more: Any) -> None:
        super().__init__(status.HTTP_409_CONFLICT, code, advice, **more)


def unknown_fields(names: list[str], known: list[str]) -> Invalid:
    """Return the error of a body with fields that the API does not know."""
    told = _("There is no such field. Known fields: %(known)s.") % {"known": ", ".join(known) or "-"}
    return invalid_fields({name: [told] for name in names})


def unknown_filters(names: list[str], known: list[str]) -> Invalid:
    """Return the error of an address with filters that the list does not have."""
    told = _("There is no such filter here. Known filters: %(known)s.") % {"known": ", ".join(known) or "-"}
    return invalid_fields({name: [told] for name in names})


def invalid_fields(fields: Mapping[str, Any]) -> Invalid:
    """Return the error of a body some of whose fields are wrong. Of many it names the first: its length is bounded."""
    told = {_printable(name): [str(one)[:LONGEST_TOLD] for one in fields[name]] for name in islice(fields, MOST_FIELDS)}
    error = Invalid("invalid", _("Correct these fields: %(names)s.") % {"names": ", ".join(told)})
    error.more = {"fields": told}
    return error


def too_large() -> APIError:
    """Return the error of a body of more than ``MAX_BODY_BYTES``."""
    advice = _("The body is too large. It may have %(count)d KB.") % {"count": MAX_BODY_BYTES // 1024}
    return APIError(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "too_large", advice)


def _printable(name: object) -> str:
    """Return the name of a field as it can be sent back: bounded, and without what no encoding knows."""
    return "".join(letter for letter in str(name)[:80] if letter.isprintable())


ADVICE: dict[type[Exception], Any] = {
    exceptions.NotAuthenticated: gettext_lazy("Log in, or send the credentials that this site takes."),
    exceptions.NotFound: gettext_lazy("There is no such thing, or you may not see it."),
    exceptions.PermissionDenied: gettext_lazy("You may not do this. Ask an administrator."),
    exceptions.MethodNotAllowed: gettext_lazy(
        "This address does not take that method. The header Allow of this answer names those that it takes."
    ),
    exceptions.NotAcceptable: gettext_lazy("Answers are JSON. Send the header Accept: application/json, or none."),
    exceptions.UnsupportedMediaType: gettext_lazy("Send JSON, with the header Content-Type: application/json."),
}
"""What is said where REST framework's own words say less."""


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """Return the answer to an exception of a view. One that nobody expected is logged, and says nothing of itself."""
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, RequestDataTooBig):
        error = too_large()
    elif isinstance(error, SuspiciousOperation | BadRequest):
        error = Invalid("bad_request", _("The request cannot be read. Send JSON."))
    if not isinstance(error, exceptions.APIException):
        return _unexpected(error, context)
    response = exception_handler(error, context)  # rolls back, and sets Retry-After and WWW-Authenticate
    if response is None:
        raise error
    response.data = body_of(error)
    return response


def body_of(error: exceptions.APIException) -> dict[str, Any]:
    """Return the body of the answer to an exception."""
    if isinstance(error, exceptions.ValidationError):
        fields: dict[str, Any] = error.detail if isinstance(error.detail, dict) else {"": error.detail}
        general = fields.get("non_field_errors", fields.get(""))
        if general and len(fields) == 1:
            return {"code": "invalid", "advice": str(general[0])}
        error = invalid_fields(fields)
    code = error.get_codes()
    body: dict[str, Any] = {"code": code if isinstance(code, str) else error.default_code, "advice": _advice(error)}
    wait: float | None = getattr(error, "wait", None)
    if wait is not None:
        body["seconds"] = math.ceil(wait)
    return body | (error.more if isinstance(error, APIError) else {})


def _advice(error: exceptions.APIException) -> str:
    repeats_request = isinstance(error, exceptions.MethodNotAllowed | exceptions.UnsupportedMediaType)
    is_usual = repeats_request or str(error.detail) == str(error.default_detail)
    return str(ADVICE[type(error)]) if is_usual and type(error) in ADVICE else str(error.detail)


def _unexpected(error: Exception, context: dict[str, Any]) -> Response:
    """Answer in our shape, and have the host's monitoring hear of it as of any other error."""
    view, request = context["view"], context["request"]
    logger.error("The API failed at %s.", type(view).__name__, exc_info=error)
    got_request_exception.send(sender=type(view), request=request._request)  # noqa: SLF001 - Django's own
    failed = exceptions.APIException()
    response = exception_handler(failed, context)  # rolls back
    if response is None:
        raise error
    response.data = {
        "code": "server_error",
        "advice": _("Something went wrong here. An administrator finds the error in the log."),
    }
    return response
