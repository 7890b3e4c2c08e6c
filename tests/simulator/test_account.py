"""The account and its balance, and the errors that Exotel documents for them."""

from __future__ import annotations

from typing import Any

import pytest
import requests


def fetch(exotel: Any, path: str, auth: tuple[str, str] = ("sim-key", "sim-token")) -> requests.Response:
    return requests.get(f"{exotel.url}/v1/Accounts/{path}", auth=auth, timeout=5)


def test_account(exotel_simulator: Any) -> None:
    account = fetch(exotel_simulator, "simulated1.json").json()["Account"]

    assert (account["Sid"], account["Status"], account["Type"]) == ("simulated1", "active", "Full")


def test_balance_is_text(exotel_simulator: Any) -> None:
    exotel_simulator.options.balance = 12.5

    account = fetch(exotel_simulator, "simulated1/Balance.json").json()["Account"]

    assert account["AccountSid"] == "simulated1"
    assert (account["BalanceData"]["Balance"], account["BalanceData"]["Currency"]) == ("12.50", "INR")


@pytest.mark.parametrize("path", ["simulated1.json", "simulated1/Balance.json"])
def test_wrong_key_and_account(path: str, exotel_simulator: Any) -> None:
    assert fetch(exotel_simulator, path, ("sim-key", "wrong")).status_code == 401
    assert fetch(exotel_simulator, path.replace("simulated1", "another")).status_code == 404
    assert requests.post(f"{exotel_simulator.url}/v1/Accounts/{path}", timeout=5).status_code == 405


@pytest.mark.parametrize(
    ("fault", "status"),
    [("unauthorised", 401), ("forbidden", 403), ("not_found", 404), ("too_many", 429), ("error", 500), ("html", 502)],
)
@pytest.mark.parametrize(
    ("option", "path"), [("account_fault", "simulated1.json"), ("balance_fault", "simulated1/Balance.json")]
)
def test_faults(fault: str, status: int, option: str, path: str, exotel_simulator: Any) -> None:
    exotel_simulator.options.set_text(option, fault)

    answer = fetch(exotel_simulator, path)

    assert answer.status_code == status
    if fault != "html":
        assert answer.json()["RestException"]["Status"] == status
