"""A host's own REST framework classes, which all conflict with ours."""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle


class XML(BaseRenderer):
    """Renders XML only."""

    media_type = "text/xml"
    format = "xml"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return f"<answer>{data}</answer>".encode()


class Never(BaseThrottle):
    """Throttles every request."""

    def allow_request(self, request: Request, view: Any) -> bool:
        return False


class NothingSuits(BaseContentNegotiation):
    """Fails for every request."""

    def select_renderer(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("The host's negotiation was used.")

    select_parser = select_renderer


def always_200(error: Exception, context: dict[str, Any]) -> Response:
    """Answers every error with 200."""
    return Response({"error": str(error)}, status=200)
