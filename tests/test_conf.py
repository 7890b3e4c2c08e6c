"""EXOTEL_CCM and the environment: unusable values are named with the line to write, and never quoted."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_exotel_ccm import accounts, conf
from django_exotel_ccm.exotel.account import Secret
from tests.exotel.leaks import KEY, TOKEN, leaks_in, text_of_exception

URL = "exotel://K:T@mumbai/acme1"


@pytest.mark.parametrize(
    ("keys", "number", "line"),
    [
        ({"ACCOUNTS": ["EXOTEL_URL"]}, "E002", '"ACCOUNTS": {"default": "EXOTEL_URL"}'),
        ({"ACCOUNTS": {"default": ""}}, "E002", '"ACCOUNTS": {"default": "EXOTEL_URL"}'),
        ({"ACCOUNTS": {1: "EXOTEL_URL"}}, "E002", '"ACCOUNTS": {"default": "EXOTEL_URL"}'),
        ({"ACCOUNTS": {"a" * 51: "EXOTEL_URL"}}, "E002", '"ACCOUNTS": {"default": "EXOTEL_URL"}'),
        ({"CALLBACK_BASE_URL": 5}, "E003", '"CALLBACK_BASE_URL": "https://crm.example.com"'),
        ({"CALLBACK_BASE_URL": "crm"}, "E003", '"CALLBACK_BASE_URL": "https://crm.example.com"'),
        ({"CALLBACK_BASE_URL": "https://crm.example.com/?x=1"}, "E003", '"https://crm.example.com"'),
        ({"CALLBACK_BASE_URL": "https://crm example.com"}, "E003", '"https://crm.example.com"'),
        ({"CALLBACK_BASE_URL": "https://crm.example.com:port"}, "E003", '"https://crm.example.com"'),
        ({"CALLBACK_BASE_URL": "https://"}, "E003", '"https://crm.example.com"'),
        ({"TICKETS": ["helpdesk.Ticket"]}, "E004", '"TICKETS": {"helpdesk.Ticket": {"prefix": "ticket"'),
        ({"TICKETS": {"helpdesk.Ticket": "ticket"}}, "E004", '"TICKETS": {"helpdesk.Ticket": {"prefix": "ticket"'),
        ({"TICKETS": {5: {"prefix": "ticket"}}}, "E004", '"TICKETS": {"helpdesk.Ticket": {"prefix": "ticket"'),
        ({"NUMBER_REGION": ["IN"]}, "E005", '"NUMBER_REGION": "IN"'),
        ({"RECORDING_RETRY_FOR": 10**12}, "E013", '"RECORDING_RETRY_FOR": 7200'),
        ({"RETENTION": 90}, "E019", '"RETENTION": {"raw_bodies": 90'),
        ({"RETENTION": {"calls": 90}}, "E019", '"RETENTION": {"raw_bodies": 90'),
        ({"RETENTION": {"raw_bodies": 0}}, "E019", '"RETENTION": {"raw_bodies": 90'),
        ({"RETENTION": {"raw_bodies": True}}, "E019", '"RETENTION": {"raw_bodies": 90'),
        ({"RETENTION": {"recordings": 10**9}}, "E019", '"RETENTION": {"raw_bodies": 90'),
        ({"RECORDING_HOSTS": "files.example.com"}, "E016", '"RECORDING_HOSTS": ["recordings.example.com"]'),
        ({"RECORDING_HOSTS": ["https://files.example.com"]}, "E016", '["recordings.example.com"]'),
        ({"RECORDING_HOSTS": ["10.0.0.1"]}, "E016", '["recordings.example.com"]'),
        ({"RECORDING_HOSTS": ["localhost"]}, "E016", '["recordings.example.com"]'),
        ({"AGENT_FOR_USER": "agent_for"}, "E006", '"AGENT_FOR_USER": "crm.telephony.agent_for"'),
        ({"WORK_CONTEXT": len}, "E006", '"WORK_CONTEXT": "crm.tenants.work_context"'),
    ],
)
def test_unusable_value_has_default_and_advice(settings: Any, keys: dict[str, Any], number: str, line: str) -> None:
    settings.EXOTEL_CCM = keys

    [(found, problem, hint)] = conf.get_settings().problems
    name = next(iter(keys))
    assert found == number
    assert problem.startswith(f"EXOTEL_CCM['{name}'] is n")
    assert line in hint
    assert getattr(conf.get_settings(), name.lower()) == getattr(conf.Settings(), name.lower())


@pytest.mark.parametrize(
    "value",
    [
        "crm.telephony.office_hours",
        ["office_hours"],
        [None],
        [{}],
        [{"OPTIONS": {}}],
        [{"NAME": "office_hours"}],
        ["crm.telephony.office_hours", 5],
    ],
)
def test_unusable_policies_are_not_taken_for_none(settings: Any, value: Any) -> None:
    settings.EXOTEL_CCM = {"POLICIES": value}

    [(number, problem, hint)] = conf.get_settings().problems
    assert (number, problem) == ("E006", "EXOTEL_CCM['POLICIES'] is not a list of dotted paths and dicts.")
    assert '"POLICIES": ["crm.telephony.office_hours"]' in hint
    assert conf.get_settings().policies is None


def test_unknown_key(settings: Any) -> None:
    settings.EXOTEL_CCM = {"CALLBACK_URL": "https://crm.example.com"}

    [(number, problem, hint)] = conf.get_settings().problems
    assert (number, problem) == ("E001", "EXOTEL_CCM has no key 'CALLBACK_URL'.")
    assert "CALLBACK_BASE_URL" in hint


@pytest.mark.parametrize("value", ["https://crm.example.com", ["ACCOUNTS"], 5])
def test_setting_that_is_no_dict(settings: Any, value: Any) -> None:
    settings.EXOTEL_CCM = value

    conf.hide_literal_accounts()

    assert conf.get_settings().problems == (("E001", "EXOTEL_CCM is not a dict.", "Write EXOTEL_CCM = {...}."),)


@pytest.mark.parametrize("value", [None, {}, {"ACCOUNTS": None, "POLICIES": None}])
def test_empty_settings(settings: Any, value: Any) -> None:
    settings.EXOTEL_CCM = value

    assert asdict(conf.get_settings()) == asdict(conf.Settings())


def test_usable_settings(settings: Any) -> None:
    settings.EXOTEL_CCM = {
        "ACCOUNTS": {"default": "EXOTEL_URL", "sales": "SALES_URL"},
        "CALLBACK_BASE_URL": "https://crm.example.com:8443/crm",
        "NUMBER_REGION": "SG",
        "POLICIES": ["tests.test_conf.nobody"],
        "WORK_CONTEXT": "tests.test_conf.nobody",
        "AGENT_FOR_USER": "tests.test_conf.nobody",
    }

    read = conf.get_settings()
    assert read.problems == ()
    assert read.policies == ("tests.test_conf.nobody",)
    assert (read.number_region, read.callback_base_url) == ("SG", "https://crm.example.com:8443/crm")


def test_overridden_settings_are_read_again() -> None:
    with override_settings(EXOTEL_CCM={"NUMBER_REGION": "SG"}):
        inside = conf.get_settings().number_region

    assert (inside, conf.get_settings().number_region) == ("SG", "IN")


def nobody(*args: Any) -> None:
    return None


NOT_CALLABLE = "x"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tests.test_conf.somebody", "'tests.test_conf.somebody', which cannot be imported"),
        ("crm.telephony.agent_for", "'crm.telephony.agent_for', which cannot be imported"),
        ("tests.test_conf.NOT_CALLABLE", "'tests.test_conf.NOT_CALLABLE', which is not callable"),
    ],
)
def test_dotted_path_without_callable(path: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        conf.load(path)


# Accounts.


def test_default_account_from_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_URL", "exotel://K%2F1:T%40@singapore/acme1")

    account = accounts.get_account()

    assert (account.key.reveal(), account.token.reveal(), account.sid) == ("K/1", "T@", "acme1")
    assert account.ccm_url == "https://ccm-api.exotel.com"
    assert accounts.configured_accounts() == {"default": account}


def test_default_account_from_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"API_KEY": "K%2F", "API_TOKEN": "T@:/", "ACCOUNT_SID": "acme1", "REGION": "mumbai", "TO_KEY": "number"}
    for name, value in parts.items():
        monkeypatch.setenv(f"EXOTEL_{name}", value)

    account = accounts.get_account()

    assert (account.key.reveal(), account.token.reveal(), account.to_key) == ("K%2F", "T@:/", "number")
    assert account.ccm_url == "https://ccm-api.in.exotel.com"


def test_url_wins_over_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_URL", URL)
    monkeypatch.setenv("EXOTEL_API_KEY", "other")

    assert accounts.get_account().key.reveal() == "K"


def test_several_accounts_by_alias(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EXOTEL_CCM = {"ACCOUNTS": {"default": "EXOTEL_URL", "sales": "SALES_URL"}}
    monkeypatch.setenv("EXOTEL_URL", URL)
    monkeypatch.setenv("SALES_URL", "exotel://K2:T2@singapore/acme2")

    assert {alias: account.sid for alias, account in accounts.configured_accounts().items()} == {
        "default": "acme1",
        "sales": "acme2",
    }


def test_no_account_at_all() -> None:
    assert accounts.configured_accounts() == {}


@pytest.mark.parametrize("alias", ["sales", ""])
def test_unknown_alias(alias: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf'"ACCOUNTS": {{"{alias}": "EXOTEL_URL"}}'):
        accounts.get_account(alias)


def test_accounts_replace_the_environment(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EXOTEL_CCM = {"ACCOUNTS": {"sales": "SALES_URL"}}
    monkeypatch.setenv("EXOTEL_URL", URL)

    with pytest.raises(ImproperlyConfigured, match="There is no Exotel account 'default'"):
        accounts.get_account()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {},
            "No Exotel account is configured. Set EXOTEL_API_KEY, EXOTEL_API_TOKEN, EXOTEL_ACCOUNT_SID, EXOTEL_REGION",
        ),
        ({"EXOTEL_URL": f"{KEY}:{TOKEN}@mumbai/a"}, "EXOTEL_URL does not begin with exotel://. Write: EXOTEL_URL="),
        ({"EXOTEL_API_KEY": KEY}, "EXOTEL_API_TOKEN lacks the API token. Write: EXOTEL_API_TOKEN=TOKEN"),
        ({"EXOTEL_API_KEY": KEY, "EXOTEL_API_TOKEN": TOKEN}, "EXOTEL_ACCOUNT_SID lacks the account SID"),
        (
            {"EXOTEL_URL": f"${TOKEN}"},
            r"EXOTEL_URL starts with \$, which names another variable, and that one is not set",
        ),
        ({"EXOTEL_API_KEY": KEY, "EXOTEL_API_TOKEN": f"${TOKEN}"}, r"EXOTEL_API_TOKEN starts with \$"),
        ({"EXOTEL_URL": "$EXOTEL_URL"}, r"EXOTEL_URL starts with \$"),
        ({"EXOTEL_URL": "$OTHER", "OTHER": "$EXOTEL_URL"}, r"EXOTEL_URL starts with \$"),
    ],
)
def test_unreadable_environment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with caplog.at_level(logging.DEBUG), pytest.raises(ImproperlyConfigured, match=words) as raised:
        accounts.get_account()

    assert "Write: EXOTEL_" in str(raised.value)
    assert leaks_in(text_of_exception(raised.value, skip=__file__)) == []
    assert leaks_in(caplog.text) == []


def test_variable_that_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_URL", "$VAULT_URL")
    monkeypatch.setenv("VAULT_URL", URL)

    assert accounts.get_account().sid == "acme1"
    assert {"EXOTEL_URL", "VAULT_URL"} <= accounts.credential_variables()


# Credentials in the settings themselves.


def test_literal_credentials_are_masked(settings: Any) -> None:
    settings.EXOTEL_CCM = {"ACCOUNTS": {"default": "exotel://planted-zebra:planted-walrus@mumbai/acme1"}}

    account = accounts.get_account()

    assert account.token.reveal() == "planted-walrus"
    assert leaks_in(repr(django_settings.EXOTEL_CCM) + repr(conf.get_settings())) == []
    assert conf.has_literal_account()


@pytest.mark.parametrize(
    "value",
    [
        {"ACCOUNTS": "exotel://zebra:walrus@mumbai/a"},
        {"ACCOUNTS": ["exotel://zebra:walrus@mumbai/a"]},
        {"ACCOUNTS": {"default": {"URL": "exotel://zebra:walrus@mumbai/a"}}},
        {"ACCOUNTS": {"default": "zebra:walrus@mumbai/a"}},
        {"ACCOUNTS": {"default": " EXOTEL://zebra:walrus@mumbai/a"}},
        {"ACCOUNT": {"default": "exotel://zebra:walrus@mumbai/a"}},
        {"CALLBACK_BASE_URL": "exotel://zebra:walrus@mumbai/a"},
        {"ACCOUNTS": {"exotel://zebra:walrus@mumbai/a": "default"}},
        {"ACCOUNTS": {"exotel://zebra:walrus@mumbai/a"}},
        {"ACCOUNTS": deque([("default", "exotel://zebra:walrus@mumbai/a")])},
        {"POLICIES": ("exotel://zebra:walrus@mumbai/a",)},
        MappingProxyType({"ACCOUNT": "exotel://zebra:walrus@mumbai/a"}),
        MappingProxyType({"TICKETS": MappingProxyType({"helpdesk.Ticket": "exotel://zebra:walrus@mumbai/a"})}),
        ["ACCOUNTS", {"default": "exotel://zebra:walrus@mumbai/a"}],
        ("exotel://zebra:walrus@mumbai/a",),
        "exotel://zebra:walrus@mumbai/a",
    ],
)
def test_misplaced_credentials_are_masked(settings: Any, value: Any) -> None:
    settings.EXOTEL_CCM = value

    found = conf.get_settings()

    assert leaks_in(repr(django_settings.EXOTEL_CCM) + repr(found)) == []
    if not found.problems:
        with pytest.raises(ImproperlyConfigured, match=r"EXOTEL_CCM\['ACCOUNTS'\]") as raised:
            accounts.get_account()
        assert leaks_in(text_of_exception(raised.value, skip=__file__)) == []


@pytest.mark.parametrize("outer", [dict, MappingProxyType])
def test_frozen_settings_are_masked(settings: Any, outer: Any) -> None:
    literal = {"default": "exotel://planted-zebra:planted-walrus@mumbai/acme1"}
    settings.EXOTEL_CCM = outer({"ACCOUNTS": MappingProxyType(literal)})

    conf.hide_literal_accounts()  # as at the start, before anything is read

    assert leaks_in(repr(django_settings.EXOTEL_CCM)) == []
    assert accounts.get_account().token.reveal() == "planted-walrus"


def test_account_as_secret(settings: Any) -> None:
    settings.EXOTEL_CCM = {"ACCOUNTS": {"default": Secret(URL)}}

    assert accounts.get_account().sid == "acme1"
