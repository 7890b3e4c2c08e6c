"""The bodies of callbacks: every shape, and what may be wrong in them."""

from __future__ import annotations

import json
import re
from typing import Any, get_args
from urllib.parse import parse_qs

import pytest

from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.options import CallbackShape
from tests.simulator.conftest import COMPLETED, CUSTOMER_UNANSWERED, Application, Place, Received, get_details

SHAPES = get_args(CallbackShape)


@pytest.fixture
def bodies(exotel: Simulator, place: Place, application: Application) -> Any:
    """Place a call; return the fields of its callbacks."""

    def _bodies(**fields: Any) -> list[dict[str, Any]]:
        application.received.clear()
        place(status_callback=application.entries(), **fields)
        exotel.wait_until_quiet()
        return [fields_of(one) for one in application.received]

    return _bodies


def fields_of(received: Received) -> dict[str, Any]:
    """The body's innermost names and values, whatever shape it has."""
    if received.content_type == "application/json":
        return flat(json.loads(received.content))
    if received.content_type == "application/x-www-form-urlencoded":
        fields = parse_qs(received.content.decode(), keep_blank_values=True)
        return {name: values[0] for name, values in fields.items()}
    assert received.content_type.startswith("multipart/form-data; boundary=")
    return dict(re.findall(r'name="([^"]+)"\r\n\r\n(.*?)\r\n--', received.content.decode(), re.DOTALL))


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a JSON value by the name nearest to them; those in a list as forms name them."""
    if isinstance(value, dict):
        return {key: leaf for inner, one in value.items() for key, leaf in flat(one, inner).items()}
    if isinstance(value, list):
        items = [(index, key, leaf) for index, one in enumerate(value) for key, leaf in flat(one).items()]
        return {f"{name}[{index}][{key}]": leaf for index, key, leaf in items}
    return {name: value}


def test_v3(exotel: Simulator, bodies: Any) -> None:
    exotel.options.callback_shape = "v3"
    [canceled] = bodies(customer="+919000001004", custom_field="ticket_5")
    assert (canceled["state"], canceled["status"]) == ("terminal", "from_leg_cancelled")
    assert canceled["sid"] in exotel.book.calls
    assert canceled["custom_field"] == "ticket_5"
    assert not {"call_sid", "user_id", "contact_uri"} & set(canceled)
    answered, terminal = bodies(recording=True)
    assert (answered["state"], answered["status"], answered["legs"]) == ("active", None, None)
    assert terminal["recordings[0][url]"].endswith(".wav")


def test_v1(exotel: Simulator, bodies: Any) -> None:
    for shape in ("v1_json", "v1_form", "v1_multipart"):
        exotel.options.callback_shape = shape
        answered, body = bodies(custom_field="ticket_5")
        assert (body["Status"], body["CustomField"]) == ("completed", "ticket_5")
        assert str(body["ConversationDuration"]) == "42"
        assert (body["From"], body["To"], body["EventType"]) == ("09000000101", "09000001001", "terminal")
        assert "+05:30" not in body["StartTime"]
        assert "CustomField" not in answered
        assert body["Legs[0][Status]"] == body["Legs[1][Status]"] == "completed"


def test_v1_has_four_words(exotel: Simulator, bodies: Any) -> None:
    exotel.options.callback_shape = "v1_form"
    words = {"1001": "completed", "1002": "no-answer", "1004": "failed", "1007": "failed", "1008": "busy"}
    assert {number: bodies(customer=f"+91900000{number}")[-1]["Status"] for number in words} == words


def test_recordings_in_every_shape(exotel: Simulator, place: Place, application: Application) -> None:
    for shape in ("strings", "objects", "late"):
        exotel.options.set_text("recordings_shape", shape)
        place(recording=True, status_callback=application.entries())
        exotel.wait_until_quiet()
        body = json.loads(application.received[-1].content)
        link = list(exotel.book.calls.values())[-1].recording_url
        expected: dict[str, Any] = {"strings": [link], "objects": [{"url": link}], "late": None}
        assert link
        assert body["call_details"]["recordings"] == expected[shape]


def test_sparse_terminal_names_only_the_call(exotel: Simulator, bodies: Any) -> None:
    exotel.options.sparse_terminal = True
    for shape in SHAPES:
        exotel.options.callback_shape = shape
        answered, terminal = bodies(custom_field="ticket_1", recording=True)
        assert set(terminal.values()) == {list(exotel.book.calls)[-1], "terminal"}, shape
        assert len(answered) > 5
        assert exotel.book.deliveries[-1].faults == ("sparse",)
    assert exotel.faults() == {"sparse": 5}


def test_two_ends_may_contradict_each_other(exotel: Simulator, bodies: Any) -> None:
    exotel.options.conflicting_finals = True
    for number, words, talks in (
        (COMPLETED, ["completed", "customer_unanswered"], [42, 49]),
        (CUSTOMER_UNANSWERED, ["customer_unanswered", "completed"], [0, 7]),
    ):
        finals = [one for one in bodies(customer=number) if one["event_type"] == "terminal"]
        assert [one["call_status"] for one in finals] == words
        assert [one["total_talk_time"] for one in finals] == talks
        assert finals[1]["total_duration"] == finals[0]["total_duration"] + 11
        assert [one.faults for one in exotel.book.deliveries][-2:] == [(), ("conflicting",)]
        call = list(exotel.book.calls.values())[-1]
        assert (call.status, call.talk_time) == (words[0], talks[0])
    exotel.options.sparse_terminal = True  # which names no outcome that another could contradict
    assert len([one for one in bodies() if one["event_type"] == "terminal"]) == 1


def test_unknown_status_in_every_shape(exotel: Simulator, bodies: Any) -> None:
    exotel.options.unknown_status = True
    for shape in SHAPES:
        exotel.options.callback_shape = shape
        assert "vanished" in bodies()[-1].values(), shape
        assert "vanished" in get_details(exotel, list(exotel.book.calls)[-1]).text
    assert exotel.faults() == {"unknown_status": 5}


def test_nulls_epochs_and_local_numbers_in_every_shape(exotel: Simulator, bodies: Any) -> None:
    options = exotel.options
    for shape in SHAPES:
        options.callback_shape = shape
        options.literal_nulls = options.epoch_end_time = options.local_numbers = False
        plain = bodies()[0]
        options.literal_nulls = options.epoch_end_time = options.local_numbers = True
        odd = bodies()[0]

        assert set(odd) == set(plain)
        for name, value in plain.items():
            if name in ("end_time", "EndTime"):
                assert odd[name].startswith("1970-01-01 05:30:00")
            elif value in (None, ""):
                assert odd[name] == "null"
            elif str(value).startswith("+91"):
                assert odd[name] == f"0{value[3:]}"
        assert not [value for value in odd.values() if str(value).startswith("+91")]
        assert "null" in odd.values()
