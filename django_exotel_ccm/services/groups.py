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
    CALL_SUPERVISORS: (*OF_AGENTS, Permission.VIEW_REPORTS, Permission.VIEW_ALL_CALLS, Permission.VIEW_NUMBER),
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


def users_of_agents() -> set[Any]:
    """Return the keys of the users of active agents."""
    return set(Agent.objects.active().exclude(user=None).values_list("user", flat=True))


def nobody_may_call(keys: Collection[Any]) -> bool:
    """Return whether none of the users with these keys may place calls, although there are some.

    Superusers do not count: they may do anything, whatever was set up.
    """
    users = [user for user in _users(keys) if not getattr(user, "is_superuser", False)]
    return bool(users) and not any(Permission.PLACE_CALL.granted_to(user) for user in users)


def complete_agents_group() -> bool:
    """Give the group of agents its permissions if its members may not place calls; return whether they may now."""
    group = Group.objects.filter(name=CALL_AGENTS).first()
    if group is None or agents_group_may_call():
        return False
    group.permissions.add(*map(_row_of, PERMISSIONS[CALL_AGENTS]))
    return True


def agents_group_may_call() -> bool:
    """Return whether there is a group of agents whose members may place calls."""
    label, codename = Permission.PLACE_CALL.split(".")
    rows = PermissionRow.objects.filter(content_type__app_label=label, codename=codename)
    return Group.objects.filter(name=CALL_AGENTS, permissions__in=rows).exists()


def add_to_agents(keys: Collection[Any]) -> list[Any]:
    """Add those of the users with these keys who may not place calls to the group of agents; return them.

    Does nothing where the project's users have no groups, or the group is not there or may not place calls itself.
    """
    group = Group.objects.filter(name=CALL_AGENTS).first()
    if group is None or not issubclass(get_user_model(), PermissionsMixin) or not agents_group_may_call():
        return []
    found = [user for user in _users(keys) if not Permission.PLACE_CALL.granted_to(user)]
    group.user_set.add(*found)
    return found


def _users(keys: Collection[Any]) -> list[Any]:
    """Return those of the users with these keys who can log in."""
    users: Any = get_user_model()
    return [
        user for user in users._default_manager.filter(pk__in=keys).order_by("pk") if getattr(user, "is_active", True)
    ]
