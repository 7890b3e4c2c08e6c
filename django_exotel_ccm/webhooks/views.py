"""The callback views: bounded, pinned against the host's REST framework settings, honest in their status codes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import Error as DatabaseFailure
from django.http import HttpRequest
from django.utils import timezone
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from django_exotel_ccm import lifecycle
from django_exotel_ccm.choices import Authentication, EventKind
from django_exotel_ccm.exotel.callbacks import Callback, read_callback
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import CallEvent
from django_exotel_ccm.services import record_event
from django_exotel_ccm.services.reconciliation.external_calls import record_account_event
from django_exotel_ccm.webhooks.authentication import AccountURL, AccountVoucher, SignedURL, Voucher

logger = logging.getLogger("django_exotel_ccm.webhooks")

LARGEST = 256 * 1024  # bytes; a callback has about one thousand
LONGEST_LENGTH = 20  # digits of a Content-Length that are read; of thousands Python would make no number


class TooLarge(APIException):
    """The body is larger than any callback."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."


class NotKept(APIException):
    """The database did not keep the callback: Exotel must send it again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Not stored; send it again."


class Incomplete(APIException):
    """Less came than was announced. Half a body may read like a whole one, so it is not read at all."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "The body is incomplete; send it again."


class LengthRequired(APIException):
    """How long the body is was not said in a way that lets it be read."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send the body with a Content-Length."


class AlwaysJSON(BaseContentNegotiation):
    """Ignores ``Accept`` and ``?format=``: Exotel reads the status alone."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the only renderer."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class _KeepingView(APIView):
    """Takes one callback of Exotel. 200: kept; 403: not signed; 413: too large; 5xx: send it again.

    Exotel gives three tries and 15 seconds each (docs/exotel.md 4.6). Every class that REST framework would take from
    the host's settings is named here, but for what vouches for the URL.
    """

    permission_classes = [AllowAny]
    parser_classes = []  # the body is read as bytes, below
    renderer_classes = [JSONRenderer]
    throttle_classes = []
    content_negotiation_class = AlwaysJSON
    versioning_class = None
    metadata_class = None
    schema = None
    http_method_names = ["post"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse other methods first: they are not asked for a signature."""
        if request.method != "POST":
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Keep the status codes ours: a host's handler may answer 200 to all."""
        return exception_handler

    def post(self, request: Request, token: str) -> Response:
        """Keep the callback, and answer 200 only when it is committed."""
        body, content_type = _read(request._request)  # noqa: SLF001 - REST framework would parse it by its type
        callback = read_callback(body, content_type)
        event = CallEvent(
            kind=EventKind.CALLBACK,
            facts=(callback.facts or CallFacts()).as_json(),
            reason=callback.reason,
            raw=body,
            content_type=_printable(content_type),
            received_at=timezone.now(),
        )
        try:
            self.keep(event, callback, request.auth)
        except DatabaseFailure:
            logger.exception("A callback for %s was not stored; Exotel will send it again.", request.auth)
            raise NotKept from None
        return Response({"status": "kept"})

    def keep(self, event: CallEvent, callback: Callback, voucher: Any) -> None:
        """Write into the event what its URL vouches for, and have it committed; raises a ``DatabaseError``."""
        raise NotImplementedError


class CallbackView(_KeepingView):
    """Takes what Exotel reports of a call that was placed here, to that call's signed URL."""

    authentication_classes = [SignedURL]

    def keep(self, event: CallEvent, callback: Callback, voucher: Voucher) -> None:
        """Keep what the body says of the call that the URL names."""
        event.authentication, event.reference = Authentication.SIGNED_URL, voucher.reference
        event.event = lifecycle.event_of(callback.facts or CallFacts(), voucher.event)
        record_event(event, canonical=callback.canonical)


class AccountCallbackView(_KeepingView):
    """Takes what Exotel reports of any call of an account, to the account's own URL: only a hint."""

    authentication_classes = [AccountURL]

    def keep(self, event: CallEvent, callback: Callback, voucher: AccountVoucher) -> None:
        """Keep what the body says, to be believed when Call Details say so too."""
        event.authentication, event.account = Authentication.ACCOUNT_URL, voucher.account
        event.event = lifecycle.event_of(callback.facts or CallFacts(), "")
        record_account_event(event, canonical=callback.canonical)


def _read(request: HttpRequest) -> tuple[bytes, str]:
    """Return the whole body and its content type; raises when it is larger than :data:`LARGEST` or incomplete."""
    announced = _announced(request)
    if announced is not None and announced > LARGEST:
        raise TooLarge
    try:
        body = request.read(LARGEST + 1) or _unannounced(request, announced)
    except OSError:
        raise NotKept from None
    if len(body) > LARGEST:
        raise TooLarge
    if not body and request.POST:
        # A middleware of the host has read the form already.
        return request.POST.urlencode().encode(), "application/x-www-form-urlencoded"
    if announced is not None and len(body) < announced:
        logger.warning("A callback is incomplete: %d bytes of %d were there to be read.", len(body), announced)
        raise Incomplete
    return body, request.META.get("CONTENT_TYPE", "")


def _announced(request: HttpRequest) -> int | None:
    """Return what the request says of its length, as far as that is a number."""
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length.lstrip("0")[:LONGEST_LENGTH] or 0) if length.isascii() and length.isdigit() else None


def _unannounced(request: HttpRequest, announced: int | None) -> bytes:
    """Return a body sent in chunks: Django reads none without a length, servers that mark its end hand it over."""
    unreadable = announced is None and bool(request.META.get("CONTENT_LENGTH"))
    if not unreadable and not request.META.get("HTTP_TRANSFER_ENCODING"):
        return b""
    if unreadable or not request.META.get("wsgi.input_terminated"):
        raise LengthRequired
    body: bytes = request.META["wsgi.input"].read(LARGEST + 1)
    return body


def _printable(content_type: str) -> str:
    return "".join(letter for letter in content_type if letter.isprintable())[:200]
