"""Tokens of callback URLs: one event of one call for a week, or an account without an expiry."""

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
def test_token_names_call_and_event(event: str) -> None:
    token = callback_urls.sign(REFERENCE, event)

    assert callback_urls.verify(token) == (REFERENCE, event)
    assert "/" not in token


def test_events_have_different_tokens() -> None:
    answered, terminal = callback_urls.sign(REFERENCE, "answered"), callback_urls.sign(REFERENCE, "terminal")

    assert answered.rpartition(".")[2] != terminal.rpartition(".")[2]
    assert callback_urls.verify(answered) != callback_urls.verify(terminal)


def test_signature_of_another_call() -> None:
    token, other = callback_urls.sign(REFERENCE, "terminal"), callback_urls.sign(uuid.uuid4(), "terminal")

    swapped = other.partition(".")[0] + "." + token.partition(".")[2]

    assert callback_urls.verify(swapped) is None


@pytest.mark.parametrize(("days", "opens"), [(6.99, True), (7.01, False), (400, False)])
def test_token_expires_after_a_week(days: float, *, opens: bool) -> None:
    with time_machine.travel(PLACED, tick=False):
        token = callback_urls.sign(REFERENCE, "answered")

    with time_machine.travel(PLACED + datetime.timedelta(days=days), tick=False):
        assert (callback_urls.verify(token) is not None) is opens


def test_rotation_of_the_secret_key(settings: Any) -> None:
    token, account_token = callback_urls.sign(REFERENCE, "terminal"), callback_urls.sign_account("default")

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", [settings.SECRET_KEY]
    assert callback_urls.verify(token) == (REFERENCE, "terminal")
    assert callback_urls.verify_account(account_token) == "default"

    settings.SECRET_KEY_FALLBACKS = []
    assert callback_urls.verify(token) is None
    assert callback_urls.verify_account(account_token) is None


@pytest.mark.parametrize("alias", ["default", "a.b.c", "é %2F?#&", "x" * 50])
def test_account_token_never_expires(alias: str) -> None:
    with time_machine.travel(PLACED, tick=False):
        token = callback_urls.sign_account(alias)

    with time_machine.travel(PLACED + datetime.timedelta(days=4000), tick=False):
        assert callback_urls.verify_account(token) == alias
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_tokens_of_calls_and_accounts_differ() -> None:
    assert callback_urls.verify(callback_urls.sign_account(REFERENCE.hex)) is None
    assert [callback_urls.verify_account(callback_urls.sign(REFERENCE, event)) for event in callback_urls.EVENTS] == [
        None,
        None,
    ]


@given(st.booleans(), st.integers(0), st.characters())
def test_changed_letter_invalidates_a_token(is_account: bool, place: int, letter: str) -> None:
    token = callback_urls.sign_account("default") if is_account else callback_urls.sign(REFERENCE, "terminal")
    place %= len(token)
    assume(token[place] != letter)

    verify = callback_urls.verify_account if is_account else callback_urls.verify
    assert verify(token[:place] + letter + token[place + 1 :]) is None


@given(st.text() | st.text("0123456789abcdef.:-_", max_size=90))
def test_no_text_raises(token: str) -> None:
    assert callback_urls.verify(token) is None
    assert callback_urls.verify_account(token) is None


def test_other_signatures_of_the_same_key() -> None:
    for value in (REFERENCE.hex, "admin", ""):
        assert callback_urls.verify(TimestampSigner(sep=".").sign(value)) is None
        assert callback_urls.verify(Signer(salt="django_exotel_ccm.callback.terminal", sep=".").sign(value)) is None
    not_a_reference = TimestampSigner(salt="django_exotel_ccm.callback.terminal", sep=".").sign("17")
    assert callback_urls.verify(not_a_reference) is None
