"""The account itself and its balance (docs/exotel.md 10.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django_exotel_ccm.simulator.http_server import HTML, WEB_PAGE, Request, Response, json_response, response

if TYPE_CHECKING:
    from django_exotel_ccm.simulator.simulator import Simulator

CREATED_AT, UPDATED_AT = "2024-05-06 11:20:00", "2026-03-04 09:32:18"
REFUSALS = {
    "unauthorised": (401, "Authentication failed"),
    "forbidden": (403, "Forbidden"),
    "not_found": (404, "Not found"),
    "too_many": (429, "Too many requests"),
    "error": (500, "Internal server error"),
}


def account_response(exotel: Simulator, request: Request) -> Response:
    """Return the account, or what `account_fault` says."""
    sid, options = exotel.account.sid, exotel.options
    account = {
        "Sid": sid,
        "FriendlyName": "Simulated account",
        "Type": "Full",
        "Status": options.account_status,
        "DateCreated": CREATED_AT,
        "DateUpdated": UPDATED_AT,
        "Uri": f"/v1/Accounts/{sid}.json",
        "BillingType": options.billing,
        "KycStatus": "Approved",
    }
    return _answer(options.account_fault, account)


def balance_response(exotel: Simulator, request: Request) -> Response:
    """Return the balance, or what `balance_fault` says."""
    balance = {
        "Balance": f"{exotel.options.balance:.2f}",
        "Currency": "INR",
        "PricingPlan": "Pay As You Go",
        "DateUpdated": UPDATED_AT,
    }
    return _answer(exotel.options.balance_fault, {"AccountSid": exotel.account.sid, "BalanceData": balance})


def _answer(fault: str, account: Mapping[str, object]) -> Response:
    if fault == "html":
        return response(502, WEB_PAGE, HTML)
    if fault in REFUSALS:
        status, message = REFUSALS[fault]
        return json_response(status, {"RestException": {"Status": status, "Message": message, "Code": status}})
    return json_response(200, {"Account": account})
