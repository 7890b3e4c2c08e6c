"""Agents, ExoPhones and permissions: whether somebody can press the button, and with which number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_backends, get_user_model
from django.contrib.auth.models import Permission as PermissionRow
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _

from django_exotel_ccm import conf
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.diagnosis.finding import Finding, Run, ok
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exophone_choice import first_choice
from django_exotel_ccm.masking import mask
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services.groups import agents_group_may_call

MOST_AGENTS = 200
MOST_ASKED = 50  # agents whose users' permissions are asked: each costs two queries
MOST_NAMED = 5
PERMISSION_METHODS = (
    "has_perm",
    "get_all_permissions",
    "get_group_permissions",
    "get_user_permissions",
    "_get_permissions",
)
NEEDED = (Permission.PLACE_CALL, Permission.VIEW_CALL, Permission.ADD_NOTE, Permission.LISTEN)


def check_agents(run: Run) -> Iterator[Finding]:
    """Find out whether there are active agents, with a phone each, and with users who press for them."""
    active = Agent.objects.active()
    agents = list(active.select_related("user").order_by("pk")[:MOST_AGENTS])
    if not agents:
        yield _nobody()
        return
    without = [agent for agent in agents if not has_phone(agent)]
    linked = active.filter(user__isnull=False)
    run.linked = list(linked.select_related("user").order_by("pk")[:MOST_ASKED])
    if without:
        yield Finding(
            name="agents",
            message=_("These agents have no phone that can be called: %(names)s.") % {"names": names_of(without)},
            why=_("Exotel does not know whom to ring, so their calls are refused."),
            fix=_("In the admin click Exotel calls > Agents > the agent, and enter a phone."),
        )
    if not run.linked and not conf.get_settings().agent_for_user:
        yield Finding(
            name="agents",
            message=_("No agent is linked to a user: %(names)s.") % {"names": names_of(agents)},
            why=_("Whoever presses the button is told that they have no phone."),
            fix=_(
                "Give users the e-mail addresses that the agents have in Exotel, and type: python manage.py "
                "exotel_sync --agents. Or in the admin click Exotel calls > Agents > the agent, and choose the user."
            ),
        )
    elif not without:
        yield _count_of(active.count(), linked.count())
    yield from _pressing(run.linked)


def _nobody() -> Finding:
    # exotel_sync brings back only those whom it has deactivated itself.
    by_hand = list(Agent.objects.filter(is_active=False, left_exotel_at=None).order_by("pk")[: MOST_NAMED + 1])
    fix = _(
        "Type: python manage.py exotel_sync --agents. "
        "Or in the admin click Exotel calls > Agents > Fetch agents from Exotel."
    )
    if by_hand:
        fix = _("In the admin click Exotel calls > Agents > %(names)s, and tick “active”.") % {
            "names": names_of(by_hand)
        }
    return Finding(
        name="agents",
        message=_("There is no active agent."),
        why=_("An agent's phone rings first, so nobody can call."),
        fix=fix,
    )


def _count_of(count: int, linked: int) -> Finding:
    words = [_("Active agents: %(count)s, linked to users: %(linked)s.")]
    words += [_("Phones were looked at for the first %(phones)s.")] * (count > MOST_AGENTS)
    words += [_("Permissions were looked at for the first %(users)s.")] * (linked > MOST_ASKED)
    names = {"count": count, "linked": linked, "phones": MOST_AGENTS, "users": MOST_ASKED}
    return ok(name="agents", message=" ".join(words) % names)


def has_phone(agent: Agent) -> bool:
    """Return whether the agent has a phone, or a user of Exotel, that can be called."""
    try:
        agent.device()
    except ValidationError:
        return False
    return agent.has_device


def names_of(found: list[Agent]) -> str:
    """Return the first names of some agents."""
    named = ", ".join(mask(str(one)) for one in found[:MOST_NAMED])
    return _("%(names)s and others") % {"names": named} if len(found) > MOST_NAMED else named


def _pressing(linked: list[Agent]) -> Iterator[Finding]:
    idle = [agent for agent in linked if not Permission.PLACE_CALL.granted_to(agent.user)]
    locked_out = [agent for agent in idle if agent.user is not None and not agent.user.is_active]
    idle = [agent for agent in idle if agent not in locked_out]
    if idle:
        yield Finding(
            name="agents",
            message=_("Agents whose users may not place calls: %(names)s.") % {"names": names_of(idle)},
            why=_("They see no button."),
            fix=(
                _("In the admin click Users > the user, and add the group “Call agents” or %(name)s.")
                if agents_group_may_call()
                else _(
                    "Type: python manage.py exotel_setup. If they still may not, click Users > the user in the admin, "
                    "and add %(name)s."
                )
            )
            % {"name": Permission.PLACE_CALL},
        )
    if locked_out:
        yield Finding(
            name="agents",
            message=_("Active agents whose users cannot log in: %(names)s.") % {"names": names_of(locked_out)},
            why=_("Colleagues who may call for others are offered their phones."),
            fix=_(
                "In the admin click Exotel calls > Agents > the agent, and take the tick from “active”. If they still "
                "work here, click Users > the user instead, and tick “active”."
            ),
        )


def check_exophones(run: Run) -> Iterator[Finding]:
    """Find out whether each account with agents has an ExoPhone that its calls can be placed from."""
    accounts = set(run.accounts) | set(Agent.objects.active().values_list("account", flat=True).distinct())
    for alias in sorted(accounts):
        yield _exophones_of(run, alias)


def _exophones_of(run: Run, alias: str) -> Finding:
    active = ExoPhone.objects.filter(account=alias, is_active=True)
    phones = list(active.order_by("pk")[:MOST_AGENTS])
    names = {"account": run.of(alias), "count": active.count()}
    if not phones:
        return Finding(
            name="exophones",
            message=_("There is no active ExoPhone%(account)s.") % names,
            why=_("Customers see an ExoPhone as caller id; without one every call is refused."),
            fix=_activate_exophones(alias),
        )
    unreadable = [phone for phone in phones if not _is_number(phone.number)]
    if unreadable:
        return Finding(
            name="exophones",
            message=_("ExoPhones whose number is not one valid phone number%(account)s: %(count)s.")
            % {**names, "count": len(unreadable)},
            why=_("Calls from them are refused."),
            fix=_("In the admin click Exotel calls > ExoPhones > the ExoPhone, and correct its number."),
        )
    if ExoPhone.objects.default_of(alias) is None and _lacks_exophone(alias):
        return Finding(
            name="exophones",
            message=_("No active ExoPhone is the default%(account)s, and some agents have none of their own.") % names,
            why=_("Their calls are refused."),
            fix=_("In the admin click Exotel calls > ExoPhones > the ExoPhone, and tick “default”."),
        )
    return ok(name="exophones", message=_("Active ExoPhones%(account)s: %(count)s.") % names)


def _activate_exophones(alias: str) -> str:
    # exotel_sync brings back only those that it has deactivated itself.
    by_hand = ExoPhone.objects.filter(account=alias, is_active=False, left_exotel_at=None).order_by("pk")[:MOST_NAMED]
    if by_hand:
        names = {"names": ", ".join(phone.number for phone in by_hand)}
        return _("In the admin click Exotel calls > ExoPhones > %(names)s, and tick “active”.") % names
    return _(
        "Type: python manage.py exotel_sync --exophones. "
        "Or in the admin click Exotel calls > ExoPhones > Fetch ExoPhones from Exotel."
    )


def _lacks_exophone(alias: str) -> bool:
    """Return whether an agent would call without an ExoPhone. Where the host's own code chooses, nobody can say."""
    if not set(conf.get_settings().exophone_choice) <= set(conf.EXOPHONE_CHOICE):
        return False
    agents = Agent.objects.active().filter(account=alias).filter(Q(exophone=None) | Q(exophone__is_active=False))
    needing = agents.select_related("user").order_by("pk")[:MOST_ASKED]
    return any(first_choice(CallRecord(account=alias, agent=agent))[0] is None for agent in needing)


def _is_number(text: str) -> bool:
    try:
        parse_number(text)
    except InvalidNumber:
        return False
    return True


def check_permissions(run: Run) -> Iterator[Finding]:
    """Find permissions that the pages ask for and that nobody has; name the users of agents who lack one."""
    lacking = {
        one: [agent for agent in run.linked if not one.granted_to(agent.user)]
        for one in NEEDED
        if one != Permission.PLACE_CALL  # looked at with the agents
    }
    words = [
        _("%(permission)s is not given to the users of these agents: %(names)s.")
        % {"permission": permission, "names": names_of(agents)}
        for permission, agents in lacking.items()
        if agents
    ]
    users: Any = get_user_model()
    if not issubclass(users, PermissionsMixin) or any(map(_decides_itself, get_backends())):
        yield ok(name="permissions", message=" ".join([_("Your own code decides who has which permission."), *words]))
        return
    rows: Any = users._default_manager
    if any(field.name == "is_active" for field in users._meta.fields):
        rows = rows.filter(is_active=True)
    others = rows.filter(is_superuser=False)
    # Of agents who may not call, that was said already.
    needed = [one for one in NEEDED if one != Permission.PLACE_CALL or not run.linked]
    missing = [one for one in needed if not _is_granted(others, one) and not _have(run.linked, one)]
    # Where superusers alone log in, there is nobody to give them to.
    if not missing or (rows.exists() and not others.exists()):
        message = " ".join([_("Somebody has each permission that calls need."), *words])
        yield ok(name="permissions", message=message)
        return
    yield Finding(
        name="permissions",
        message=_("Nobody but superusers has these permissions: %(names)s.") % {"names": ", ".join(missing)},
        why=_("What they allow is refused to your agents: the button, the list of calls, notes or recordings."),
        fix=_(
            "Type: python manage.py exotel_setup. Then in the admin click Groups > “Call agents”, and add those of the "
            "permissions that it lacks; and click Users > the user of each agent, and add that group."
        ),
    )


def _have(agents: list[Agent], permission: Permission) -> bool:
    """Return whether one of the agents' users has it; a superuser who calls counts like anybody."""
    return any(permission.granted_to(agent.user) for agent in agents)


def _decides_itself(backend: Any) -> bool:
    """Return whether a host's backend may grant permissions beside those in Django's tables; most only log in."""
    own = [
        kind for kind in type(backend).__mro__ if not kind.__module__.startswith(("django.contrib.auth", "builtins"))
    ]
    return any(name in vars(kind) for kind in own for name in PERMISSION_METHODS)


def _is_granted(rows: Any, permission: Permission) -> bool:
    label, codename = permission.split(".")
    row = PermissionRow.objects.filter(content_type__app_label=label, codename=codename)
    return bool(rows.filter(Q(user_permissions__in=row) | Q(groups__permissions__in=row)).exists())
