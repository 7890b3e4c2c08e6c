""" "Fetch from Exotel" in the admin, and whose phone it is, chosen in the list of agents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.models import Agent, ExoPhone
from django_exotel_ccm.services import sync_agents
from django_exotel_ccm.simulator import Simulator
from tests.admin.pages import Page, Session

FETCH = {"agent": "exotel-fetch-form", "exophone": "exotel-fetch-form"}
FETCHERS = ("exotel_ccm.view_agent", "exotel_ccm.add_agent", "exotel_ccm.change_agent")


@pytest.fixture
def exotel(exotel_simulator: Simulator, transactional_db: None) -> Simulator:
    """A simulated Exotel with its usual four agents and two ExoPhones."""
    return exotel_simulator


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("root", is_superuser=True, agent=None))


def press_fetch(session: Session, model: str = "agent") -> Page:
    form = session.changelist(model=f"exotel_ccm_{model}").of_id("exotel-fetch-form")
    return session.post(form.attributes["action"], form.data)


class TestButton:
    def test_agents(self, session: Session, exotel: Simulator, host: Any) -> None:
        host.user("asha", agent=None)

        page = press_fetch(session)

        assert session.where == "/admin/exotel_ccm/agent/"
        assert Agent.objects.count() == 4
        assert (
            "Fetched from Exotel: 4 added, 0 changed, 0 activated again, 0 deactivated, 0 as before." in page.messages
        )
        assert "3 active agents have no user, so nobody calls as them. Choose one each in the list." in page.messages
        assert "asha@example.com" in page.text

    def test_exophones(self, session: Session, exotel: Simulator) -> None:
        page = press_fetch(session, "exophone")

        assert ExoPhone.objects.count() == 2
        assert "1 added, 0 changed, 0 activated again, 0 deactivated, 1 as before." in page.messages

    def test_works_under_atomic_requests(
        self, session: Session, exotel: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

        press_fetch(session)

        assert Agent.objects.count() == 4

    def test_incomplete_run_says_why(self, session: Session, exotel: Simulator) -> None:
        press_fetch(session)
        exotel.options.users_refuse_with = 1010

        page = press_fetch(session)

        assert "Not complete, so nobody was deactivated. Authentication failed" in page.messages
        assert Agent.objects.filter(is_active=True).count() == 4

    def test_many_notes_are_shortened(self, session: Session, exotel: Simulator) -> None:
        for number in range(13):
            exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}", email="asha@example.com")
        session.user.email = "asha@example.com"
        session.user.save()

        page = press_fetch(session)

        assert page.messages.count("would have the same user as Asha") == 10
        assert "And 3 more of this kind." in page.messages

    def test_hang_ends_soon(self, session: Session, exotel: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("django_exotel_ccm.admin.fetch.TIME_LIMIT", 0.5)
        exotel.options.users_fault = "hang"

        page = press_fetch(session)

        assert "Not complete" in page.messages

    def test_no_account(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("EXOTEL_URL", raising=False)

        page = press_fetch(session)

        assert "No Exotel account is configured. Set EXOTEL_API_KEY" in page.messages

    def test_permissions(self, host: Any, exotel: Simulator) -> None:
        for missing in FETCHERS[1:]:
            session = Session(host.user(missing[-9:], *[one for one in FETCHERS if one != missing], agent=None))
            page = session.changelist(model="exotel_ccm_agent")
            assert "Fetch agents from Exotel" not in page.text
            token = {"csrfmiddlewaretoken": page.forms[0].data["csrfmiddlewaretoken"]}
            session.post("/admin/exotel_ccm/agent/fetch/", token)
            assert session.response.status_code == 403
        assert not Agent.objects.exists()

    def test_get_changes_nothing(self, session: Session, exotel: Simulator) -> None:
        page = session.get("/admin/exotel_ccm/agent/fetch/")

        assert session.where == "/admin/exotel_ccm/agent/"
        assert "Nothing was done. Press again." in page.messages
        assert not exotel.book.requests


class TestUsersInTheList:
    def save(self, session: Session, agents: list[Agent], **users: str) -> Page:
        form = session.changelist(model="exotel_ccm_agent").of_id("changelist-form")
        chosen = {
            f"form-{index}-user": users.get(agent.name, str(agent.user_id or "")) for index, agent in enumerate(agents)
        }
        return session.post("/admin/exotel_ccm/agent/", form.data | chosen | {"_save": "Save"})

    def test_chosen_user_stays(self, session: Session, exotel: Simulator, host: Any) -> None:
        asha, boss = host.user("asha", agent=None), host.user("boss", agent=None)
        sync_agents("default")
        agents = list(Agent.objects.order_by("name", "pk"))

        page = self.save(session, agents, Asha=str(boss.pk))

        assert "1 agent was changed successfully." in page.messages
        sync_agents("default")
        assert Agent.objects.get(name="Asha").user == boss
        self.save(session, list(Agent.objects.order_by("name", "pk")), Asha="")
        sync_agents("default")
        assert Agent.objects.get(name="Asha").user is None
        self.save(session, list(Agent.objects.order_by("name", "pk")), Vik=str(asha.pk))
        assert Agent.objects.get(name="Vik").user == asha

    def test_user_of_another_agent_is_refused(self, session: Session, exotel: Simulator, host: Any) -> None:
        host.user("asha", agent=None)
        sync_agents("default")
        agents = list(Agent.objects.order_by("name", "pk"))

        page = self.save(session, agents, Vik=str(Agent.objects.get(name="Asha").user_id))

        assert "This user is the agent Asha already. Take the user away there first." in page.text
        assert Agent.objects.get(name="Vik").user is None

    def test_user_chosen_twice_is_refused(self, session: Session, exotel: Simulator, host: Any) -> None:
        boss = host.user("boss", agent=None)
        sync_agents("default")

        page = self.save(session, list(Agent.objects.order_by("name", "pk")), Vik=str(boss.pk), Ola=str(boss.pk))

        assert "This user is chosen for two agents." in page.text
        assert not Agent.objects.filter(user=boss).exists()

    def test_agent_that_no_form_would_save(self, session: Session, host: Any) -> None:
        agent = host.agent("Asha", None)
        Agent.objects.update(contact_uri="nonsense", is_active=True)

        self.save(session, [agent], Asha=str(session.user.pk))

        agent.refresh_from_db()
        assert (agent.user, agent.contact_uri) == (session.user, "nonsense")

    def test_filter(self, session: Session, exotel: Simulator, host: Any) -> None:
        host.user("asha", agent=None)
        sync_agents("default")

        without = session.changelist("?linked=no", "exotel_ccm_agent").links
        with_user = session.changelist("?linked=yes", "exotel_ccm_agent").links

        assert ("Vik" in without, "Asha" in without) == (True, False)
        assert ("Vik" in with_user, "Asha" in with_user) == (False, True)

    def test_statements_do_not_grow_with_the_list(self, session: Session, host: Any) -> None:
        counts = []
        for upto in (2, 30):
            for number in range(Agent.objects.count(), upto):
                host.user(f"user{number}", agent=f"sip:agent{number}")
            with CaptureQueriesContext(connection) as queries:
                session.changelist(model="exotel_ccm_agent")
            agents = list(Agent.objects.order_by("name", "pk"))
            form = session.changelist(model="exotel_ccm_agent").of_id("changelist-form")
            chosen = {f"form-{index}-user": str(agent.user_id) for index, agent in enumerate(agents)}
            with CaptureQueriesContext(connection) as saving:
                session.client.post("/admin/exotel_ccm/agent/", form.data | chosen | {"_save": "Save"})
            counts.append((len(queries), len(saving)))
        assert counts[0][0] == counts[1][0]
        assert counts[1][1] - counts[0][1] <= 28  # Django itself looks up each row's key

    def test_site_without_searchable_users(self, session: Session, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from django.contrib.auth.admin import UserAdmin

        monkeypatch.setattr(UserAdmin, "search_fields", ())
        host.user("asha")

        page = session.changelist(model="exotel_ccm_agent")

        assert "asha" in page.text
        assert '<select name="form-0-user"' not in page.html


@pytest.fixture(params=["list", "form"])
def choose_user(request: pytest.FixtureRequest, session: Session) -> Callable[[Agent, str], None]:
    """Save another user of an agent in the list of agents, or on the agent's own page; "" takes the user away."""

    def in_list(agent: Agent, user: str) -> None:
        form = session.changelist(model="exotel_ccm_agent").of_id("changelist-form")
        agents = enumerate(Agent.objects.order_by("name", "pk"))
        users = {f"form-{place}-user": user if one == agent else str(one.user_id or "") for place, one in agents}
        page = session.post("/admin/exotel_ccm/agent/", form.data | users | {"_save": "Save"})
        assert "1 agent was changed successfully." in page.messages

    def on_form(agent: Agent, user: str) -> None:
        url = f"/admin/exotel_ccm/agent/{agent.pk}/change/"
        form = session.get(url).of_id("agent_form").data
        page = session.post(url, form | {"account": "default", "is_active": "on", "user": user})
        assert "was changed successfully" in page.messages

    return in_list if request.param == "list" else on_form


def match(user: Any, other: Any) -> None:
    """Let the e-mail address of one user be the other's."""
    user.email, other.email = other.email, user.email
    user.save()
    other.save()


class TestChoiceOfUser:
    """Runs leave alone what a person chose, whatever AGENT_MATCH says before or afterwards."""

    def test_user_taken_away_stays_away(
        self, exotel: Simulator, host: Any, choose_user: Callable[[Agent, str], None]
    ) -> None:
        """The agent was typed by hand, so that no run has linked the user."""
        agent = host.agent("Asha", "+919000000101", user=host.user("asha", agent=None))
        sync_agents("default")
        agent.refresh_from_db()
        assert agent.user is not None
        assert agent.exotel_user_id

        choose_user(agent, "")
        for _run in range(2):
            sync_agents("default")

        agent.refresh_from_db()
        assert agent.user is None

    def test_chosen_user_stays_when_the_match_changes(
        self, exotel: Simulator, host: Any, choose_user: Callable[[Agent, str], None]
    ) -> None:
        """Chosen was the same one whom the runs found."""
        asha, boss = host.user("asha", agent=None), host.user("boss", agent=None)
        sync_agents("default")
        agent = Agent.objects.get(name="Asha")
        assert agent.user == asha
        choose_user(agent, str(boss.pk))
        choose_user(agent, str(asha.pk))
        sync_agents("default")

        match(boss, asha)
        sync_agents("default")

        agent.refresh_from_db()
        assert agent.user == asha

    def test_saving_other_fields_is_no_choice(self, session: Session, exotel: Simulator, host: Any) -> None:
        asha, boss = host.user("asha", agent=None), host.user("boss", agent=None)
        sync_agents("default")
        agent = Agent.objects.get(name="Asha")
        url = f"/admin/exotel_ccm/agent/{agent.pk}/change/"
        form = session.get(url).of_id("agent_form").data
        session.post(url, form | {"account": "default", "user": str(asha.pk), "contact_uri": "+919000000199"})

        match(boss, asha)
        sync_agents("default")

        agent.refresh_from_db()
        assert (agent.user, agent.contact_uri) == (boss, "+919000000199")


def test_form_shows_what_exotel_knows(session: Session, exotel: Simulator) -> None:
    sync_agents("default")
    agent = Agent.objects.get(name="Asha")

    page = session.get(f"/admin/exotel_ccm/agent/{agent.pk}/change/")

    assert "asha@example.com" in page.text
    assert "Last seen in Exotel" in page.text
    assert "phone +919000000101" in page.text
    form = page.of_id("agent_form").data | {"account": "default", "is_active": "on", "name": "Asha R."}
    assert "was changed successfully" in session.post(f"/admin/exotel_ccm/agent/{agent.pk}/change/", form).messages
    assert list(agent.devices.values_list("contact_uri", "is_on")) == [("+919000000101", True)]


def test_device_needs_no_permission_of_its_own(host: Any, exotel: Simulator) -> None:
    sync_agents("default")
    session = Session(host.user("lead", "exotel_ccm.view_agent", agent=None))

    page = session.get(f"/admin/exotel_ccm/agent/{Agent.objects.get(name='Asha').pk}/change/")

    assert "phone +919000000101" in page.text


def test_agent_switched_by_hand_has_not_left(session: Session, exotel: Simulator) -> None:
    sync_agents("default")
    exotel.remove_agent("+919000000101")
    sync_agents("default")
    agent = Agent.objects.get(name="Asha")
    form = session.get(f"/admin/exotel_ccm/agent/{agent.pk}/change/").of_id("agent_form")
    for is_active in ("on", ""):
        data = {**form.data, "account": "default"} | ({"is_active": "on"} if is_active else {})
        session.post(f"/admin/exotel_ccm/agent/{agent.pk}/change/", data)

    exotel.add_agent("+919000000101", user_id=agent.exotel_user_id, name="Asha")
    sync_agents("default")

    agent.refresh_from_db()
    assert (agent.is_active, agent.left_exotel_at) == (False, None)
