"""What rules say on pages: before the press, at the press, and to whom may call all the same."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.choices import DoNotCallSource, State
from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import Agent, CallRecord, DoNotCall
from django_exotel_ccm.services import add_do_not_call, place_call, schedule_follow_up
from django_exotel_ccm.services.call_lists import create_call_list
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, Page, Session, orders
from tests.helpdesk.models import Ticket
from tests.templatetags.pages import BUTTON, render, request_of

LISTED = "This customer is on the do-not-call list."
LISTED_SHORT = "on the do-not-call list"
BEING_CALLED = "Somebody is calling this customer right now."
OVERRIDES = "exotel_ccm.override_policy"
ANY_NUMBER = "exotel_ccm.dial_any_number"


@pytest.fixture(autouse=True)
def default_rules(settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": None}


@pytest.fixture
def override(session: Session) -> Session:
    """The session of a user who may override rules."""
    session.user.user_permissions.add(Permission.objects.get(codename="override_policy"))
    return session


def call_by(user: Any, number: str, **fields: Any) -> CallRecord:
    """Return a call that goes on."""
    given: dict[str, Any] = {"account": "default", "state": State.ACTIVE, "created_at": timezone.now()}
    return CallRecord.objects.create(**{**given, "placed_by": user, "customer_number": number, **fields})


def choose(session: Session, *tickets: Any) -> Page:
    keys = "".join(f"&exotel_ticket={ticket.pk}" for ticket in tickets)
    return session.get(f"{reverse('exotel_ccm:choose')}?exotel_adapter=admin&exotel_type=helpdesk.ticket{keys}")


def pages_with(session: Session, ticket: Any) -> dict[str, Page]:
    """Return every page that has a button of the ticket."""
    due_at = timezone.now() + datetime.timedelta(hours=1)
    schedule_follow_up(ticket=ticket, due_at=due_at, assigned_to=session.user)
    made = create_call_list(owner=session.user, name="List", model=Ticket, keys=[ticket.pk])
    return {
        "form": session.change_form(ticket),
        "list": session.changelist(),
        "choose": choose(session, ticket),
        "my-calls": session.get(reverse("exotel_ccm:my-calls")),
        "call-list": session.get(reverse("exotel_ccm:call-list", args=[made.pk])),
        "tag": render(BUTTON, request_of(session.user), ticket=Ticket.objects.get(pk=ticket.pk)),
    }


def block(number: str = BY_HAND) -> None:
    add_do_not_call(number, source=DoNotCallSource.TYPED, reason="Mail of Ravi")


def too_often(session: Session) -> None:
    for _time in range(10):
        call_by(session.user, BY_HAND, state=State.ENDED)


def abroad(session: Session) -> None:
    Ticket.objects.get().customer.__class__.objects.update(phone="+6581234567")


def our_own(session: Session) -> None:
    Agent.objects.update(contact_uri=BY_HAND)


def colleague(session: Session) -> None:
    call_by(None, BY_HAND)


@pytest.mark.parametrize(
    ("arrange", "text"),
    [
        (lambda session: block(), LISTED),
        (too_often, "This customer was called 10 times today"),
        (abroad, "in a country that is not called from here"),
        (our_own, "This is your own phone"),
        (colleague, BEING_CALLED),
    ],
)
@pytest.mark.books_differ("calls are written by hand")
def test_button_says_why_it_cannot_call(
    host: Any, session: Session, arrange: Callable[[Session], None], text: str
) -> None:
    ticket = host.ticket(phone=BY_HAND)
    arrange(session)

    for name, page in pages_with(session, ticket).items():
        assert text in page.text, name
        assert page.call_buttons == page.row_buttons == page.of_class("exotel-choose-form") == [], name


@pytest.mark.books_differ("calls are written by hand")
def test_own_call_with_another_agents_phone_is_not_somebodys(host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    boss = host.user("boss", *AGENT_WORK, "exotel_ccm.place_call_for_others")
    host.user("other", agent="+919000000102")
    first, second = Agent.objects.order_by("pk")
    call = call_by(boss, BY_HAND, agent=second)
    session = Session(boss)

    for name, page in pages_with(session, ticket).items():
        assert BEING_CALLED not in page.text, name
    with pytest.raises(CallRefused, match="You are calling this customer already"):
        place_call(agent=first, to=BY_HAND, placed_by=boss)

    CallRecord.objects.filter(pk=call.pk).update(placed_by=host.user("other2", agent=None))
    for name, page in pages_with(session, ticket).items():
        assert BEING_CALLED in page.text, name


def test_rule_that_cannot_be_asked_is_said(host: Any, session: Session, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": ["crm.nowhere.rule"]}

    page = session.change_form(host.ticket(phone=BY_HAND))

    assert "Call customer: not set up" in page.text
    assert page.call_buttons == []


def test_press_of_an_old_page_is_refused_and_recorded(host: Any, exotel: Any, session: Session) -> None:
    page = session.change_form(host.ticket(phone=BY_HAND))
    block()

    back = session.press_button_of(page)

    assert LISTED in back.messages
    call = CallRecord.objects.get()
    assert (call.state, call.refusal_code, call.placed_by) == ("refused", "DoNotCall", session.user)
    assert orders(exotel) == []


@pytest.mark.books_differ("calls are written by hand")
def test_press_while_a_colleague_calls_this_customer_is_refused(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    page = session.change_form(ticket)
    call_by(host.user("vik", agent=None), BY_HAND, ticket=ticket, placed_by_label="vik")

    back = session.press_button_of(page)

    assert BEING_CALLED in back.messages
    assert "vik" not in back.messages
    assert not back.of_class("exotel-choose-form")
    assert CallRecord.objects.get(state="refused").refusal_code == "OneCallAtATime"
    assert orders(exotel) == []


@pytest.mark.books_differ("calls are written by hand")
def test_colleague_who_calls_about_the_ticket_at_another_number_is_asked_about(
    host: Any, exotel: Any, session: Session
) -> None:
    ticket = host.ticket(phone=BY_HAND)
    call_by(host.user("vik", agent=None), OTHER, ticket=ticket, placed_by_label="vik")

    page = session.press_button(ticket)
    assert "vik is calling about this ticket right now." in page.text
    assert orders(exotel) == []
    session.press_choice(page)

    assert len(orders(exotel)) == 1


@pytest.mark.books_differ("calls are written by hand")
def test_own_call_in_progress_is_refused_at_the_press_alone(host: Any, exotel: Any, session: Session) -> None:
    """The call may be over when the button is pressed, and a page must not be loaded again for that."""
    ticket, other = host.ticket(phone=BY_HAND), host.ticket("Loud fan", phone=OTHER)
    own = call_by(session.user, BY_HAND, ticket=ticket, agent=Agent.objects.get())

    page = session.change_form(other)
    back = session.press_button_of(page)
    assert "You are in a call." in back.messages
    CallRecord.objects.filter(pk=own.pk).update(state=State.ENDED)
    session.press_button(other)

    assert [order["to"] for order in orders(exotel)] == [{"number": OTHER}]
    assert list(CallRecord.objects.order_by("pk").values_list("state", flat=True)) == ["ended", "refused", "active"]


def test_one_number_of_several(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=OTHER, other=BY_HAND)
    block(OTHER)

    page = session.press_button(ticket)
    session.press_choice(page)

    assert page.text.count(LISTED) == 1
    assert page.html.count(" disabled>") == 1
    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


def test_all_numbers_of_several(host: Any, session: Session) -> None:
    ticket = host.ticket(phone=OTHER, other=BY_HAND)
    block(OTHER)
    block(BY_HAND)

    assert session.change_form(ticket).call_buttons == []


def test_other_number_can_be_typed(host: Any, exotel: Any) -> None:
    session = Session(host.user("meera", *AGENT_WORK, ANY_NUMBER))
    block()

    page = session.change_form(host.ticket(phone=BY_HAND))
    page = session.get(page.links["Call another number"].replace("&amp;", "&"))
    session.press_choice(page, to=OTHER)

    assert LISTED in page.text
    assert [order["to"] for order in orders(exotel)] == [{"number": OTHER}]


@pytest.mark.books_differ("calls are written by hand")
def test_history_says_why_a_number_cannot_be_called_again(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    for number in (BY_HAND, OTHER):
        call_by(session.user, number, ticket=ticket, state=State.ENDED, outcome="busy")
    block(BY_HAND)

    page = session.change_form(ticket)

    assert len(page.of_again) == 1
    assert f"<summary>{LISTED_SHORT}</summary>{LISTED}" in page.html


# Overriding.


def test_override(host: Any, exotel: Any, override: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    block()

    page = override.get(override.change_form(ticket).links["Call anyway"].replace("&amp;", "&"))
    assert LISTED in page.text
    refused = override.press_choice(page)
    assert LISTED in refused.messages
    page = choose(override, ticket)
    override.press_choice(page, override="She wrote that she waits for our call")

    assert len(orders(exotel)) == 1
    call = CallRecord.objects.get(state="active")
    assert (call.override_reason, call.overridden_rules) == ("She wrote that she waits for our call", "DoNotCall")
    said = "Called although a rule said no (DoNotCall): She wrote that she waits for our call"
    assert said in override.change_form(ticket).text
    assert said in override.get(override.url("exotel_ccm_callrecord_change", call.pk)).text


def press_and_call_anyway(session: Session, page: Page, **given: str) -> Page:
    """Press on a page that knows of no obstacle, follow "Call anyway", and give the reason there."""
    refused = session.press_button_of(page)
    assert refused.links["Call anyway"]
    again = session.get(refused.links["Call anyway"].replace("&amp;", "&"))
    assert 'class="exotel-anyway" open' in again.html
    return session.press_choice(again, override="She waits for us", **given)


def only_meera(call: CallRecord) -> str | None:
    return "Only Meera calls this customer." if call.customer_number == BY_HAND else None


def nobody(call: CallRecord) -> str:
    return "Nobody calls this customer."


nobody.is_safety = True  # type: ignore[attr-defined]


def test_override_of_the_hosts_own_function(host: Any, exotel: Any, override: Session, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.only_meera"]}

    page = override.change_form(host.ticket(phone=BY_HAND))
    back = press_and_call_anyway(override, page)

    assert "Only Meera calls this customer." in back.text  # in the history
    assert CallRecord.objects.get(state="active").overridden_rules == "only_meera"
    assert len(orders(exotel)) == 1


def test_function_about_safety_offers_no_way_around(host: Any, exotel: Any, override: Session, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.nobody"]}
    ticket = host.ticket(phone=BY_HAND)

    assert "Call anyway" not in override.press_button(ticket).links
    page = override.press_choice(choose(override, ticket), override="She waits for us")

    assert "Nobody calls this customer." in page.messages
    assert "Call anyway" not in page.links
    assert orders(exotel) == []


@pytest.mark.books_differ("calls are written by hand")
def test_override_of_the_own_call_whose_end_nobody_reported(host: Any, exotel: Any, override: Session) -> None:
    call_by(override.user, OTHER, agent=Agent.objects.get(), answered_at=timezone.now())

    press_and_call_anyway(override, override.change_form(host.ticket(phone=BY_HAND)))

    assert CallRecord.objects.get(override_reason="She waits for us").overridden_rules == "OneCallAtATime"
    assert len(orders(exotel)) == 1


@pytest.mark.books_differ("calls are written by hand")
def test_override_for_a_colleague_who_has_called_enough(
    host: Any, exotel: Any, override: Session, settings: Any
) -> None:
    rule = {"NAME": "django_exotel_ccm.policies.CallsPerDay", "OPTIONS": {"agent": 1}}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [rule]}
    override.user.user_permissions.add(Permission.objects.get(codename="place_call_for_others"))
    host.user("vik", agent="+919000000102")
    viks = Agent.objects.latest("pk")
    call_by(None, OTHER, agent=viks, state=State.ENDED)
    ticket = host.ticket(phone=BY_HAND, other="+919000001011")

    page = choose(override, ticket)
    assert 'class="exotel-anyway">' in page.html  # folded: no rule says no as far as is known
    second = page.html.split('name="exotel_number" value="')[2].partition('"')[0]
    refused = override.press_choice(page, agent=str(viks.pk), number=second)
    assert "This agent has placed 1 call today" in refused.messages
    again = override.get(refused.links["Call anyway"].replace("&amp;", "&"))

    assert "This agent has placed 1 call today" in again.text
    assert f'<option value="{viks.pk}" selected>' in again.html
    assert again.of_class("exotel-choose-form")[0].data["exotel_number"] == [second]
    override.press_choice(again, agent=str(viks.pk), override="She waits for us")
    [order] = orders(exotel)
    assert order["to"] == {"number": "+919000001011"}


@pytest.mark.books_differ("calls are written by hand")
def test_agent_who_has_called_enough_reads_of_themself(host: Any, session: Session, settings: Any) -> None:
    rule = {"NAME": "django_exotel_ccm.policies.CallsPerDay", "OPTIONS": {"agent": 1}}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [rule]}
    call_by(session.user, OTHER, agent=Agent.objects.get(), state=State.ENDED)

    page = session.change_form(host.ticket(phone=BY_HAND))

    assert "You have placed 1 call today, and more is not allowed." in page.text
    assert page.call_buttons == []


@pytest.mark.parametrize("may_see", [True, False])
def test_typed_number_is_not_taken_for_the_tickets(
    host: Any, exotel: Any, override: Session, settings: Any, may_see: bool
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.only_meera"]}
    override.user.user_permissions.add(Permission.objects.get(codename="dial_any_number"))
    if not may_see:
        override.user.user_permissions.remove(Permission.objects.get(codename="view_customer_number"))
    ticket = host.ticket(phone=OTHER)

    refused = override.press_choice(choose(override, ticket), to=BY_HAND)
    again = override.get(refused.links["Call anyway"].replace("&amp;", "&"))

    [form] = again.of_class("exotel-choose-form")
    assert (form.data["exotel_to"], "exotel_number" in form.data) == ([BY_HAND if may_see else ""], False)


def test_history_leads_from_the_newest_refusal(host: Any, exotel: Any, override: Session, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.only_meera"]}
    ticket = host.ticket(phone=BY_HAND)
    for _time in range(2):
        override.press_button(ticket)

    page = override.change_form(ticket)

    assert page.html.count("Call anyway") - page.html.count('data-exotel-override="Call anyway"') == 1
    again = override.get(page.links["Call anyway"].replace("&amp;", "&"))
    assert "Only Meera calls this customer." in again.text


@pytest.mark.books_differ("calls are written by hand")
def test_history_leads_from_a_number_that_is_listed(host: Any, exotel: Any, override: Session) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    call_by(None, BY_HAND, ticket=ticket, state=State.ENDED, outcome="busy")
    block()

    page = override.change_form(ticket)

    assert page.html.count(">Call anyway</a>") == 1
    assert LISTED in override.get(page.links["Call anyway"].replace("&amp;", "&")).text


def test_history_offers_no_way_around_without_the_permission(
    host: Any, exotel: Any, session: Session, settings: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.only_meera"]}
    ticket = host.ticket(phone=BY_HAND)

    back = session.press_button(ticket)

    assert "Only Meera calls this customer." in back.text
    assert "Call anyway</a>" not in back.html
    refused = CallRecord.objects.get().pk
    page = session.get(
        f"{reverse('exotel_ccm:choose')}?exotel_adapter=admin&exotel_type=helpdesk.ticket"
        f"&exotel_ticket={ticket.pk}&exotel_refused={refused}"
    )
    assert "Only Meera" not in page.text


@pytest.mark.parametrize("key", ["of another", "0", "x", "9" * 40])
def test_refused_call_of_somebody_else_is_not_shown(host: Any, override: Session, key: str) -> None:
    ticket = host.ticket(phone=BY_HAND)
    call = call_by(host.user("vik", agent=None), OTHER, ticket=ticket, state=State.REFUSED)
    named = call.pk if key == "of another" else key

    page = override.get(
        f"{reverse('exotel_ccm:choose')}?exotel_adapter=admin&exotel_type=helpdesk.ticket"
        f"&exotel_ticket={ticket.pk}&exotel_refused={named}"
    )

    assert 'class="exotel-anyway">' in page.html
    assert OTHER not in page.html


def test_reason_is_hidden_with_the_ticket(host: Any) -> None:
    call = call_by(None, BY_HAND, ticket=host.ticket(), override_reason="She waits", overridden_rules="DoNotCall")
    session = Session(host.user("uma", SEES_CALLS, agent=None))

    page = session.get(session.url("exotel_ccm_callrecord_change", call.pk))

    assert page.text.count("not yours to see") >= 2
    assert "She waits" not in page.html


def test_reason_is_masked(host: Any) -> None:
    reason = {"override_reason": f"Told me at {OTHER}", "overridden_rules": "DoNotCall"}
    ticket = host.ticket()
    call_by(None, BY_HAND, ticket=ticket, state=State.ENDED, **reason)

    page = Session(host.user("uma", *AGENT_WORK, SEES_CALLS)).change_form(ticket)

    assert "Told me at +••••••••••10" in page.text


def test_override_needs_the_permission(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    page = session.change_form(ticket)
    block()
    [form] = page.call_buttons

    response = session.client.post(form.attributes["action"], form.data | {"exotel_override": "please"})

    assert response.status_code == 403
    assert not CallRecord.objects.exists()
    assert "exotel_override" not in choose(session, ticket).html
    assert "Call anyway" not in session.change_form(ticket).links


def test_rule_about_safety_offers_no_way_around(host: Any, exotel: Any, override: Session) -> None:
    ticket = host.ticket(phone="+870773111632")

    page = choose(override, ticket)

    assert "Such numbers are never called from here." in page.text
    assert page.of_class("exotel-choose-form") == []
    assert "Call anyway" not in override.change_form(ticket).links


def test_reason_that_is_too_long(host: Any, exotel: Any, override: Session) -> None:
    block()

    page = override.press_choice(choose(override, host.ticket(phone=BY_HAND)), override="x" * 201)

    assert "The reason may have 200 characters. Make it shorter." in page.messages
    assert orders(exotel) == []


# Many tickets.


def many(host: Any, count: int) -> list[Ticket]:
    """Return tickets, of which two are on the do-not-call list and one has no number."""
    tickets = [host.ticket(f"T{n}", phone=f"+9190000{20000 + n}") for n in range(count - 1)]
    tickets.append(host.ticket("None", phone=""))
    DoNotCall.objects.bulk_create(DoNotCall(number=f"+9190000{20000 + n}") for n in range(2))
    return tickets


def test_preview_of_many_tickets(host: Any, session: Session) -> None:
    tickets = many(host, 15)

    page = choose(session, *tickets)

    assert f"12 of 15 can be called now. · {LISTED_SHORT.capitalize()}: 2 · No number: 1" in page.text
    assert len(page.of_class("exotel-choose-form")) == 12


def test_new_call_list_says_how_many_can_be_called(host: Any, session: Session) -> None:
    page = session.run_action(many(host, 5), action=["exotel_make_call_list"])

    assert f"2 of 5 can be called now. · {LISTED_SHORT.capitalize()}: 2 · No number: 1" in page.messages


@pytest.mark.parametrize("page", ["list", "choose", "my-calls"])
def test_queries_do_not_grow_with_the_tickets(host: Any, session: Session, page: str) -> None:
    def cost(tickets: list[Ticket]) -> int:
        due_at = timezone.now() + datetime.timedelta(hours=1)
        for ticket in tickets:
            schedule_follow_up(ticket=ticket, due_at=due_at, assigned_to=session.user)
        show: dict[str, Callable[[], Page]] = {
            "list": lambda: session.changelist("?all="),
            "choose": lambda: choose(session, *tickets),
            "my-calls": lambda: session.get(reverse("exotel_ccm:my-calls")),
        }
        show[page]()
        with CaptureQueriesContext(connection) as queries:
            assert LISTED in show[page]().text
        return len(queries)

    few = cost(many(host, 4))
    Ticket.objects.all().delete()
    DoNotCall.objects.all().delete()
    assert cost(many(host, 100)) <= few


def test_reasons_name_nobody(host: Any) -> None:
    """Who may neither see numbers nor calls learns neither a number, nor who calls, nor about what."""
    vik = host.user("vikram", agent=None)
    secret = host.ticket("Secret fan", phone=BY_HAND)
    call_by(vik, BY_HAND, ticket=secret, placed_by_label="Vikram Rao", ticket_label="Secret fan")
    session = Session(host.user("uma", *AGENT_WORK))
    other = host.ticket("Loud fan", phone=BY_HAND)

    pages = {name: page.html for name, page in pages_with(session, other).items() if name != "list"}

    assert all(BEING_CALLED in page for page in pages.values())
    for word in (BY_HAND, BY_HAND[3:], "Vikram Rao", "Secret fan"):
        assert [(name, page[page.index(word) - 60 :][:120]) for name, page in pages.items() if word in page] == []
