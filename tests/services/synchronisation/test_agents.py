"""sync_agents: who becomes an agent, whose user the agent has, who is deactivated, and when nobody is."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.exceptions import SyncedInsideTransaction
from django_exotel_ccm.models import Agent, Device
from django_exotel_ccm.services import agents_for, place_call, sync_agents, sync_exophones
from django_exotel_ccm.services.synchronisation.runs import Change, RunOptions, SyncReport
from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.api.directory import DirectoryApi

ASHA = "+919000000101"
VIK = "sip:vik4c1d77e2"
People = Callable[..., Any]


def sync(**options: Any) -> Any:
    return sync_agents("default", RunOptions(**options))


def dry_run() -> list[Change]:
    changes: list[Change] = []
    sync(dry_run=True, progress=lambda _report, found: changes.extend(found))
    return changes


def add(exotel: Simulator, name: str, uri: str, email: str | None = "", **given: Any) -> Any:
    usual = f"{name.split(maxsplit=1)[0].lower()}@example.com"
    return exotel.add_agent(uri, name=name, email=usual if email == "" else email, **given)


def states() -> dict[str, tuple[bool, bool]]:
    """Return by name: active, and left Exotel."""
    return {agent.name: (agent.is_active, agent.left_exotel_at is not None) for agent in Agent.objects.all()}


class TestNewAgents:
    def test_coworker_becomes_an_agent_with_devices(self, exotel: Simulator, person: People) -> None:
        asha = person("asha")
        truth = add(exotel, "Asha Rao", ASHA)
        exotel.add_device(truth, "sip:asha4c1d77e2")

        report = sync()

        agent = Agent.objects.get()
        assert (agent.exotel_user_id, agent.name, agent.user) == (truth.user_id, "Asha Rao", asha)
        assert (agent.account, agent.is_active, agent.contact_uri) == ("default", True, None)
        assert agent.exotel_email == "asha@example.com"
        devices = [
            (one.exotel_id, one.contact_uri, one.kind, one.is_on, one.is_verified, one.status)
            for one in agent.devices.order_by("pk")
        ]
        phone, softphone = truth.devices
        assert devices == [
            (str(phone.id), ASHA, "phone", True, True, "free"),
            (str(softphone.id), "sip:asha4c1d77e2", "sip", False, True, ""),
        ]
        assert (report.added, report.is_complete, report.problems, report.notes) == (1, True, [], [])

    def test_email_in_other_capitals(self, exotel: Simulator, person: People) -> None:
        asha = person("asha", "asha.rao@example.com")
        add(exotel, "Asha", ASHA, "Asha.RAO@Example.com")

        sync()

        assert Agent.objects.get().user == asha

    @pytest.mark.parametrize("email", [None, "somebody@example.com"])
    def test_without_a_user(self, exotel: Simulator, person: People, email: str | None) -> None:
        person("asha", "")
        add(exotel, "Asha", ASHA, email)

        sync()

        agent = Agent.objects.get()
        assert (agent.user, agent.exotel_email) == (None, email or "")

    def test_users_are_never_created(self, exotel: Simulator, django_user_model: Any) -> None:
        add(exotel, "Asha", ASHA)

        sync()

        assert not django_user_model.objects.exists()

    def test_same_email_twice(self, exotel: Simulator, person: People) -> None:
        asha = person("asha")
        add(exotel, "Asha Rao", ASHA)
        add(exotel, "Asha Second", VIK, "ASHA@example.com")

        for _run in range(2):
            report = sync()

            assert {agent.name: agent.user for agent in Agent.objects.all()} == {"Asha Rao": asha, "Asha Second": None}
            assert report.notes == [
                "Asha Second would have the same user as Asha Rao, so the user stays with Asha Rao."
            ]
            assert report.is_complete

    def test_several_users_with_one_email(self, exotel: Simulator, person: People) -> None:
        person("asha")
        person("asha2", "asha@example.com")
        add(exotel, "Asha", ASHA)

        report = sync()

        assert Agent.objects.get().user is None
        assert report.notes == ["Asha: several users have the e-mail asha@example.com, so none was linked."]

    def test_users_who_cannot_log_in_are_not_linked(self, exotel: Simulator, person: People) -> None:
        person("old", "asha@example.com", is_active=False)
        asha = person("asha")
        add(exotel, "Asha", ASHA)

        sync()

        assert Agent.objects.get().user == asha

    def test_name_is_always_something(self, exotel: Simulator) -> None:
        exotel.add_agent(ASHA, name=" ", email="asha@example.com", user_id="u1")
        exotel.add_agent(VIK, name=" ", user_id="u2")

        sync()

        assert set(Agent.objects.values_list("name", flat=True)) == {"asha@example.com", VIK}

    def test_long_names_are_cut(self, exotel: Simulator) -> None:
        add(exotel, f"{'A' * 140} {'b' * 140}", ASHA, None)
        add(exotel, f"{'C' * 149} {'d' * 10}", VIK, None)

        sync()

        assert [len(name) for name in Agent.objects.order_by("name").values_list("name", flat=True)] == [150, 149]

    def test_synced_agent_can_call(self, exotel: Simulator, person: People) -> None:
        """Exotel rings the device that is on, whichever it is."""
        truth = add(exotel, "Asha", ASHA)
        exotel.add_device(truth, VIK)
        truth.switch(truth.devices[1], "on")
        exotel.add_exophone("+918000000700")
        user = person("asha")
        sync()
        sync_exophones("default")

        [agent] = agents_for(user)
        call = place_call(agent=agent, to="+919000001001", placed_by=user)

        assert (call.state, exotel.book.calls[call.call_sid].agent.uri) == ("active", VIK)
        exotel.wait_until_quiet()

    def test_local_number_and_unknown_kind(self, exotel: Simulator) -> None:
        exotel.options.local_numbers = True
        agent = add(exotel, "Asha", ASHA)
        exotel.add_device(agent, "sip:asha4c1d77e2", kind="hologram")
        exotel.add_device(agent, "nonsense", kind="tel")

        sync()

        assert list(Device.objects.order_by("pk").values_list("contact_uri", "kind")) == [
            (ASHA, "phone"),
            ("sip:asha4c1d77e2", "sip"),
            ("nonsense", "phone"),
        ]

    def test_two_devices_on(self, exotel: Simulator) -> None:
        agent = add(exotel, "Asha", ASHA)
        exotel.add_device(agent, VIK).state = "on"

        sync()

        assert Device.objects.filter(is_on=True).count() == 2


class TestTypedAgents:
    def test_taken_over_by_contact_uri(self, exotel: Simulator, person: People) -> None:
        asha = person("asha")
        typed = Agent.objects.create(name="A.", contact_uri=ASHA)
        truth = add(exotel, "Asha Rao", ASHA)

        report = sync()

        typed.refresh_from_db()
        assert Agent.objects.count() == 1
        assert (typed.exotel_user_id, typed.name, typed.user) == (truth.user_id, "Asha Rao", asha)
        assert (report.added, report.changed) == (0, 1)

    def test_taken_over_by_user(self, exotel: Simulator, person: People) -> None:
        typed = Agent.objects.create(name="A.", contact_uri="+919000000199", user=person("asha"))
        other = Agent.objects.create(name="B.", contact_uri=ASHA)
        truth = add(exotel, "Asha Rao", ASHA)

        sync()

        typed.refresh_from_db()
        other.refresh_from_db()
        assert (typed.exotel_user_id, typed.contact_uri) == (truth.user_id, "+919000000199")
        assert (other.name, other.exotel_user_id, other.is_active) == ("B.", None, True)

    def test_taken_over_once(self, exotel: Simulator) -> None:
        typed = Agent.objects.create(name="A.", contact_uri=ASHA)
        first = add(exotel, "Asha", ASHA)
        second = add(exotel, "Ola", VIK)
        second.devices[0].contact_uri = ASHA

        sync()

        typed.refresh_from_db()
        assert typed.exotel_user_id == first.user_id
        assert Agent.objects.count() == 2

    def test_unknown_to_exotel_is_left_alone(self, exotel: Simulator) -> None:
        Agent.objects.create(name="Typed", contact_uri="+919000000199")
        Agent.objects.create(name="Typed id", exotel_user_id="nobody")
        Agent.objects.create(name="Elsewhere", contact_uri=ASHA, account="sales")
        add(exotel, "Asha", ASHA)

        sync()

        assert states() == {
            "Typed": (True, False),
            "Typed id": (True, False),
            "Elsewhere": (True, False),
            "Asha": (True, False),
        }

    def test_administrators_choice_of_user_stays(self, exotel: Simulator, person: People) -> None:
        person("asha")
        boss = person("boss")
        add(exotel, "Asha", ASHA)
        sync()

        for chosen in (boss, None):
            Agent.objects.update(user=chosen)
            sync()
            assert Agent.objects.get().user == chosen

    def test_agent_made_in_code_keeps_its_user(self, exotel: Simulator, person: People) -> None:
        person("asha")
        boss = person("boss")
        truth = add(exotel, "Asha", ASHA)
        Agent.objects.create(name="A.", exotel_user_id=truth.user_id, user=boss)

        sync()

        assert Agent.objects.get().user == boss

    def test_own_link_follows_the_match(self, exotel: Simulator, person: People) -> None:
        first, second = person("asha"), person("asha2")
        add(exotel, "Asha", ASHA)
        sync()
        first.email, second.email = "", "asha@example.com"
        first.save()
        sync()
        assert Agent.objects.get().user == first
        second.save()

        sync()

        assert Agent.objects.get().user == second

    def test_user_who_was_deleted_and_made_again(self, exotel: Simulator, person: People) -> None:
        asha = person("asha")
        add(exotel, "Asha", ASHA)
        sync()
        asha.delete()
        sync()
        again = person("asha")

        sync()

        assert Agent.objects.get().user == again


class TestWhoLeft:
    def test_deactivated_and_reactivated(self, exotel: Simulator) -> None:
        add(exotel, "Asha", ASHA, user_id="u1")
        add(exotel, "Vik", VIK)
        sync()
        exotel.remove_agent(ASHA)

        report = sync()

        assert states() == {"Asha": (False, True), "Vik": (True, False)}
        assert (report.deactivated, report.unchanged) == (1, 1)
        left_at = Agent.objects.get(name="Asha").left_exotel_at
        sync()
        assert Agent.objects.get(name="Asha").left_exotel_at == left_at
        add(exotel, "Asha", ASHA, user_id="u1")
        report = sync()
        assert states() == {"Asha": (True, False), "Vik": (True, False)}
        assert report.reactivated == 1

    @pytest.mark.parametrize(("left", "is_said"), [(2, False), (3, True), (4, True)])
    def test_most_of_the_agents_left(
        self, exotel: Simulator, caplog: pytest.LogCaptureFixture, left: int, is_said: bool
    ) -> None:
        """As with the list of another account, which may have other people."""
        for number in range(4):
            exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}")
        assert sync().notes == []
        for number in range(left):
            exotel.remove_agent(f"sip:agent{number}")
            exotel.add_agent(f"sip:other{number}")
        caplog.clear()

        would, did, again = sync(dry_run=True), sync(), sync()

        assert (did.deactivated, did.is_complete) == (left, True)
        said = [note for note in did.notes if note.startswith("Exotel lists less than half of what was here")]
        assert bool(said) is is_said
        assert all(f"{left} of 4 are missing" in note for note in said)
        assert f"Exotel does not list {left} of 4 rows of account 'default'." in caplog.text or not is_said
        assert (would.notes, again.notes) == (did.notes, [])

    def test_whom_an_administrator_deactivated_stays_so(self, exotel: Simulator) -> None:
        add(exotel, "Asha", ASHA)
        sync()
        Agent.objects.update(is_active=False)

        sync()

        assert states() == {"Asha": (False, False)}

    def test_invited_again_gets_the_user(self, exotel: Simulator, person: People) -> None:
        """Exotel cannot change an e-mail address: the co-worker is removed and invited again, with another id."""
        asha = person("asha")
        add(exotel, "Asha Old", ASHA, user_id="u1")
        sync()
        exotel.remove_agent(ASHA)
        add(exotel, "Asha New", ASHA, user_id="u2", email="asha@example.com")

        sync()

        assert {agent.name: (agent.user, agent.is_active) for agent in Agent.objects.all()} == {
            "Asha Old": (None, False),
            "Asha New": (asha, True),
        }

    def test_device_that_vanished_is_gone(self, exotel: Simulator) -> None:
        truth = add(exotel, "Asha", ASHA)
        exotel.add_device(truth, VIK)
        sync()
        del truth.devices[1]
        exotel.agent(ASHA).device = "off"

        report = sync()

        assert list(Device.objects.values_list("contact_uri", "is_on")) == [(ASHA, False)]
        assert report.changed == 1

    @pytest.mark.parametrize(
        ("option", "value", "problem"),
        [
            ("users_fault", "empty", "Exotel listed no agents, so nothing was changed."),
            ("users_fault", "wrong_total", "Exotel says that there are"),
            ("users_fault", "row_error", "an error in single rows, with code 1004"),
            ("users_refuse_with", 1010, "does not accept this system's API key"),
            ("users_refuse_with", 1003, "Exotel does not allow this"),
            ("users_refuse_with", 1007, "Ask the developers to look at the log"),
        ],
    )
    def test_doubtful_run_deactivates_nobody(self, exotel: Simulator, option: str, value: Any, problem: str) -> None:
        add(exotel, "Asha", ASHA)
        add(exotel, "Vik", VIK)
        sync()
        exotel.remove_agent(ASHA)
        setattr(exotel.options, option, value)

        report = sync()

        assert states() == {"Asha": (True, False), "Vik": (True, False)}
        assert not report.is_complete
        assert problem in " ".join(report.problems)

    @pytest.mark.parametrize("is_replaced", [False, True])
    def test_somebody_leaves_between_two_pages(self, exotel: Simulator, is_replaced: bool) -> None:
        """Then Exotel's next page skips somebody who is still there. With one more at the end, no total tells."""
        for number in range(100):
            exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}")
        sync()

        def change(report: SyncReport, changes: Sequence[Change]) -> None:
            if exotel.directory.find_agent("sip:agent3") is not None:
                exotel.remove_agent("sip:agent3")
                if is_replaced:
                    exotel.add_agent("sip:new", name="New")

        report = sync(progress=change)

        assert not Agent.objects.filter(is_active=False).exists()
        problem = "Exotel's list changed while it was read. Read it again."
        assert report.problems == ([] if is_replaced else [problem])
        assert sync().deactivated == 1
        assert states()["Agent 3"] == (False, True)
        assert Agent.objects.filter(is_active=False).count() == 1

    def test_doubt_while_the_missing_are_looked_for_again(self, exotel: Simulator) -> None:
        for number in range(60):
            exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}")
        sync()
        exotel.remove_agent("sip:agent3")

        def fail(report: SyncReport, changes: Sequence[Change]) -> None:
            if report.requests == 2:
                exotel.options.users_refuse_with = 1010

        report = sync(progress=fail)

        assert "Authentication failed" in report.problems[0]
        assert not Agent.objects.filter(is_active=False).exists()

    def test_dry_run_over_several_pages(self, exotel: Simulator) -> None:
        for number in range(60):
            exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}")
        sync()
        exotel.remove_agent("sip:agent3")

        report = sync(dry_run=True)

        assert (report.deactivated, report.unchanged, report.problems) == (1, 59, [])
        assert not Agent.objects.filter(is_active=False).exists()

    def test_incomplete_run_updates_what_it_read(self, exotel: Simulator) -> None:
        for number in range(60):
            exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}")
        exotel.options.good_pages = 1
        exotel.options.users_fault = "repeated_page"

        report = sync()

        assert Agent.objects.count() == 50
        assert not report.is_complete

    def test_page_in_two_halves(self, exotel: Simulator) -> None:
        for number in range(60):
            exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}")
        exotel.options.users_fault = "half_pages"

        report = sync()

        assert (Agent.objects.count(), report.is_complete) == (60, True)

    def test_answer_without_devices_deletes_none(self, exotel: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        add(exotel, "Asha", ASHA)
        sync()
        user = DirectoryApi._user
        monkeypatch.setattr(DirectoryApi, "_user", lambda self, agent, **given: user(self, agent, with_devices=False))

        assert sync().is_complete

        assert Device.objects.count() == 1


class TestAgentMatch:
    def test_callable_of_the_host(self, exotel: Simulator, person: People, settings: Any) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "AGENT_MATCH": f"{__name__}.by_name"}
        asha = person("asha", "")
        add(exotel, "Asha Rao", ASHA, "other@example.com")
        add(exotel, "Nobody", VIK)

        report = sync()

        assert {agent.name: agent.user for agent in Agent.objects.all()} == {"Asha Rao": asha, "Nobody": None}
        assert report.notes == []

    @pytest.mark.parametrize("name", ["raises", "returns_text", "returns_unsaved"])
    def test_callable_that_fails(
        self, exotel: Simulator, settings: Any, caplog: pytest.LogCaptureFixture, name: str
    ) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "AGENT_MATCH": f"{__name__}.{name}"}
        add(exotel, "Asha Rao", ASHA)

        report = sync()

        assert Agent.objects.get().user is None
        assert report.notes == ["Asha Rao: AGENT_MATCH failed, see the log."]
        assert "AGENT_MATCH failed for the Exotel user" in caplog.text


def by_name(exotel_user: Any) -> Any:
    from django.contrib.auth.models import User

    return User.objects.filter(username=exotel_user.first_name.lower()).first()


def raises(exotel_user: Any) -> Any:
    raise RuntimeError("no directory")


def returns_unsaved(exotel_user: Any) -> Any:
    from django.contrib.auth.models import User

    return User(username=exotel_user.first_name)


def returns_text(exotel_user: Any) -> Any:
    return "asha"


class TestDryRun:
    def test_shows_the_difference_and_changes_nothing(self, exotel: Simulator, person: People) -> None:
        person("asha")
        truth = add(exotel, "Asha Rao", ASHA)
        add(exotel, "Vik", VIK)
        assert dry_run() == [Change("added", "Asha Rao", "user asha"), Change("added", "Vik", "no user")]
        assert not Agent.objects.exists()
        sync()
        before = list(Agent.objects.order_by("pk").values()), list(Device.objects.order_by("pk").values())
        assert dry_run() == []
        truth.name, truth.device = "Asha Rao-Iyer", "off"
        exotel.remove_agent(VIK)

        assert dry_run() == [
            Change("changed", "Asha Rao-Iyer", f"name Asha Rao-Iyer, {ASHA} off"),
            Change("deactivated", "Vik"),
        ]
        assert (list(Agent.objects.order_by("pk").values()), list(Device.objects.order_by("pk").values())) == before

    def test_same_email_on_two_pages(self, exotel: Simulator, person: People) -> None:
        person("asha")
        add(exotel, "Asha Rao", ASHA)
        for number in range(50):
            exotel.add_agent(f"sip:agent{number}")
        add(exotel, "Asha Second", VIK, "asha@example.com")

        report = sync(dry_run=True)

        assert len(report.notes) == 1
        assert sync().notes == report.notes


class TestRepeated:
    def test_second_run_changes_nothing_but_the_time(self, exotel: Simulator, person: People) -> None:
        person("asha")
        add(exotel, "Asha", ASHA)
        sync()
        before = Agent.objects.values().get()

        report = sync()

        after = Agent.objects.values().get()
        assert after.pop("synced_at") > before.pop("synced_at")
        assert after == before
        assert (report.unchanged, report.added, report.changed) == (1, 0, 0)

    def test_clock_of_another_machine_does_no_harm(self, exotel: Simulator) -> None:
        add(exotel, "Asha", ASHA)
        sync()
        ahead = timezone.now() + datetime.timedelta(hours=1)
        Agent.objects.update(synced_at=ahead)

        sync()

        assert Agent.objects.get().synced_at == ahead
        exotel.remove_agent(ASHA)
        add(exotel, "Vik", VIK)
        sync()
        assert states()["Asha"] == (True, False)

    def test_statements_of_a_page_are_bounded(self, exotel: Simulator, person: People) -> None:
        counts = []
        for upto in (3, 45):
            for number in range(len(exotel.directory.agents), upto):
                person(f"p{number}")
                agent = exotel.add_agent(f"sip:agent{number}", name=f"P {number}", email=f"p{number}@example.com")
                exotel.add_device(agent, f"+9190000{number:05}")
            for _again in range(2):
                with CaptureQueriesContext(
                    connection,
                ) as queries:
                    sync()
                counts.append(len(queries))
        assert max(counts) <= 26, counts
        assert counts[3] == counts[1]


def test_refused_inside_a_transaction(exotel: Simulator) -> None:
    with transaction.atomic(), pytest.raises(SyncedInsideTransaction, match="on_commit"):
        sync_agents("default")
    assert exotel.book.requests == []


def test_phone_that_was_handed_on_takes_over_nobody(exotel: Simulator, person: Any) -> None:
    meera, ravi = person("meera"), person("ravi")
    typed = Agent.objects.create(name="Meera", user=meera, contact_uri="+919000000555")
    exotel.directory.add_agent("+919000000555", name="Ravi", email="ravi@example.com")

    report = sync_agents("default")

    typed.refresh_from_db()
    assert (typed.name, typed.user, typed.exotel_user_id) == ("Meera", meera, None)
    assert Agent.objects.get(name="Ravi").user == ravi
    assert report.notes == [
        "Meera has a phone here that is Ravi's in Exotel, so both were kept. Correct the phone or the user."
    ]


def test_take_over_of_an_agent_with_a_user_is_said(exotel: Simulator, person: Any) -> None:
    """Nobody here has the co-worker's e-mail, so that the phone alone says who it is."""
    meera = person("meera")
    Agent.objects.create(name="Desk 4", user=meera, contact_uri="+919000000555")
    Agent.objects.create(name="Desk 5", contact_uri="+919000000556")
    exotel.directory.add_agent("+919000000555", name="Ravi", email="ravi@example.com")
    exotel.directory.add_agent("+919000000556", name="Kiran", email="kiran@example.com")

    first, second = sync_agents("default"), sync_agents("default")

    assert Agent.objects.get(name="Ravi").user == meera
    assert len(first.notes) == 1
    assert first.notes[0].startswith(
        "Desk 4 was typed here with a phone of Ravi's in Exotel, and is Ravi now. The user meera"
    )
    assert second.notes == []


def test_user_chosen_by_hand_stays_when_the_match_changes(exotel: Simulator, person: Any) -> None:
    """At first AGENT_MATCH finds the same one."""
    first, second = person("asha"), person("asha2", "")
    Agent.objects.create(name="A.", user=first, contact_uri=ASHA)
    add(exotel, "Asha", ASHA)
    sync()
    first.email, second.email = "", "asha@example.com"
    first.save()
    second.save()

    sync()

    assert Agent.objects.get().user == first


def test_agent_whose_id_was_cleared_by_hand_is_left_alone(exotel: Simulator) -> None:
    exotel.directory.add_agent("+919000000555", name="Ravi")
    sync_agents("default")
    Agent.objects.update(exotel_user_id=None, contact_uri="sip:ravidesk")

    sync_agents("default")

    assert Agent.objects.get(contact_uri="sip:ravidesk").is_active
