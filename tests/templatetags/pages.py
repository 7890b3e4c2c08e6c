"""Renders a host's own page, and presses what stands on it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.contrib.auth.models import AnonymousUser
from django.template import Context, RequestContext, engines
from django.test import Client, RequestFactory

from tests.admin.pages import Page

BUTTON = "{% load exotel_ccm %}{% exotel_call_button ticket %}"
TIMELINE = "{% load exotel_ccm %}{% exotel_call_timeline ticket %}"
PANEL = "{% load exotel_ccm %}{% exotel_call_panel %}"


def request_of(user: Any = None, path: str = "/tickets/7/") -> Any:
    request = RequestFactory().get(path)
    request.user = user or AnonymousUser()
    return request


def render(template: str, request: Any, **context: Any) -> Page:
    return Page(template_of(template).render(RequestContext(request, context)))


def render_bare(template: str, **context: Any) -> str:
    """Render a template as code does that has no request."""
    return str(template_of(template).render(Context(context))).strip()


def template_of(text: str) -> Any:
    return engines["django"].from_string(text).template


class Browser:
    """A user who sees a host's page and presses its button, with the script (JSON) or without."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.client = Client()
        self.client.force_login(user)

    def button_of(self, ticket: Any) -> dict[str, str]:
        [button] = render(BUTTON, request_of(self.user), ticket=ticket).call_buttons
        return button.attributes

    def press(self, address: str, **more: str) -> Any:
        return self.client.post(address, more, headers={"Accept": "application/json"})


def changed(address: str, **values: str) -> str:
    """Return the address with other values, as somebody forges it."""
    from urllib.parse import urlencode

    parts = urlsplit(address)
    given = dict(parse_qsl(parts.query)) | {f"exotel_{name}": value for name, value in values.items()}
    return f"{parts.path}?{urlencode(given)}"
