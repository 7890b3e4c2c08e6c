"""Agents and their devices, from the users of the account (docs/exotel.md 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _

from django_exotel_ccm.exotel.directory import ExotelUser, UserListing
from django_exotel_ccm.models import Agent
from django_exotel_ccm.models.agent import normalise_contact_uri
from django_exotel_ccm.services.synchronisation.devices import DeviceChanges, compare_devices, store_devices
from django_exotel_ccm.services.synchronisation.matching import Match, match_users
from django_exotel_ccm.services.synchronisation.runs import Change, RunOptions, SyncReport, SyncRun
from django_exotel_ccm.services.transactions import run_durably

COMPARED = ("exotel_user_id", "name", "exotel_email", "user", "linked_user_key", "is_active", "left_exotel_at")
LONGEST_NAME = 150  # the column's
SHOWN = {"name": "name", "exotel_email": "e-mail", "user": "user"}


def sync_agents(account: str, options: RunOptions | None = None) -> SyncReport:
    """Bring the agents of an account and their devices in step with its users; return what was done.

    Agents are matched by Exotel's id, then by their user (``AGENT_MATCH``) or a contact URI if they have no id yet.
    Raises :class:`SyncedInsideTransaction`, and ``ImproperlyConfigured`` for an account or an ``AGENT_MATCH`` that
    cannot be used. What Exotel refuses is in the report.
    """
    return AgentRun(account, options or RunOptions()).run()


class AgentRun(SyncRun[ExotelUser]):
    """One run over the users of an account."""

    model = Agent
    listing_class = UserListing
    in_exotel = Q(exotel_user_id__isnull=False)  # an administrator may have cleared the id

    def __init__(self, account: str, options: RunOptions) -> None:
        super().__init__(account, options)
        self._holders: dict[Any, str] = {}
        """The user's key -> the name of the agent who has the user since this run began."""
        self._waiting: dict[int, Any] = {}
        """The agent's key -> the user whom another agent has, who may leave."""

    def describe_empty(self) -> str:
        """Return the sentence that Exotel listed nobody."""
        return _("Exotel listed no agents, so nothing was changed. Check the account and its region.")

    def store_page(self, rows: Sequence[ExotelUser]) -> tuple[list[Change], set[int]]:
        """Match the users of a page, then store them as agents in one transaction."""
        matches = match_users(rows)
        page = partial(_AgentPage, self, rows, matches)
        done = page().plan() if self.options.dry_run else run_durably(lambda: page().plan().store(), using=self.using)
        self._holders |= done.holders
        self._waiting |= done.waiting
        self.report.notes += done.notes
        return done.changes, done.keys

    def keys_of(self, rows: Sequence[ExotelUser]) -> set[int]:
        """Return the keys of the agents who have the ids of these users."""
        agents = Agent.objects.using(self.using).filter(account=self.account)
        return set(agents.filter(exotel_user_id__in=[user.id for user in rows]).values_list("pk", flat=True))

    def is_taken(self, agent: Agent) -> bool:
        """Return True if the agent stands for another co-worker of this run."""
        return agent.pk in self._seen

    def holder_of(self, user: Any) -> str | None:
        """Return the name of the agent of this run who has the user; for a dry run, which stores nobody."""
        return self._holders.get(user.pk)

    def finish(self) -> None:
        """Give a user to the new agent of a co-worker who was removed from Exotel and invited again."""
        agents = Agent.objects.using(self.using)
        for pk, user in self._waiting.items():
            left = agents.filter(account=self.account, user_id=user.pk, left_exotel_at__isnull=False)
            if self.options.dry_run or not left.exists():
                continue
            run_durably(partial(self._hand_over, pk, user), using=self.using)

    def _hand_over(self, pk: int, user: Any) -> None:
        agents = Agent.objects.using(self.using).filter(account=self.account)
        agents.filter(user_id=user.pk, left_exotel_at__isnull=False).update(user=None, linked_user_key="")
        agents.filter(pk=pk, user=None).update(user=user, linked_user_key=str(user.pk))


class _AgentPage:
    """One page of users: first what it changes, then the statements. Made anew for each attempt to store it."""

    def __init__(self, run: AgentRun, users: Sequence[ExotelUser], matches: dict[str, Match]) -> None:
        self._run = run
        self._users = users
        self._matches = matches
        self.changes: list[Change] = []
        self.notes: list[str] = [match.note for match in matches.values() if match.note]
        self.holders: dict[Any, str] = {}
        self.waiting: dict[int, Any] = {}
        self._agents: dict[str, Agent] = {}
        self._new: dict[str, Agent] = {}
        self._before: dict[str, dict[str, Any]] = {}
        self._waiting_for: dict[str, Any] = {}

    @property
    def keys(self) -> set[int]:
        """The keys of the agents on this page that are stored."""
        return {agent.pk for agent in self._agents.values() if agent.pk}

    def plan(self) -> _AgentPage:
        """Find or make the agent of each user, and set what the user says."""
        uris = {user.id: [_normal(device.contact_uri) for device in user.devices or ()] for user in self._users}
        self._find([uri for found in uris.values() for uri in found])
        for user in self._users:
            agent = self._existing(user, uris[user.id])
            if agent is None:
                agent = self._new[user.id] = Agent(account=self._run.account)
            self._before[user.id] = {name: getattr(agent, name) for name in COMPARED}
            self._agents[user.id] = agent
            agent.exotel_user_id, agent.exotel_email = user.id, user.email
            name = user.name or agent.name or user.email or next(iter(uris[user.id]), user.id)
            agent.name = name[:LONGEST_NAME].rstrip()
            agent.synced_at = self._run.started
            if agent.left_exotel_at is not None:
                agent.is_active, agent.left_exotel_at = True, None
        for user in self._users:
            self._link(user)
        self._devices = self._compare_devices(self._old)
        self._describe()
        return self

    @property
    def _old(self) -> dict[str, Agent]:
        return {user_id: agent for user_id, agent in self._agents.items() if user_id not in self._new}

    def store(self) -> _AgentPage:
        """Write what :meth:`plan` changed; called inside the transaction that the plan was made in."""
        agents = Agent.objects.using(self._run.using)
        changed = [agent for user_id, agent in self._old.items() if self._differs(user_id)]
        if changed:
            agents.bulk_update(changed, COMPARED)
        if self._old:
            seen_before = Q(synced_at__isnull=True) | Q(synced_at__lt=self._run.started)
            keys = [agent.pk for agent in self._old.values()]
            agents.filter(seen_before, pk__in=keys).update(synced_at=self._run.started)
        store_devices(self._devices, using=self._run.using)
        if self._new:
            self._insert()
        self.waiting = {self._agents[user_id].pk: user for user_id, user in self._waiting_for.items()}
        return self

    def _insert(self) -> None:
        agents = Agent.objects.using(self._run.using)
        agents.bulk_create(self._new.values())
        if not all(agent.pk for agent in self._new.values()):  # SQLite before 3.35 does not return the keys
            rows = agents.filter(account=self._run.account, exotel_user_id__in=list(self._new))
            for user_id, pk in rows.values_list("exotel_user_id", "pk"):
                self._new[str(user_id)].pk = pk
        store_devices(self._compare_devices(self._new), using=self._run.using)

    def _compare_devices(self, agents: dict[str, Agent]) -> DeviceChanges:
        found = {
            agents[user.id].pk: user.devices for user in self._users if user.id in agents and user.devices is not None
        }
        return compare_devices(found, using=self._run.using, now=self._run.started)

    def _find(self, uris: Iterable[str]) -> None:
        """Load the agents whom the page may be about, with one query."""
        users = [match.user for match in self._matches.values() if match.user is not None]
        mine = Q(exotel_user_id__in=[user.id for user in self._users])
        mine |= Q(user__in=[user.pk for user in users])
        mine |= Q(exotel_user_id=None, contact_uri__in=list(uris))
        agents = Agent.objects.using(self._run.using).filter(mine, account=self._run.account).order_by("pk")
        if not self._run.options.dry_run:
            agents = self._run.locked(agents)
        found = list(agents.prefetch_related("user"))
        self._by_id = {agent.exotel_user_id: agent for agent in found if agent.exotel_user_id}
        self._by_user = {agent.user_id: agent for agent in found if agent.user_id is not None}
        free = [agent for agent in found if not agent.exotel_user_id]
        self._free_by_user = {agent.user_id: agent for agent in free if agent.user_id is not None}
        self._free_by_uri = {agent.contact_uri: agent for agent in free if agent.contact_uri}
        # Who links somebody has to know whether the user of the last run was taken away by hand, or deleted.
        keys = {agent.linked_user_key for agent in found if agent.user_id is None and agent.linked_user_key}
        self._existing_keys = _existing_user_keys(keys)

    def _existing(self, user: ExotelUser, uris: list[str]) -> Agent | None:
        match = self._matches[user.id].user
        typed = [self._free_by_user.get(match.pk)] if match is not None else []
        typed += [self._of_phone(user, uri) for uri in uris]
        for agent in (self._by_id.get(user.id), *typed):
            is_mine = agent is not None and not any(agent is other for other in self._agents.values())
            if agent is not None and is_mine and not self._run.is_taken(agent):
                self._note_take_over(user, agent)
                return agent
        return None

    def _of_phone(self, user: ExotelUser, uri: str) -> Agent | None:
        """Return the agent who was typed with a phone of the user's, unless it is somebody else's agent here."""
        agent, match = self._free_by_uri.get(uri), self._matches[user.id].user
        if agent is None or agent.user_id is None or match is None or match.pk == agent.user_id:
            return agent
        text = _(
            "%(agent)s has a phone here that is %(name)s's in Exotel, so both were kept. Correct the phone or the user."
        )
        self.notes.append(text % {"agent": agent.name, "name": user.name or user.email})
        return None

    def _note_take_over(self, user: ExotelUser, agent: Agent) -> None:
        """Note that an agent is taken over whose user nothing but the phone says to be this co-worker."""
        if agent.exotel_user_id or agent.user_id is None or self._matches[user.id].user is not None:
            return
        text = _(
            "%(agent)s was typed here with a phone of %(name)s's in Exotel, and is %(name)s now. The user %(user)s "
            "stays: if that is another person, choose the right one."
        )
        words = {"agent": agent.name, "name": user.name or user.email or user.id, "user": agent.user}
        self.notes.append(text % words)

    def _link(self, user: ExotelUser) -> None:
        """Give the agent the user of ``AGENT_MATCH``, unless a person chose or took away the user here."""
        agent, match = self._agents[user.id], self._matches[user.id].user
        current = "" if agent.user_id is None else str(agent.user_id)
        was_deleted = not current and agent.linked_user_key not in self._existing_keys
        if match is None or agent.user_id == match.pk or not (current == agent.linked_user_key or was_deleted):
            return
        holder = self._by_user.get(match.pk)
        name = str(holder) if holder is not None and holder is not agent else self._run.holder_of(match)
        if name is not None:
            text = _("%(name)s would have the same user as %(other)s, so the user stays with %(other)s.")
            self.notes.append(text % {"name": agent.name, "other": name})
            self._waiting_for[user.id] = match
            return
        agent.user, agent.linked_user_key = match, str(match.pk)
        self._by_user[match.pk] = agent
        self.holders[match.pk] = agent.name

    def _differs(self, user_id: str) -> bool:
        agent = self._agents[user_id]
        return any(getattr(agent, name) != value for name, value in self._before[user_id].items())

    def _describe(self) -> None:
        for user in self._users:
            agent, before = self._agents[user.id], self._before[user.id]
            linked = "no user" if agent.user is None else f"user {agent.user}"
            devices = self._devices.details.get(agent.pk, "")
            if user.id in self._new:
                self.changes.append(Change("added", agent.name, linked))
            elif before["left_exotel_at"] is not None:
                self.changes.append(Change("reactivated", agent.name, linked))
            elif self._differs(user.id) or devices:
                details = ", ".join(filter(None, [self._details(agent, before), devices]))
                self.changes.append(Change("changed", agent.name, details or "taken over"))

    def _details(self, agent: Agent, before: dict[str, Any]) -> str:
        changed = [name for name in SHOWN if getattr(agent, name) != before[name]]
        return ", ".join(f"{SHOWN[name]} {getattr(agent, name)}" for name in changed)


def _normal(contact_uri: str) -> str:
    """Return a contact URI as we store it; one that cannot be read as Exotel wrote it."""
    try:
        return normalise_contact_uri(contact_uri)
    except ValidationError:
        return contact_uri


def _existing_user_keys(keys: set[str]) -> set[str]:
    """Return those of the keys, which are texts, that a user has."""
    model = get_user_model()
    if not keys:
        return set()
    return {str(pk) for pk in model._base_manager.filter(pk__in=keys).values_list("pk", flat=True)}
