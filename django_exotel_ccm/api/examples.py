"""Examples for the schema: bodies that can be sent as they are, and what the API says when it says no."""

from __future__ import annotations

from typing import Any

BODIES: dict[str, dict[str, dict[str, Any]]] = {
    "place_call": {
        "About a ticket": {"ticket": "ticket_1"},
        "With options": {"ticket": "ticket_1", "recording": True, "max_time_limit": 600, "attempt_time_out": 30},
    },
    "write_note": {
        "A note": {"text": "Sends the new address by mail.", "disposition": "reached"},
        "A call-back": {"text": "Asked to be called later.", "follow_up_at": "2030-01-15T10:00:00+05:30"},
    },
    "schedule_follow_up": {
        "Tomorrow at ten": {"ticket": "ticket_1", "due_at": "2030-01-15T10:00:00+05:30", "text": "Has it arrived?"},
    },
    "complete_follow_up": {"Nothing to say": {}},
    "add_do_not_call": {"Asked for it": {"number": "+919876543210", "reason": "Asked for it by mail, 2026-11-26"}},
    "remove_do_not_call": {"By its number": {"number": "+919876543210"}},
}
"""The body of each operation, by its id and a title. ``ticket_1`` is a ticket whose only number can be called.

The number that is taken off the do-not-call list is the one that was added before.
"""

ERRORS: dict[int, dict[str, Any]] = {
    401: {"code": "not_authenticated", "advice": "Log in, or send the credentials that this site takes."},
    404: {"code": "not_found", "advice": "There is no such thing, or you may not see it."},
    406: {"code": "not_acceptable", "advice": "Answers are JSON. Send the header Accept: application/json, or none."},
    409: {
        "code": "DoNotCall",
        "advice": "This customer is on the do-not-call list.",
        "reference": "5f0c2a9e-7b1d-4c68-a3e2-f9b0d4717b2c",
    },
    413: {"code": "too_large", "advice": "The body is too large. It may have 256 KB."},
    415: {
        "code": "unsupported_media_type",
        "advice": "Send JSON, with the header Content-Type: application/json.",
    },
    429: {"code": "throttled", "advice": "Request was throttled. Expected available in 30 seconds.", "seconds": 30},
}
"""What is answered with a status, whatever was asked. 400 and 403 say what is wrong with this request."""
