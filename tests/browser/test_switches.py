"""The simulator's own page in a real browser: what it says about its switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_the_page_names_the_switches_that_were_changed_and_no_other_word(
    exotel: Any, open_page: Callable[..., Any]
) -> None:
    exotel.options.answered_last = True  # its text names `answered` and `terminal`
    exotel.options.answer_fault = "late"  # its text names another switch
    page = open_page()

    page.goto(exotel.url)
    page.wait_for_function("document.querySelector('#changed').textContent.startsWith('Not')")

    assert page.inner_text("#changed") == "Not as at first: answer_fault, answered_last."
