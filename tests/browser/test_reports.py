"""The report and the live board in a real browser: a supervisor chooses days and an agent, and fetches the file."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallNote, CallRecord, Disposition
from tests.admin.pages import SEES_CALLS
from tests.browser.conftest import keep_picture, log_in, violations

# Some of the calls were never placed.
pytestmark = [pytest.mark.browser, pytest.mark.books_differ]
LOOKS: dict[str, dict[str, Any]] = {
    "wide": {},
    "dark": {"dark": True},
    "narrow": {"width": 360},
    "narrow_dark": {"width": 360, "dark": True},
}


@pytest.fixture
def boss(host: Any) -> Any:
    """A supervisor, and a week of calls by three agents."""
    user = host.user("boss", SEES_CALLS, "exotel_ccm.view_reports", "helpdesk.view_ticket", agent=None)
    now, chance = timezone.now(), random.Random(4)
    agents = [host.agent(name, f"+91900000010{number}") for number, name in enumerate(("Asha", "Vikram", "Ola"))]
    ticket = host.ticket("Ceiling fan in the meeting room makes a noise since Monday")
    disposition = Disposition.objects.create(code="reached", label="Reached")
    for number in range(120):
        outcome, talk_time = chance.choice(
            [
                ("completed", 190),
                ("completed", 75),
                ("customer_unanswered", 0),
                ("busy", 0),
                ("agent_unanswered", 0),
                ("unknown", None),
            ]
        )
        agent = agents[number % 3 if number % 7 else 0]
        call = CallRecord.objects.create(
            account="default",
            agent=agent,
            agent_label=agent.name,
            exophone=host.exophone,
            exophone_number=host.exophone.number,
            ticket=ticket,
            ticket_label=str(ticket),
            customer_label="Meera Nair",
            customer_number="+919000001001",
            state="ended" if number % 11 else "refused",
            outcome=outcome if number % 11 else "",
            talk_time=talk_time if number % 11 else None,
            refusal_code="" if number % 11 else chance.choice(["1012", "DoNotCall"]),
            created_at=now - datetime.timedelta(hours=chance.randint(0, 6 * 24)),
        )
        if number % 5 == 1:
            CallNote.objects.create(call=call, disposition=disposition, created_at=now)
    return user


def dates(days: int) -> str:
    today = timezone.localdate()
    return f"from={today - datetime.timedelta(days=days - 1)}&to={today}"


@pytest.mark.parametrize("look", LOOKS)
def test_report_looks(boss: Any, site: Any, open_page: Callable[..., Any], look: str) -> None:
    page = open_page(**LOOKS[look])
    log_in(page, site.url, "boss")
    assert page.goto(f"{site.url}/exotel/reports/?{dates(7)}").status == 200
    keep_picture(page, f"report_{look}")

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_do_not_widen_the_report(boss: Any, site: Any, open_page: Callable[..., Any], width: int) -> None:
    name = "n" * 145
    Agent.objects.update(name=name)
    page = open_page(width=width)
    log_in(page, site.url, "boss")

    page.goto(f"{site.url}/exotel/reports/?{dates(7)}")

    assert name in page.content()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_supervisor_asks_for_one_agent_and_fetches_the_file(
    boss: Any, site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    log_in(page, site.url, "boss")
    page.click("#content-main >> text=Reports")
    page.fill("input[name=from]", str(timezone.localdate() - datetime.timedelta(days=6)))
    page.select_option("select[name=agent]", label="Vikram")
    page.click("button:has-text('Show')")
    page.wait_for_selector(".exotel-figures")
    expected = CallRecord.objects.filter(agent__name="Vikram").exclude(state="refused").count()

    assert page.inner_text(".exotel-value >> nth=0") == str(expected)
    with page.expect_download() as download:
        page.click("text=Download these calls (CSV)")
    text = download.value.path().read_bytes().decode()
    assert text.count("\r\n") == 1 + CallRecord.objects.filter(agent__name="Vikram").count()
    assert "Asha" not in text


def test_dates_that_are_wrong_are_explained(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(**LOOKS["narrow"])
    log_in(page, site.url, "boss")
    page.goto(f"{site.url}/exotel/reports/?from=2026-03-04&to=2026-03-01")
    keep_picture(page, "report_problem")

    assert "The first day is after the last day." in page.inner_text("[role=alert]")
    assert page.input_value("input[name=from]") == "2026-03-04"
    assert violations(page) == []


@pytest.mark.parametrize("name", ["reports", "live"])
def test_on_the_hosts_own_pages(boss: Any, site: Any, open_page: Callable[..., Any], name: str) -> None:
    """A strict Content-Security-Policy has nothing to refuse there."""
    page = open_page(**LOOKS["narrow"])
    log_in(page, site.url, "boss")
    boss.is_staff = False
    boss.save()

    def add_policy(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": "default-src 'self'"})

    page.add_init_script(
        "window.refused = [];"
        "addEventListener('securitypolicyviolation', (event) => refused.push(event.violatedDirective));"
    )
    page.route(f"**/exotel/{name}/*", add_policy)
    page.goto(f"{site.url}/exotel/{name}/?{dates(7)}")
    keep_picture(page, f"plain_{name}")

    assert page.locator(".exotel-plain").count() == 1
    assert page.evaluate("refused") == []
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_report_on_paper(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    log_in(page, site.url, "boss")
    page.goto(f"{site.url}/exotel/reports/?{dates(60)}")
    page.emulate_media(media="print")
    keep_picture(page, "report_print")

    assert page.is_hidden(".exotel-filter")
    assert page.is_visible("#exotel-days ~ details table")  # folded on the screen
