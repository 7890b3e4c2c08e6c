"""The JSON body of Make a Call."""

from __future__ import annotations

import pytest

from django_exotel_ccm.exotel.call_request import CallRequest
from tests.exotel.samples import AGENT


def test_payload_with_all_options():
    request = CallRequest(
        user_id=AGENT,
        to="+919000000202",
        virtual_number="+918000000700",
        recording=True,
        recording_channels="dual",
        wait_audio_url="https://crm.example.com/wait.wav",
        max_time_limit=3600,
        attempt_time_out=30,
        custom_field="ticket_12345",
        status_callback=(
            ("terminal", "https://crm.example.com/terminal"),
            ("answered", "https://crm.example.com/answered"),
        ),
    )

    assert request.payload() == {
        "from": {"user_id": AGENT},
        "to": {"number": "+919000000202"},
        "virtual_number": "+918000000700",
        "recording": True,
        "recording_channels": "dual",
        "wait_audio_url": "https://crm.example.com/wait.wav",
        "max_time_limit": 3600,
        "attempt_time_out": 30,
        "custom_field": "ticket_12345",
        "status_callback": [
            {"event": "terminal", "url": "https://crm.example.com/terminal"},
            {"event": "answered", "url": "https://crm.example.com/answered"},
        ],
    }


@pytest.mark.parametrize("uri", ["sip:asha@example.com", "+919000000101"])
def test_payload_without_options(uri):
    request = CallRequest(user_contact_uri=uri, to="+919000000202", virtual_number="+918000000700")

    assert request.payload() == {
        "from": {"user_contact_uri": uri},
        "to": {"number": "+919000000202"},
        "virtual_number": "+918000000700",
    }


def test_payload_has_false_and_zero():
    request = CallRequest(user_id=AGENT, to="+91", virtual_number="+91", recording=False, max_time_limit=0)

    assert request.payload("customer_contact_uri") == {
        "from": {"user_id": AGENT},
        "to": {"customer_contact_uri": "+91"},
        "virtual_number": "+91",
        "recording": False,
        "max_time_limit": 0,
    }


@pytest.mark.parametrize("agent", [{}, {"user_id": AGENT, "user_contact_uri": "sip:a"}])
def test_request_needs_exactly_one_agent(agent):
    with pytest.raises(ValueError, match="exactly one"):
        CallRequest(to="+91", virtual_number="+91", **agent)


def test_repr_hides_callback_urls():
    request = CallRequest(
        user_id=AGENT, to="+91", virtual_number="+91", status_callback=(("terminal", "https://x/signed"),)
    )

    assert "signed" not in repr(request)
