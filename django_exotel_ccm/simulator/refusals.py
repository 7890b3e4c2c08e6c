"""Exotel's codes for saying no (docs/exotel.md 2.8, 5.6)."""

from __future__ import annotations


class RefusedError(Exception):
    """The API refuses a request with one of its codes."""

    def __init__(self, code: int, description: str = "") -> None:
        self.code = code
        self.description = description
        super().__init__(code)


CALL_REFUSALS = {
    1010: (401, "Authentication failed", "check the API key and token"),
    1012: (409, "User device unavailable", "the agent's device is OFF"),
    1017: (404, "Tenant not found", "there is no such account"),
    1100: (500, "Internal server error", "something went wrong"),
    10705: (409, "User device unverified", "the agent's device is not verified"),
    10706: (409, "User device busy", "the agent is on another call"),
    10708: (409, "Device not available", "no device of the agent is online"),
    10716: (404, "Virtual number not found", "the ExoPhone is not one of this account"),
    10717: (403, "Number blocked", "the customer's number is on the do-not-disturb register"),
    10724: (429, "Too many requests", "more than 200 requests in a minute"),
    10725: (400, "Invalid request body", "the request body cannot be understood"),
    10731: (404, "User not found", "the agent is not a co-worker of this account"),
    10744: (404, "Call not found", "there is no call with this sid"),
}
"""Code -> HTTP status, message, description.

The status of 10708 and 10717 is undocumented; of the latter a client passes 403 on.
"""

DIRECTORY_REFUSALS = {
    **{code: CALL_REFUSALS[code] for code in (1010, 1017, 1100, 10724)},
    1001: (400, "Bad request", "first_name is missing"),
    1002: (400, "Bad request", "the e-mail address is set already"),
    1003: (403, "Forbidden", "this is not allowed"),
    1004: (500, "Server error", "something went wrong"),
    1007: (400, "Bad request", "the request cannot be understood"),
    1401: (400, "Bad request", "the phone number is invalid"),
    1402: (400, "Bad request", "device_contact_uri is missing"),
    10801: (404, "User not found", "there is no user with this id"),
    10809: (409, "Device unverified", "the device has to be verified first"),
    10810: (403, "Another device is available", "turn the other device OFF first"),
    10811: (409, "Device already exists", "another user has this device"),
    10812: (409, "Device already exists", "another user has this device"),
    10813: (409, "User already exists", "the e-mail address belongs to another account"),
    10814: (403, "KYC incomplete", "the documents of the account are not complete"),
    10815: (403, "Trial account", "a trial account does not allow this"),
    10817: (403, "Device cannot be updated", "only phones can be updated"),
}
"""The same for users, devices and ExoPhones."""

REFUSALS = {**CALL_REFUSALS, **DIRECTORY_REFUSALS}
