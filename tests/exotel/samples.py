"""Messages in every documented shape, with values of our own."""

from __future__ import annotations

from typing import Any

SID = "5f0c2a9e7b1d4c68a3e2f9b0d4717b2c"
AGENT = "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa"
RECORDING = f"https://recordings.exotel.com/exotelrecordings/acmehomes1/{SID}.mp3"

ACCEPTED: dict[str, Any] = {
    "call_sid": SID,
    "call_state": "active",
    "call_status": None,
    "assigned_agent_details": {"user_id": AGENT, "contact_uri": "sip:asha4c1d77e2"},
    "customer_details": {"number": "+919000000202"},
    "virtual_number": "+918000000700",
    "recording": True,
    "created_time": "2026-02-11T05:42:10.000Z",
}
ENVELOPE: dict[str, Any] = {
    "request_id": "0b5c7e1fa2d94e8c9d3c6a1b7f20e4d5",
    "method": "POST",
    "http_code": 200,
}

# The answers to a request for a call.
PLACED = {
    "A": {**ENVELOPE, "response": ACCEPTED},
    "B": {
        **ENVELOPE,
        "metadata": None,
        "response": {"code": 200, "status": "success", "error_data": None, "data": ACCEPTED},
    },
    "B in a list": {**ENVELOPE, "response": [{"code": 200, "status": "success", "data": ACCEPTED}]},
    "B without response": {**ENVELOPE, "data": ACCEPTED},
    "C": ACCEPTED,
    "D": {
        **ENVELOPE,
        "response": {
            "code": 200,
            "error_data": None,
            "status": "success",
            "call_details": {
                "sid": SID,
                "direction": "outbound",
                "virtual_number": "+918000000700",
                "state": "active",
                "status": None,
                "legs": None,
                "start_time": "2026-02-11 11:12:10+05:30",
                "end_time": "1970-01-01 05:30:00+05:30",
                "total_duration": None,
                "total_talk_time": None,
                "custom_field": None,
                "recordings": None,
            },
        },
    },
}

DETAILS_B: dict[str, Any] = {
    "call_sid": SID,
    "direction": "outbound",
    "virtual_number": "+918000000700",
    "call_state": "terminal",
    "call_status": "completed",
    "assigned_agent_details": {
        "user_id": AGENT,
        "user_name": "Asha Rao",
        "group_id": None,
        "status": "completed",
    },
    "customer_details": {"contact_uri": "+919000000202", "contact_name": None, "status": "completed"},
    "start_time": "2026-02-11 11:12:12+05:30",
    "end_time": "2026-02-11 11:14:58+05:30",
    "total_duration": 166,
    "total_talk_time": 141,
    "recordings": [{"url": RECORDING}],
    "custom_field": "ticket_8842",
    "digits": None,
}
# The same ended call, as Call Details may describe it.
DETAILS = {
    "A": {
        **ENVELOPE,
        "response": {
            "call_details": {
                "sid": SID,
                "direction": "outbound-api",
                "state": "terminal",
                "status": "completed",
                "assigned_agent_details": {"user_id": AGENT, "contact_uri": "sip:asha4c1d77e2"},
                "customer_details": {"number": "+919000000202"},
                "start_time": "2026-02-11T05:42:12.000Z",
                "end_time": "2026-02-11T05:44:58.000Z",
                "total_duration": 166,
                "total_talk_time": 141,
                "recording": {"available": True, "url": RECORDING},
                "custom_field": "ticket_8842",
                "legs": f"/v2/accounts/acmehomes1/calls/{SID}/legs",
            }
        },
    },
    "B": {
        **ENVELOPE,
        "response": {"code": 200, "status": "success", "error_data": None, "data": DETAILS_B},
    },
    "C": {
        **ENVELOPE,
        "response": {
            "code": 200,
            "status": "success",
            "call_details": {
                "call_sid": SID,
                "call_state": "terminal",
                "call_status": "completed",
                "direction": "outbound",
                "from": "+919000000101",
                "to": "+919000000202",
                "start_time": "2026-02-11T11:12:12+05:30",
                "end_time": "2026-02-11T11:14:58+05:30",
                "duration": 166,
                "talk_time": 141,
                "recording_url": RECORDING,
                "custom_field": "ticket_8842",
                "agent_details": {"user_id": AGENT, "name": "Asha Rao"},
                "customer_details": {"number": "+919000000202"},
            },
        },
    },
    "v3": {
        **ENVELOPE,
        "response": {
            "code": 200,
            "status": "success",
            "error_data": None,
            "call_details": {
                "sid": SID,
                "direction": "outbound",
                "state": "terminal",
                "status": "completed",
                "legs": f"/v3/accounts/acmehomes1/calls/{SID}/legs",
                "start_time": "2026-02-11 11:12:12+05:30",
                "end_time": "2026-02-11 11:14:58+05:30",
                "total_duration": 166,
                "total_talk_time": 141,
                "custom_field": "ticket_8842",
                "recordings": [{"url": RECORDING}],
            },
        },
    },
    "v1": {
        "Call": {
            "Sid": SID,
            "ParentCallSid": "",
            "To": "09000000202",
            "From": "09000000101",
            "Status": "completed",
            "StartTime": "2026-02-11 11:12:12",
            "EndTime": "2026-02-11 11:14:58",
            "Duration": "166",
            "Price": "1.200000",
            "Direction": "outbound-api",
            "CustomField": "ticket_8842",
            "RecordingUrl": RECORDING,
            "Details": {"ConversationDuration": 141, "Leg1Status": "completed", "Leg2Status": "completed"},
        }
    },
}

V1_FIELDS = {
    "CallSid": SID,
    "EventType": "terminal",
    "Status": "completed",
    "DateUpdated": "2026-02-11 11:15:02",
    "StartTime": "2026-02-11 11:12:12",
    "EndTime": "2026-02-11 11:14:58",
    "From": "09000000101",
    "To": "09000000202",
    "PhoneNumberSid": "08000000700",
    "ConversationDuration": "141",
    "Direction": "outbound-api",
    "CustomField": "ticket_8842",
    "RecordingUrl": RECORDING,
    "Legs[0][OnCallDuration]": "160",
    "Legs[0][Status]": "completed",
    "Legs[0][AnsweredBy]": "NA",
    "Legs[1][OnCallDuration]": "141",
    "Legs[1][Status]": "completed",
    "Legs[1][AnsweredBy]": "Human",
}
V1_JSON = {
    **{name: value for name, value in V1_FIELDS.items() if "[" not in name},
    "Legs": [{"OnCallDuration": 160, "Status": "completed"}, {"OnCallDuration": 141, "Status": "completed"}],
}
V2_CALLBACK = {"event_details": {"event_type": "terminal"}, "call_details": DETAILS_B}
V3_CALLBACK = {
    "event_details": {"event_type": "terminal"},
    "call_details": DETAILS["v3"]["response"]["call_details"],  # type: ignore[index, call-overload]
}


def multipart(fields: dict[str, str], boundary: str = "xYzBoundary") -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


def refusal(status: int, code: object, message: str = "No.") -> dict[str, Any]:
    """An error in Exotel's envelope."""
    return {
        **ENVELOPE,
        "http_code": status,
        "response": {
            "code": status,
            "status": "failure",
            "error_data": {"code": code, "message": message, "description": "because"},
            "data": None,
        },
    }
