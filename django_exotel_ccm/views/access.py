"""Who gets into our views: those who may enter the user interface from which they come, by all of its rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from django_exotel_ccm.choices import Permission
from django_exotel_ccm.doors import Door, find_door


def answer_through(
    request: HttpRequest,
    values: Mapping[str, str],
    view: Callable[[Door], HttpResponseBase],
    *,
    permission: Permission,
    back: str,
) -> HttpResponseBase:
    """Return what ``view`` answers, given the door that ``exotel_door`` in ``values`` names.

    A user who is not logged in is sent to that door's login page, and from there to ``back``. Raises
    ``PermissionDenied`` without ``permission`` or without access to the door, ``Http404`` when there is no such door.
    """
    door = find_door(values.get("exotel_door", ""))
    if not request.user.is_authenticated:
        login = door.login_url(back if is_of_this_host(request, back) else "") if door is not None else ""
        if login:
            return HttpResponseRedirect(login)
        raise PermissionDenied
    if not permission.granted_to(request.user):
        raise PermissionDenied
    if door is None:
        raise Http404
    if not door.admits(request):
        raise PermissionDenied
    return door.guard(lambda _request: view(door))(request)


def is_of_this_host(request: HttpRequest, url: str) -> bool:
    """Return whether ``url`` leads to a page of this host."""
    return url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=request.is_secure())
