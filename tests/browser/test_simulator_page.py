"""The simulator's own page in a real browser: scenarios, options, and its message without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import violations

pytestmark = pytest.mark.browser


def test_page_names_changed_options_only(exotel: Any, open_page: Callable[..., Any]) -> None:
    exotel.options.answered_last = True  # its text names `answered` and `terminal`
    exotel.options.answer_fault = "late"  # its text names another option
    page = open_page()

    page.goto(exotel.url)
    page.wait_for_function("document.querySelector('#changed').textContent.includes('changed')")

    assert page.inner_text("#changed") == "A mixture of your own; options changed: answer_fault, answered_last."


def test_scenario_and_reset_take_one_click_each(exotel: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(exotel.url)
    assert not page.is_visible("#options")

    page.click("text=Reports come twice")
    page.wait_for_selector("[data-name=twice][aria-pressed=true]")

    assert exotel.options.duplicate_callbacks
    assert page.inner_text("#changed") == "Reports come twice; options changed: duplicate_callbacks."
    assert violations(page) == []
    page.click("text=Everything works")
    page.wait_for_selector("[data-name=everything_works][aria-pressed=true]")
    assert not exotel.options.duplicate_callbacks


def test_single_option_is_set_below_the_scenarios(exotel: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto(exotel.url)

    page.click("text=All options, one by one")
    page.fill("#option-loss_rate", "0.25")
    page.press("#option-loss_rate", "Enter")
    page.wait_for_selector(".row.changed #option-loss_rate")
    assert exotel.options.loss_rate == 0.25
    page.fill("#option-loss_rate", "2")
    page.press("#option-loss_rate", "Tab")
    page.wait_for_selector("#problem:has-text('write a number from 0 to 1')")

    assert exotel.options.loss_rate == 0.25


def test_page_says_that_it_needs_javascript(exotel: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(java_script_enabled=False)

    page.goto(exotel.url)

    assert "This page needs JavaScript" in page.inner_text("noscript")
    assert not page.is_visible("#phone-agent")
    assert page.is_visible("text=+919000001001")
