"""A callback's URL opens one event of one call, for a week; an account's own never expires."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
import time_machine
from django.core.signing import Signer, TimestampSigner
from hypothesis import assume, given
from hypothesis import strategies as st

from django_exotel_ccm import callback_urls

REFERENCE = uuid.UUID("5f0c2a9e-7b1d-4c68-a3e2-f9b0d4717b2c")
PLACED = datetime.datetime(2026, 2, 11, 6, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize("event", callback_urls.EVENTS)
def test_a_token_names_its_call_and_its_event(event: str) -> None:
    token = callback_urls.sign(REFERENCE, event)

    assert callback_urls.verify(token) == (REFERENCE, event)
    assert "/" not in token


def test_one_event_s_token_is_not_the_other_s() -> None:
    answered, terminal = callback_urls.sign(REFERENCE, "answered"), callback_urls.sign(REFERENCE, "terminal")

    assert answered.rpartition(".")[2] != terminal.rpartition(".")[2]
    assert callback_urls.verify(answered) != callback_urls.verify(terminal)


def test_the_signature_of_one_call_does_not_open_another() -> None:
    token, other = callback_urls.sign(REFERENCE, "terminal"), callback_urls.sign(uuid.uuid4(), "terminal")

    swapped = other.partition(".")[0] + "." + token.partition(".")[2]

    assert callback_urls.verify(swapped) is None


@pytest.mark.parametrize(("days", "opens"), [(6.99, True), (7.01, False), (400, False)])
def test_a_token_opens_for_a_week(days: float, *, opens: bool) -> None:
    with time_machine.travel(PLACED, tick=False):
        token = callback_urls.sign(REFERENCE, "answered")

    with time_machine.travel(PLACED + datetime.timedelta(days=days), tick=False):
        assert (callback_urls.verify(token) is not None) is opens


def test_calls_survive_a_rotation_of_the_secret_key(settings: Any) -> None:
    token = callback_urls.sign(REFERENCE, "terminal")

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", [settings.SECRET_KEY]
    assert callback_urls.verify(token) == (REFERENCE, "terminal")

    settings.SECRET_KEY_FALLBACKS = []
    assert callback_urls.verify(token) is None


@pytest.mark.parametrize("alias", ["default", "sales/north", "a.b.c", "é ü", "..", "%2F?#&", "x" * 50])
def test_a_token_names_its_account_for_ever(alias: str) -> None:
    with time_machine.travel(PLACED, tick=False):
        token = callback_urls.sign_account(alias)

    with time_machine.travel(PLACED + datetime.timedelta(days=4000), tick=False):
        assert callback_urls.verify_account(token) == alias
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_an_account_s_token_survives_a_rotation_of_the_secret_key(settings: Any) -> None:
    token = callback_urls.sign_account("default")

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", [settings.SECRET_KEY]
    assert callback_urls.verify_account(token) == "default"

    settings.SECRET_KEY_FALLBACKS = []
    assert callback_urls.verify_account(token) is None


def test_calls_and_accounts_do_not_open_each_other() -> None:
    assert callback_urls.verify(callback_urls.sign_account(REFERENCE.hex)) is None
    assert [callback_urls.verify_account(callback_urls.sign(REFERENCE, event)) for event in callback_urls.EVENTS] == [
        None,
        None,
    ]


@given(st.integers(0), st.characters())
def test_an_account_s_token_with_one_letter_changed_opens_nothing(place: int, letter: str) -> None:
    token = callback_urls.sign_account("default")
    place %= len(token)
    assume(token[place] != letter)

    assert callback_urls.verify_account(token[:place] + letter + token[place + 1 :]) is None


@given(st.integers(0), st.characters())
def test_a_token_with_one_letter_changed_opens_nothing(place: int, letter: str) -> None:
    token = callback_urls.sign(REFERENCE, "terminal")
    place %= len(token)
    assume(token[place] != letter)

    assert callback_urls.verify(token[:place] + letter + token[place + 1 :]) is None


@given(st.text() | st.text("0123456789abcdef.:-_", max_size=90))
def test_no_text_makes_reading_raise(token: str) -> None:
    assert callback_urls.verify(token) is None
    assert callback_urls.verify_account(token) is None


def test_what_the_same_key_signed_elsewhere_opens_nothing() -> None:
    for value in (REFERENCE.hex, "admin", ""):
        assert callback_urls.verify(TimestampSigner(sep=".").sign(value)) is None
        assert callback_urls.verify(Signer(salt="django_exotel_ccm.callback.terminal", sep=".").sign(value)) is None
    not_a_reference = TimestampSigner(salt="django_exotel_ccm.callback.terminal", sep=".").sign("17")
    assert callback_urls.verify(not_a_reference) is None
