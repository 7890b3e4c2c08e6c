"""Groups for a team that calls: what an agent may do, and what a supervisor may do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, PermissionsMixin
from django.contrib.auth.models import Permission as PermissionRow
from django.db import router, transaction

from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import Agent

CALL_AGENTS = "Call agents"
CALL_SUPERVISORS = "Call supervisors"
OF_AGENTS = (Permission.PLACE_CALL, Permission.ADD_NOTE, Permission.VIEW_CALL, Permission.LISTEN)
PERMISSIONS: dict[str, Collection[Permission]] = {
    CALL_AGENTS: OF_AGENTS,
    CALL_SUPERVISORS: (*OF_AGENTS, Permission.VIEW_ALL_CALLS, Permission.VIEW_NUMBER),
}
"""The groups, and what each may do."""


def create_groups() -> list[str]:
    """Create the groups that are missing, with their permissions; return the names of those that were created.

    A group that exists stays as it is: an administrator may have changed it. Raises ``Permission.DoesNotExist`` of
    Django where the migrations have not been run.
    """
    created = []
    for name, permissions in PERMISSIONS.items():
        with transaction.atomic(using=router.db_for_write(Group)):
            group, is_new = Group.objects.get_or_create(name=name)
            if is_new:
                group.permissions.set([_row_of(one) for one in permissions])
                created.append(name)
    return created


def _row_of(permission: Permission) -> PermissionRow:
    label, codename = permission.split(".")
    return PermissionRow.objects.get(content_type__app_label=label, codename=codename)


def add_agents() -> list[Any]:
    """Add the users of active agents who may not place calls to the group of agents; return them.

    Does nothing where the project's users have no groups.
    """
    users: Any = get_user_model()
    if not issubclass(users, PermissionsMixin):
        return []
    keys = Agent.objects.active().exclude(user=None).values_list("user", flat=True)
    found = [
        user
        for user in users._default_manager.filter(pk__in=set(keys)).order_by("pk")
        if getattr(user, "is_active", True) and not Permission.PLACE_CALL.granted_to(user)
    ]
    Group.objects.get(name=CALL_AGENTS).user_set.add(*found)
    return found
