"""Promise 6 in the search: it finds nothing that the page does not show."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.admin import call_search
from django_exotel_ccm.models import CallRecord
from tests.admin.pages import LEDGER, SEES_CALLS, SEES_NUMBERS, Session

NUMBER = "+919876543210"
SEES_ALL = "exotel_ccm.view_all_calls"
BLUE = {"agent": None, "last_name": "blue"}
"""Somebody of the team "blue", who does not find tickets of the team "red"."""


def call_about(ticket: Any = None, **fields: Any) -> CallRecord:
    about = {"ticket": ticket, "ticket_label": str(ticket), "custom_field": f"ticket_{ticket.pk}"} if ticket else {}
    fields = {
        "account": "default",
        "agent_label": "Vik",
        "customer_number": NUMBER,
        "state": "refused",
        **about,
    } | fields
    return CallRecord.objects.create(created_at=timezone.now(), **fields)


def in_list(user: Any, typed: str) -> int:
    """Return how many calls the list finds."""
    page = Session(user).get(f"{reverse('admin:exotel_ccm_callrecord_changelist')}?{urlencode({'q': typed})}")
    return page.html.count('class="field-placed')


def in_autocomplete(user: Any, typed: str) -> int:
    """Return how many calls a host's autocomplete field for calls offers."""
    query = {"app_label": "exotel_ccm", "model_name": "callevent", "field_name": "call", "term": typed}
    session = Session(user)
    session.get(f"{reverse('admin:autocomplete')}?{urlencode(query)}")
    return len(session.response.json()["results"])


SEARCHES = pytest.mark.parametrize("found", [in_list, in_autocomplete])


@SEARCHES
def test_calls_about_hidden_tickets_are_not_found(host: Any, found: Any) -> None:
    call_about(host.ticket("Red secret", team="red"), custom_field="lead_red")
    user = host.user("meera", "helpdesk.view_ticket", SEES_CALLS, SEES_NUMBERS, **BLUE)
    supervisor = host.user("uma", "helpdesk.view_ticket", SEES_CALLS, SEES_NUMBERS, SEES_ALL, **BLUE)

    searches = ["Red", "Vik Red", "lead", NUMBER, "98765"]
    assert [found(user, typed) for typed in searches] == [0] * 5
    assert [found(supervisor, typed) for typed in searches] == [1] * 5
    assert found(user, "Vik") == 1  # the list shows everybody who called


@SEARCHES
def test_calls_about_visible_tickets_are_found(host: Any, found: Any) -> None:
    call_about(host.ticket("Blue matter", team="blue"))
    user = host.user("meera", "helpdesk.view_ticket", SEES_CALLS, SEES_NUMBERS, **BLUE)

    assert [found(user, typed) for typed in ("Blue", '"Blue matter"', "vik blue", NUMBER, "98765")] == [1] * 5
    assert [found(user, typed) for typed in ("Blue elsewhere", '"matter Blue"', "98766")] == [0] * 3


@pytest.mark.parametrize("field", ["customer_number", "customer_label", "ticket_label", "custom_field"])
def test_masked_numbers_are_not_found_digit_by_digit(host: Any, field: str) -> None:
    found = in_list
    call_about(**{"custom_field": "ticket_42"} | {field: NUMBER if field == "customer_number" else f"Lead {NUMBER}"})
    blind, seeing = host.user("meera", SEES_CALLS, agent=None), host.user("uma", SEES_CALLS, SEES_NUMBERS, agent=None)

    assert found(seeing, NUMBER[3:]) == 1
    assert not any(found(blind, NUMBER[start : start + 4]) for start in range(1, 10))
    assert not any(found(blind, typed) for typed in ("९८७६", "\uff19\uff18", "⑨⑧⑦⑥"))
    assert found(blind, "ticket_42") == (field != "custom_field")
    assert found(blind, "lead") == (field != "customer_number")


def test_number_is_found_however_it_is_written(host: Any) -> None:
    call_about()
    call_about(customer_number="+919812345678")
    user = host.user("meera", SEES_CALLS, SEES_NUMBERS, agent=None)
    whole = ["09876543210", "98765-43210", "(+91) 98765 43210", "0091 98765.43210", "+91 (0)98765 43210", "९८७६५ ४३२१०"]

    assert {typed: in_list(user, typed) for typed in [*whole, "43210", "765-432"]} == dict.fromkeys(
        [*whole, "43210", "765-432"], 1
    )


def test_search_asks_once_for_each_kind_of_ticket(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(30):
        call_about(host.ticket(f"Blue {n}", team="blue"))
    user = host.user("meera", "helpdesk.view_ticket", SEES_CALLS, **BLUE)

    with CaptureQueriesContext(connection) as queries:
        assert in_list(user, "blue") == 30

    assert len([query for query in queries if "helpdesk_ticket" in query["sql"]]) == 2  # found, and shown


def test_search_looks_at_the_newest_matches(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_search, "SEARCHED", 3)
    for n in range(5):
        call_about(host.ticket(f"Blue {n}", team="blue"))
    user = host.user("meera", "helpdesk.view_ticket", SEES_CALLS, **BLUE)

    assert in_list(user, "blue") == 3


def test_long_search_is_an_ordinary_page(host: Any) -> None:
    call_about()
    session = Session(host.user("meera", SEES_CALLS, SEES_NUMBERS, agent=None))

    session.get(f"{reverse('admin:exotel_ccm_callrecord_changelist')}?{urlencode({'q': 'a ' * 3000})}")

    assert session.response.status_code == 200


COSTLY = [
    "callrecord_changelist?state__regex=(a%2B)%2B$",
    "callrecord_changelist?created_at__year__regex=1",
    "callrecord_changelist?outcome__icontains=b",
    "callevent_changelist?reason__iregex=(a%2B)%2B$",
    "announcement_changelist?signal__regex=(a%2B)%2B$",
    "agent_changelist?name__iregex=(a%2B)%2B$",
    "agent_changelist?account__regex=(a%2B)%2B$",
    "agent_changelist?user__username__startswith=a",
    "exophone_changelist?label__regex=(a%2B)%2B$",
]
HIDDEN = [
    "callrecord_changelist?customer_number=%2B919000001001",
    "callrecord_changelist?customer_number__startswith=%2B919",
    "callrecord_changelist?ticket_label__contains=9190",
    "callrecord_changelist?facts__contains=9190",
    "callevent_changelist?call__customer_number__startswith=%2B919",
    "callevent_changelist?facts__icontains=9190",
    "announcement_changelist?receivers__icontains=9190",
    "announcement_changelist?event__call__customer_number__startswith=%2B919",
]


def test_lookups_that_no_filter_offers_are_refused(host: Any) -> None:
    session = Session(host.user("meera", SEES_CALLS, *LEDGER, "exotel_ccm.view_agent", "exotel_ccm.view_exophone"))
    for lookup in (*COSTLY, *HIDDEN):
        name, _question, query = lookup.partition("?")

        session.get(f"{reverse(f'admin:exotel_ccm_{name}')}?{query}")

        assert session.response.status_code == 400, lookup


@pytest.mark.parametrize(
    ("lookup", "count"),
    [
        ("callrecord_changelist?state__exact=refused&created_at__year={year}", "1 call"),
        ("callrecord_changelist?created_at__gte={year}-01-01%2000:00Z&created_at__lt={year}-01-02%2000:00Z", "0 calls"),
        ("callrecord_changelist?state__in=ended,active", "0 calls"),
        ("agent_changelist?is_active__exact=1&account=default", "1 agent"),
        ("agent_changelist?user__id__exact=0", "0 agents"),
    ],
)
def test_lookups_that_filters_offer_work(host: Any, lookup: str, count: str) -> None:
    call_about()
    session = Session(host.user("meera", SEES_CALLS, "exotel_ccm.view_agent"))
    name, _question, query = lookup.format(year=timezone.now().year).partition("?")

    page = session.get(f"{reverse(f'admin:exotel_ccm_{name}')}?{query}")

    assert session.response.status_code == 200
    assert count in page.text


def test_page_says_how_far_the_search_looks(host: Any) -> None:
    url = reverse("admin:exotel_ccm_callrecord_changelist")
    said = "SID and agent are found in all calls, the rest in the newest 500 that match."

    meera = Session(host.user("meera", SEES_CALLS, agent=None))
    assert said in meera.get(f"{url}?q=Ravi").text
    assert said not in meera.get(url).text
    assert said not in Session(host.user("boss", SEES_CALLS, SEES_ALL, agent=None)).get(f"{url}?q=Ravi").text
