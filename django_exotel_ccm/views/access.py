"""Who may use our views: users with the permission and with access to the user interface that they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from django_exotel_ccm.adapters import TicketAdapter, adapter_of_user, get_adapter
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.host_pages import OwnPagesAdapter


def answer_through(
    request: HttpRequest,
    values: Mapping[str, str],
    view: Callable[[TicketAdapter], HttpResponseBase],
    *,
    permission: Permission,
    back: str,
) -> HttpResponseBase:
    """Call ``view`` with the adapter that ``exotel_adapter`` in ``values`` names, and return the response.

    A user who is not logged in is sent to that adapter's login page, and from there to ``back``. Raises
    ``PermissionDenied`` without ``permission`` or without access to the adapter, ``Http404`` when there is none.
    """
    adapter = get_adapter(values.get("exotel_adapter", ""))
    return _answer(request, adapter, view, is_allowed=permission.granted_to, back=back)


def answer_outside_admin(
    request: HttpRequest, view: Callable[[TicketAdapter], HttpResponseBase], *, permission: Permission
) -> HttpResponseBase:
    """Call ``view`` with the adapter that shows the user's tickets outside the admin, and return the response.

    Raises and redirects as :func:`answer_through` does.
    """
    adapter = OwnPagesAdapter.of_owner(request.user)
    return _answer(request, adapter, view, is_allowed=permission.granted_to, back=request.get_full_path())


def answer_own_page(request: HttpRequest, view: Callable[[TicketAdapter], HttpResponseBase]) -> HttpResponseBase:
    """Call ``view``, a page of the agent's own, with the adapter that the user came through or else may use.

    Raises and redirects as :func:`answer_through` does.
    """
    return answer_page_of(request, view, Permission.PLACE_CALL)


def answer_page_of(
    request: HttpRequest, view: Callable[[TicketAdapter], HttpResponseBase], *permissions: Permission
) -> HttpResponseBase:
    """Call ``view``, a page for users with one of ``permissions``, with the adapter as :func:`answer_own_page` does."""
    adapter = adapter_of_user(request, request.GET.get("exotel_adapter", ""))

    def is_allowed(user: Any) -> bool:
        return any(permission.granted_to(user) for permission in permissions)

    return _answer(request, adapter, view, is_allowed=is_allowed, back=request.get_full_path())


def answer_superuser_page(request: HttpRequest, view: Callable[[TicketAdapter], HttpResponseBase]) -> HttpResponseBase:
    """Call ``view``, a page for superusers, with the adapter that the user came through or else may use.

    Raises and redirects as :func:`answer_through` does.
    """
    adapter = adapter_of_user(request, request.GET.get("exotel_adapter", ""))
    return _answer(request, adapter, view, is_allowed=is_superuser, back=request.get_full_path())


def is_superuser(user: Any) -> bool:
    """Return whether this user may see everything. A host's user model may know no superusers."""
    return bool(user.is_active and getattr(user, "is_superuser", False))


def _answer(
    request: HttpRequest,
    adapter: TicketAdapter | None,
    view: Callable[[TicketAdapter], HttpResponseBase],
    *,
    is_allowed: Callable[[Any], bool],
    back: str,
) -> HttpResponseBase:
    if not request.user.is_authenticated:
        login = adapter.login_url(back if is_of_this_host(request, back) else "") if adapter is not None else ""
        if login:
            return HttpResponseRedirect(login)
        raise PermissionDenied
    if not is_allowed(request.user):
        raise PermissionDenied
    if adapter is None:
        raise Http404
    if not adapter.has_access(request):
        raise PermissionDenied
    return adapter.guard(lambda _request: view(adapter))(request)


def is_of_this_host(request: HttpRequest, url: str) -> bool:
    """Return whether ``url`` leads to a page of this host."""
    return url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=request.is_secure())


def next_url_of(request: HttpRequest) -> str:
    """Return the page to go back to, which ``exotel_next`` names; "" if the request names none of this host."""
    wanted = request.POST.get("exotel_next") or request.GET.get("exotel_next") or ""
    return wanted if is_of_this_host(request, wanted) else ""


def through_adapter(
    request: HttpRequest, name: str | None, view: Callable[[TicketAdapter | None], HttpResponseBase]
) -> HttpResponseBase:
    """Call ``view`` with the adapter of that name, behind its guard; with None if the request names none.

    Raises ``Http404`` if there is no such adapter, or the user has no access to it.
    """
    if name is None:
        return view(None)
    adapter = get_adapter(name)
    if adapter is None or not adapter.has_access(request):
        raise Http404
    return adapter.guard(lambda _request: view(adapter))(request)


def is_script(request: HttpRequest) -> bool:
    """Return whether our script asks, which stays on its page. A browser that sends a form wants a page."""
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"
