"""``exotel_callback_url``: the address to enter in Exotel's dashboard, ready to be used."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import set_script_prefix

from django_exotel_ccm.models import CallRecord, UnverifiedCall
from tests.factories import SID, body_of


def printed(*arguments: str) -> str:
    out = io.StringIO()
    call_command("exotel_callback_url", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def settings(settings: Any) -> Any:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": "https://crm.example.com/"}
    return settings


@pytest.mark.django_db
@pytest.mark.parametrize("arguments", [(), ("default",)])
def test_printed_url_accepts_callbacks(arguments: tuple[str, ...], settings: Any) -> None:
    url = printed(*arguments)

    assert url.startswith("https://crm.example.com/exotel/callbacks/")
    assert url.count("\n") == 1
    path = url.strip().removeprefix("https://crm.example.com")
    assert Client().post(path, body_of(), content_type="application/json").status_code == 200
    assert UnverifiedCall.objects.get().call_sid == SID


def test_url_is_stable_below_the_mount_path(settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": "https://example.com/crm"}
    first = printed()

    set_script_prefix("/crm/")
    try:
        again = printed()
    finally:
        set_script_prefix("/")

    assert first == again
    assert first.startswith("https://example.com/crm/exotel/callbacks/")


def test_several_accounts(settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "EXOTEL_URL", "sales": "EXOTEL_SALES"}}

    lines = printed().splitlines()

    assert [line.partition(": ")[0] for line in lines] == ["default", "sales"]
    assert [line.partition(": ")[2] for line in lines] == [printed("default").strip(), printed("sales").strip()]
    assert len(set(lines)) == 2


def test_base_url_callable_gets_the_account(settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": "tests.management.test_callback_url.base_of"}

    assert printed().startswith("https://default.example.com/exotel/callbacks/")


def base_of(call: CallRecord) -> str:
    return f"https://{call.account}.example.com"


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({}, ("sales",), "There is no Exotel account 'sales'. EXOTEL_CCM['ACCOUNTS'] has: default."),
        ({"CALLBACK_BASE_URL": ""}, (), 'Write EXOTEL_CCM = {"CALLBACK_BASE_URL": "https://crm.example.com"}.'),
        ({"CALLBACK_BASE_URL": "http://crm.example.com"}, (), "Exotel would not know where to report."),
        ({"CALLBACK_BASE_URL": "tests.no.such_thing"}, (), "cannot be imported"),
    ],
)
def test_missing_settings(changes: dict[str, str], arguments: tuple[str, ...], words: str, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, **changes}

    with pytest.raises(CommandError) as error:
        printed(*arguments)

    assert words in str(error.value)


def test_urls_not_included(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__

    with pytest.raises(CommandError) as error:
        printed()

    assert 'Write path("exotel/", include("django_exotel_ccm.urls")).' in str(error.value)


urlpatterns: list[Any] = []
"""A host that has not included our URLs."""
