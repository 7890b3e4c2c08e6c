"""The callback views. They ignore the host's REST framework settings, and answer 200 only for what is committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import Error as DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase, JsonResponse
from django.utils import timezone
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from django_exotel_ccm import accounts, callback_urls, probes
from django_exotel_ccm.choices import Authentication, EventKind
from django_exotel_ccm.exotel.callbacks import read_callback
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import CallEvent
from django_exotel_ccm.services import record_event
from django_exotel_ccm.services.reconciliation.external_calls import record_account_event

logger = logging.getLogger("django_exotel_ccm.webhooks")

MAX_BODY_BYTES = 64 * 1024  # a callback has about 1 KiB; twenty signed addresses of recordings have 40
MAX_LENGTH_DIGITS = 20  # of a Content-Length; int() refuses a number of thousands of digits


@dataclass(frozen=True, slots=True)
class CallbackClaim:
    """What a URL proves: one ``event`` of one call, the ``account`` whose own URL it is, or a ``probe`` of ours."""

    reference: UUID | None = None
    event: str = ""
    account: str = ""
    probe: str = ""

    def __str__(self) -> str:
        if self.probe:
            return "a probe"
        return f"call {self.reference}" if self.reference else f"account {self.account!r}"


class SignedURL(BaseAuthentication):
    """Accepts a request to the signed URL of one event of a call, for seven days, or to that of a probe."""

    def authenticate(self, request: Request) -> tuple[Any, CallbackClaim]:
        """Return (anonymous user, claim); raises ``PermissionDenied`` for any other URL."""
        token = request.parser_context["kwargs"]["token"]
        signed = callback_urls.verify(token)
        if signed is not None:
            return AnonymousUser(), CallbackClaim(*signed)
        probe = probes.verify(token)
        if probe is not None:
            return AnonymousUser(), CallbackClaim(probe=probe)
        logger.warning("A callback was refused: its URL is not signed by us, or is more than seven days old.")
        raise PermissionDenied


class AccountURL(BaseAuthentication):
    """Accepts a request to the own URL of a configured account."""

    def authenticate(self, request: Request) -> tuple[Any, CallbackClaim]:
        """Return (anonymous user, claim); raises ``PermissionDenied`` for any other URL."""
        alias = callback_urls.verify_account(request.parser_context["kwargs"]["token"])
        if alias is None:
            logger.warning("A callback to an account's own URL was refused: the URL is not signed by us.")
            raise PermissionDenied
        if alias not in accounts.aliases():
            logger.warning("A callback to the own URL of account %r was refused: the settings have none.", alias)
            raise PermissionDenied
        return AnonymousUser(), CallbackClaim(account=alias)


class TooLarge(APIException):
    """The body is larger than any callback."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."


class NotStored(APIException):
    """The database did not store the callback: Exotel must send it again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Not stored; send it again."


class Incomplete(APIException):
    """The body is shorter than its Content-Length. Half a body can look like a whole one, so it is not read."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "The body is incomplete; send it again."


class LengthRequired(APIException):
    """The request has no usable Content-Length."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send the body with a Content-Length."


class AlwaysJSON(BaseContentNegotiation):
    """Ignores ``Accept`` and ``?format=``, because Exotel reads the status only."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the only renderer."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class BaseCallbackView(APIView):
    """Receives one callback of Exotel. 200: committed; 403: not signed; 413: too large; 5xx: send it again.

    Exotel tries three times and waits 15 seconds each time (docs/exotel.md 4.6). Every class that REST
    framework would take from the host's settings is named here.
    """

    authentication: Authentication
    record: Callable[..., CallEvent]

    permission_classes = [AllowAny]
    parser_classes = []  # the body is read as bytes, below
    renderer_classes = [JSONRenderer]
    throttle_classes = []
    content_negotiation_class = AlwaysJSON
    versioning_class = None
    metadata_class = None
    schema = None
    http_method_names = ["post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer every request ourselves: Django's own log and error mails would quote the URL, which has the token."""
        try:
            response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        except Exception:
            logger.exception("A callback for %s failed.", getattr(self.request, "_auth", None))
            response = JsonResponse({"detail": "Not stored; send it again."}, status=500)
        # Django logs the path of each response of 400 and above that is not marked so.
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse other methods first, before the signature is read."""
        if request.method != "POST":
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Keep our status codes: a host's handler may answer 200 to everything."""
        return exception_handler

    def post(self, request: Request, token: str) -> HttpResponseBase:
        """Store the callback, and answer 200 once it is committed. Answer a probe with its receipt."""
        claim: CallbackClaim = request.auth  # type: ignore[assignment]  # of our authentication classes
        try:
            body, content_type = _read(request._request)  # noqa: SLF001 - REST framework would parse it by its type
        except APIException as error:
            logger.warning("A callback for %s was not read: %s", claim, error)
            raise
        if claim.probe:
            # The doctor asks whether callbacks arrive. There is no call, and nothing to store.
            receipt = probes.sign_receipt(claim.probe, body, request._request)  # noqa: SLF001
            return JsonResponse({"status": "probe", "receipt": receipt})
        callback = read_callback(body, content_type)
        event = CallEvent(
            kind=EventKind.CALLBACK,
            authentication=self.authentication,
            reference=claim.reference,
            account=claim.account,
            url_event=claim.event,
            reason=callback.reason,
            raw=body,
            content_type=_printable(content_type),
            received_at=timezone.now(),
        )
        event.parsed = facts = callback.facts or CallFacts()
        event.event = facts.reported_event(claim.event)
        try:
            self.record(event, canonical=callback.canonical)
        except DatabaseError:
            logger.exception("A callback for %s was not stored; Exotel will send it again.", claim)
            raise NotStored from None
        return JsonResponse({"status": "stored"})


class CallbackView(BaseCallbackView):
    """Receives what Exotel reports about a call that was placed here, at that call's signed URL."""

    authentication_classes = [SignedURL]
    authentication = Authentication.SIGNED_URL
    record = staticmethod(record_event)


class AccountCallbackView(BaseCallbackView):
    """Receives what Exotel reports about any call of an account, at the account's own URL: unverified."""

    authentication_classes = [AccountURL]
    authentication = Authentication.ACCOUNT_URL
    record = staticmethod(record_account_event)


def _read(request: HttpRequest) -> tuple[bytes, str]:
    """Return the whole body and its content type; raises when it is larger than MAX_BODY_BYTES, or incomplete."""
    length = _content_length(request)
    if length is not None and length > MAX_BODY_BYTES:
        raise TooLarge
    try:
        body = request.read(MAX_BODY_BYTES + 1) or _read_chunked(request, length)
    except OSError:
        raise NotStored from None
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge
    if not body and request.POST:
        # A middleware of the host has read the form already.
        return request.POST.urlencode().encode(), "application/x-www-form-urlencoded"
    if length is not None and len(body) < length:
        raise Incomplete(f"The body is incomplete: {len(body)} bytes of {length}; send it again.")
    return body, request.META.get("CONTENT_TYPE", "")


def _content_length(request: HttpRequest) -> int | None:
    """Return the request's Content-Length; None when there is none, or it is not a number."""
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length.lstrip("0")[:MAX_LENGTH_DIGITS] or 0) if length.isascii() and length.isdigit() else None


def _read_chunked(request: HttpRequest, length: int | None) -> bytes:
    """Return a body sent in chunks. Django reads none without a length; servers that mark its end hand it over."""
    unreadable = length is None and bool(request.META.get("CONTENT_LENGTH"))
    if not unreadable and not request.META.get("HTTP_TRANSFER_ENCODING"):
        return b""
    if unreadable or not request.META.get("wsgi.input_terminated"):
        raise LengthRequired
    body: bytes = request.META["wsgi.input"].read(MAX_BODY_BYTES + 1)
    return body


def _printable(content_type: str) -> str:
    return "".join(letter for letter in content_type if letter.isprintable())[:200]
