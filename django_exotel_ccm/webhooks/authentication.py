"""Who may post a callback: whoever has a signed URL. It is checked before the body is read, without the database."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from django_exotel_ccm import accounts, callback_urls

logger = logging.getLogger("django_exotel_ccm.webhooks")


@dataclass(frozen=True, slots=True)
class CallbackClaim:
    """What a URL proves: one ``event`` of one call, or the ``account`` whose own URL it is."""

    reference: UUID | None = None
    event: str = ""
    account: str = ""

    def __str__(self) -> str:
        return f"call {self.reference}" if self.reference else f"account {self.account!r}"


class SignedURL(BaseAuthentication):
    """Accepts a request to the signed URL of one event of a call, for seven days."""

    def authenticate(self, request: Request) -> tuple[Any, CallbackClaim]:
        """Return (anonymous user, claim); raises ``PermissionDenied`` for any other URL."""
        signed = callback_urls.verify(request.parser_context["kwargs"]["token"])
        if signed is None:
            logger.warning("A callback was refused: its URL is not signed by us, or is more than seven days old.")
            raise PermissionDenied
        return AnonymousUser(), CallbackClaim(*signed)


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
