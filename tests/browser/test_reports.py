"""The report and the live board in a real browser: a supervisor chooses days and an agent, and fetches the file."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallRecord
from tests.admin.pages import SEES_CALLS
from tests.browser.conftest import keep_picture, log_in, log_in_by_form, violations
from tests.browser.week_of_calls import record_week

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
    record_week(host)
    return host.user("boss", SEES_CALLS, "exotel_ccm.view_reports", "helpdesk.view_ticket", agent=None)


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


def test_figures_are_not_broken_over_lines(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    CallRecord.objects.filter(outcome="completed").update(talk_time=61_234)
    page = open_page()
    log_in(page, site.url, "boss")
    page.goto(f"{site.url}/exotel/reports/?{dates(7)}")
    assert re.fullmatch(r"\d{3} h \d+ min \d+ s", page.inner_text(".exotel-value >> nth=4"))

    lines = """values => values.filter((one) => {
      const text = document.createRange();
      text.selectNodeContents(one);
      return new Set([...text.getClientRects()].map((line) => line.top)).size > 1;
    }).map((one) => one.textContent)"""
    broken = {}
    for width in range(360, 1400, 20):
        page.set_viewport_size({"width": width, "height": 900})
        broken[width] = page.eval_on_selector_all(".exotel-value", lines)
    assert {width: found for width, found in broken.items() if found} == {}


def test_supervisor_asks_for_one_agent_and_fetches_the_file(
    boss: Any, site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    log_in_by_form(page, site.url, "boss")
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


def test_tables_are_as_wide_as_an_upright_page(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(width=718)  # A4 between the margins of a browser
    log_in(page, site.url, "boss")
    page.goto(f"{site.url}/exotel/reports/?{dates(60)}")
    page.emulate_media(media="print")

    rights = page.eval_on_selector_all(
        ".exotel-card table",
        """(tables) => tables.map(
          (table) => [table, table.closest(".exotel-card")].map((one) => one.getBoundingClientRect().right)
        )""",
    )
    assert len(rights) >= 5
    assert [table for table, card in rights if table > card] == []
