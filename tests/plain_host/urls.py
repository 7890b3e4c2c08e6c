"""Pages of a host behind a login, below a path for each language; a strict policy allows only scripts with a nonce."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import include, path

from tests.plain_host.models import Order, tenant

SWAP = """
/* Does what htmx does for boosted links: fetches a page, swaps the body, and runs the scripts of the new one. */
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-boost]");
  if (!link) return;
  event.preventDefault();
  const page = new DOMParser().parseFromString(await (await fetch(link.href)).text(), "text/html");
  history.pushState({}, "", link.href);
  document.body.replaceWith(document.adoptNode(page.body));
  document.body.querySelectorAll("script:not([type])").forEach((old) => {
    const script = document.createElement("script");
    for (const { name, value } of old.attributes) script.setAttribute(name, value);
    script.nonce = document.querySelector("script[data-swap]").nonce;
    old.replaceWith(script);
  });
});
"""


def strict_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Allow only styles and scripts with the nonce of this page, as django-csp does."""

    def middleware(request: Any) -> HttpResponse:
        request.csp_nonce = secrets.token_urlsafe(16)
        response = get_response(request)
        only = f"'nonce-{request.csp_nonce}'"
        response["Content-Security-Policy"] = (
            f"default-src 'none'; script-src {only}; style-src {only}; connect-src 'self'; "
            "base-uri 'none'; form-action 'self'; media-src 'self'"
        )
        return response

    return middleware


def of_tenant(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let each request see the rows of one tenant."""

    def middleware(request: HttpRequest) -> HttpResponse:
        token = tenant.set(request.headers.get("X-Tenant", "north"))
        try:
            return get_response(request)
        finally:
            tenant.reset(token)

    return middleware


def orders(request: HttpRequest) -> HttpResponse:
    return render(request, "plain_host/orders.html", {"orders": Order.objects.order_by("title")})


def order(request: HttpRequest, key: Any) -> HttpResponse:
    return render(request, "plain_host/order.html", {"order": get_object_or_404(Order, pk=key)})


@login_not_required
def looks(request: HttpRequest) -> HttpResponseBase:
    text = "body { background: Canvas; color: CanvasText; font-family: sans-serif; }"
    return HttpResponse(text, content_type="text/css")


@login_not_required
def swap(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse(SWAP, content_type="text/javascript")


urlpatterns = i18n_patterns(
    path("login/", LoginView.as_view(template_name="plain_host/login.html", next_page="orders"), name="login"),
    path("swap.js", swap, name="swap"),
    path("looks.css", looks, name="looks"),
    path("", orders, name="orders"),
    path("orders/<uuid:key>/", order, name="order"),
    path("exotel/", include("django_exotel_ccm.urls")),
)
