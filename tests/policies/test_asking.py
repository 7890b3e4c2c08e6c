"""How rules are named, loaded, asked and overridden."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm import conf, policies
from django_exotel_ccm.choices import DoNotCallSource, EventKind
from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import CallRecord, DoNotCall
from django_exotel_ccm.policies import Denial, Known, Policy, denials
from django_exotel_ccm.services import add_do_not_call, place_call
from django_exotel_ccm.simulator import Simulator
from tests.conftest import AGENT, EXOPHONE
from tests.services.test_placing_statements import BEGIN, statements

Press = Callable[..., str]
Rules = Callable[..., None]
NUMBER = "+919000001001"


class OfficeHours:
    """A host's class, with an option."""

    def __init__(self, closed: bool = False) -> None:
        self._closed = closed

    def __call__(self, call: CallRecord) -> str | None:
        return "The office is closed." if self._closed else None


class NotCallable:
    """A host's class that is no rule."""


class OddEnd(Policy):
    """A host's rule that can be asked in bulk."""

    def denials(self, calls: Any, known: Known) -> list[Denial | None]:
        return [Denial("odd", "Odd numbers rest.") if call.customer_number[-1] in "13579" else None for call in calls]


def never(call: CallRecord) -> str:
    return "Never."


def never_ever(call: CallRecord) -> str:
    return "Never ever."


never_ever.is_safety = True  # type: ignore[attr-defined]
HERE = __name__


def test_default_rules(exotel: Simulator, press: Press, rules: Rules) -> None:
    rules()

    assert [path.rpartition(".")[2] for path in conf.get_settings().policies or ()] == [
        "AllowedCountries",
        "OwnNumbers",
        "DoNotCall",
        "OneCallAtATime",
        "CallsPerDay",
    ]
    assert press("+6581234567") == "AllowedCountries"
    assert press(EXOPHONE) == press(AGENT) == "OwnNumbers"
    assert [press(NUMBER), press("+919000001002")] == ["active", "OneCallAtATime"]


def test_no_rules(settings: Any, exotel: Simulator, press: Press) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": []}

    assert [press(number) for number in ("+6581234567", EXOPHONE, EXOPHONE)] == ["active"] * 3


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (f"{HERE}.never", "never"),
        ({"NAME": f"{HERE}.never"}, "never"),
        ({"NAME": f"{HERE}.never", "OPTIONS": {}}, "never"),
        ({"NAME": f"{HERE}.OfficeHours", "OPTIONS": {"closed": True}}, "OfficeHours"),
        ({"NAME": f"{HERE}.OfficeHours", "OPTIONS": None}, "active"),
        (f"{HERE}.OfficeHours", "active"),
        (f"{HERE}.OddEnd", "OddEnd"),
    ],
)
def test_entries(exotel: Simulator, press: Press, rules: Rules, entry: Any, code: str) -> None:
    rules(entry)

    assert press(NUMBER) == code


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("crm.nowhere.rule", "cannot be imported"),
        (f"{HERE}.HERE", "is not callable"),
        (f"{HERE}.NotCallable", "objects cannot be called with a call"),
        ({"NAME": f"{HERE}.never", "OPTIONS": {"hard": True}}, "is a function, and takes no OPTIONS"),
        ({"NAME": f"{HERE}.OfficeHours", "OPTIONS": {"shut": 1}}, "Its options: closed"),
        ({"NAME": f"{HERE}.OfficeHours", "OPTION": {}}, "more than NAME and a dict of OPTIONS"),
        ({"NAME": f"{HERE}.OfficeHours", "OPTIONS": [1]}, "more than NAME and a dict of OPTIONS"),
        ({"NAME": "django_exotel_ccm.policies.CoolDown", "OPTIONS": {"minutes": 0}}, "minutes is a whole number"),
        ({"NAME": "office_hours"}, "is not a list of dotted paths"),
    ],
)
def test_broken_entry_refuses_all_calls(
    host: Any, exotel: Simulator, rules: Rules, posts: Callable[[], list[Any]], entry: Any, problem: str
) -> None:
    from django_exotel_ccm.checks import check_policies, check_settings

    rules(f"{HERE}.OfficeHours", entry)

    with pytest.raises(CallRefused, match=problem) as refused:
        place_call(agent=host.agent(), to=NUMBER)

    assert refused.value.code == "not_configured"
    assert posts() == []
    checked = [*check_policies(), *(one for one in check_settings() if one.id == "exotel_ccm.E006")]
    assert [problem in str(one.msg) for one in checked] == [True]
    [denial] = denials([CallRecord(customer_number=NUMBER)])
    assert denial is not None
    assert problem in denial.text


@pytest.fixture
def posts(exotel: Simulator) -> Callable[[], list[Any]]:
    """The bodies of the Make a Calls in the simulator's own book."""
    return lambda: [dict(request.body) for request in exotel.book.requests if request.method == "POST"]


def test_refused_call_is_audited_and_never_in_progress(
    host: Any, exotel: Simulator, press: Press, rules: Rules, posts: Callable[[], list[Any]]
) -> None:
    rules("DoNotCall", "OneCallAtATime")
    add_do_not_call(NUMBER, source=DoNotCallSource.TYPED)

    assert [press(NUMBER), press("+919000001002")] == ["DoNotCall", "active"]

    refused = CallRecord.objects.get(state="refused")
    event = refused.events.get()
    assert (event.kind, event.code, event.advice) == (
        EventKind.POLICY,
        "DoNotCall",
        "This customer is on the do-not-call list.",
    )
    assert list(refused.announcements.values_list("signal", flat=True)) == ["call_refused"]
    assert len(posts()) == 1


# Overriding.


@pytest.mark.parametrize("reason", ["", "  ", "\0", None])
def test_blank_reason_overrides_nothing(exotel: Simulator, press: Press, rules: Rules, reason: Any) -> None:
    rules(f"{HERE}.never")

    assert press(NUMBER, override_reason=reason) == "never"


def test_reason_is_kept_with_the_rules_it_overrode(exotel: Simulator, press: Press, rules: Rules) -> None:
    rules(f"{HERE}.never", "DoNotCall", "CallsPerDay", CoolDown={"minutes": 5})
    add_do_not_call(NUMBER, source=DoNotCallSource.TYPED)
    place = [press(NUMBER, override_reason=" The customer\0 wrote to us "), press(NUMBER, override_reason="again")]

    assert place == ["active", "active"]
    kept = list(CallRecord.objects.order_by("pk").values_list("override_reason", "overridden_rules"))
    assert kept == [("The customer wrote to us", "never, DoNotCall"), ("again", "never, DoNotCall, CoolDown")]


def test_rule_about_safety_is_never_overridden(exotel: Simulator, press: Press, rules: Rules) -> None:
    rules(f"{HERE}.never", f"{HERE}.never_ever")

    assert press(NUMBER, override_reason="please") == "never_ever"


def test_reason_is_bounded(host: Any) -> None:
    with pytest.raises(ValueError, match="override_reason may have 200 characters"):
        place_call(agent=host.agent(), to=NUMBER, override_reason="x" * 201)
    with pytest.raises(TypeError, match="override_reason must be str"):
        place_call(agent=host.agent("Vik", "sip:vik4c1d77e2"), to=NUMBER, override_reason=5)  # type: ignore[arg-type]


# Costs.


@pytest.mark.books_differ("the first call is ended by hand")
def test_statements_of_a_press_with_the_default_rules(host: Any, exotel: Simulator, rules: Rules) -> None:
    rules()
    agent = host.agent()
    place_call(agent=agent, to="+919000001003")
    CallRecord.objects.update(state="ended")
    exotel.wait_until_quiet()

    with CaptureQueriesContext(connection) as captured:
        place_call(agent=agent, to=NUMBER, exophone=host.exophone)

    locks = ["UPDATE presslock"] * 2 if connection.features.has_select_for_update else []
    asked = [
        "SELECT device",  # the last part of a union: all that the rules read
        *BEGIN,
        *locks,
        "SELECT device",
        "INSERT callrecord",
        "COMMIT",
    ]
    assert statements(captured)[: len(asked)] == asked


@pytest.mark.parametrize("count", [1, 100])
def test_many_calls_cost_a_fixed_number_of_statements(host: Any, rules: Rules, count: int) -> None:
    rules(
        *(path for path in conf.DEFAULT_POLICIES),
        "CoolDown",
        f"{HERE}.never",
        f"{HERE}.OddEnd",
        CallingHours={"start": "00:00", "end": "23:59"},
    )
    agent = host.agent()
    drafts = [CallRecord(agent=agent, customer_number=f"+9190000{number:05}") for number in range(1000, 1000 + count)]
    DoNotCall.objects.create(number=drafts[0].customer_number)

    with CaptureQueriesContext(connection) as captured:
        found = denials(drafts)

    assert len(captured) == 1
    assert [one is not None and one.title for one in found[:2]] == ["on the do-not-call list", "odd"][:count]


def test_pages_do_not_ask_a_hosts_function(rules: Rules) -> None:
    rules(f"{HERE}.never")

    assert denials([CallRecord(customer_number=NUMBER)]) == [None]
    assert policies.denials([]) == []
