"""Exotel's codes for saying no (docs/exotel.md 2.8)."""

from __future__ import annotations


class RefusedError(Exception):
    """The API refuses a request with one of its codes."""

    def __init__(self, code: int, description: str = "") -> None:
        self.code = code
        self.description = description
        super().__init__(code)


REFUSALS = {
    1010: (401, "Authentication failed", "check the API key and token"),
    1012: (409, "User device unavailable", "the agent's device is OFF"),
    1017: (404, "Tenant not found", "there is no such account"),
    1100: (500, "Internal server error", "something went wrong"),
    10705: (409, "User device unverified", "the agent's device is not verified"),
    10706: (409, "User device busy", "the agent is on another call"),
    10716: (404, "Virtual number not found", "the ExoPhone is not one of this account"),
    10717: (403, "Number blocked", "the customer's number is on the do-not-disturb register"),
    10724: (429, "Too many requests", "more than 200 requests in a minute"),
    10725: (400, "Invalid request body", "the request body cannot be understood"),
    10731: (404, "User not found", "the agent is not a co-worker of this account"),
    10744: (404, "Call not found", "there is no call with this sid"),
}
"""Code -> HTTP status, message, description. 10717's status is undocumented; a client passes 403 on."""
