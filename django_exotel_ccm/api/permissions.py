"""Who may use which address at all. Which calls and tickets a user sees is asked row by row."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from django_exotel_ccm.api.errors import Forbidden


class HasOneOf(BasePermission):
    """Lets users in who have one of the permissions that the view's ``needs`` names for the method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True; raises ``NotAuthenticated`` or :class:`Forbidden` that says what is missing."""
        user: Any = request.user
        if not getattr(user, "is_authenticated", False):
            raise NotAuthenticated
        method = "GET" if request.method == "HEAD" else str(request.method)
        wanted = view.needs.get(method, ())  # type: ignore[attr-defined]
        if wanted and not any(one.granted_to(user) for one in wanted):
            raise Forbidden(*wanted)
        return True
