"""What a callback's URL vouches for; asked before the body is touched, and of no database."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from django_exotel_ccm import accounts, links

logger = logging.getLogger("django_exotel_ccm.webhooks")


@dataclass(frozen=True, slots=True)
class Voucher:
    """The call and the event that a signed URL opens."""

    reference: UUID
    event: str

    def __str__(self) -> str:
        return f"call {self.reference}"


class SignedURL(BaseAuthentication):
    """Lets in whom a signed, unexpired callback URL vouches for, and nobody else."""

    def authenticate(self, request: Request) -> tuple[Any, Voucher]:
        """Return (anonymous user, voucher); raises ``PermissionDenied`` for any other URL."""
        found = links.read(request.parser_context["kwargs"]["token"])
        if found is None:
            logger.warning("A callback was refused: its URL is not signed by us, or is more than seven days old.")
            raise PermissionDenied
        return AnonymousUser(), Voucher(*found)


@dataclass(frozen=True, slots=True)
class AccountVoucher:
    """The account whose own URL it is."""

    account: str

    def __str__(self) -> str:
        return f"account {self.account!r}"


class AccountURL(BaseAuthentication):
    """Lets in whom the own URL of an account of the settings vouches for, and nobody else."""

    def authenticate(self, request: Request) -> tuple[Any, AccountVoucher]:
        """Return (anonymous user, voucher); raises ``PermissionDenied`` for any other URL."""
        alias = links.read_account(request.parser_context["kwargs"]["token"])
        if alias is None:
            logger.warning("A callback to an account's own URL was refused: the URL is not signed by us.")
            raise PermissionDenied
        if alias not in accounts.aliases():
            logger.warning("A callback to the own URL of account %r was refused: the settings have none.", alias)
            raise PermissionDenied
        return AnonymousUser(), AccountVoucher(alias)
