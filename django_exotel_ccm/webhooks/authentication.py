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

from django_exotel_ccm import links

logger = logging.getLogger("django_exotel_ccm.webhooks")


@dataclass(frozen=True, slots=True)
class Voucher:
    """The call and the event that a signed URL opens."""

    reference: UUID
    event: str


class SignedURL(BaseAuthentication):
    """Lets in whom a signed, unexpired callback URL vouches for, and nobody else."""

    def authenticate(self, request: Request) -> tuple[Any, Voucher]:
        """Return (anonymous user, voucher); raises ``PermissionDenied`` for any other URL."""
        found = links.read(request.parser_context["kwargs"]["token"])
        if found is None:
            logger.warning("A callback was refused: its URL is not signed by us, or is more than seven days old.")
            raise PermissionDenied
        return AnonymousUser(), Voucher(*found)
