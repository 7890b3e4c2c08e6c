"""What goes wrong with callbacks on purpose: by chance with a seed, early, late, and in the bodies."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from typing import Any, get_args
from urllib.parse import parse_qs

import pytest
import requests

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import Options, Simulator
from django_exotel_ccm.simulator.callbacks.notifier import draw_faults
from django_exotel_ccm.simulator.options import CallbackShape
from tests.simulator.conftest import AUTH, COMPLETED, Application, Heard, Place

RINGS_OUT = "+919000001002"

Reported = dict[str, list[tuple[str, tuple[str, ...]]]]


def deliveries_by_chance(application: Application, seed: int, order: list[int]) -> tuple[Reported, Counter[str]]:
    """Place a call for each number, all at once; return what was reported of each call, and the faults."""
    with simulator.running(speed=5000.0) as exotel:
        options = exotel.options
        options.seed, options.duplicate_rate, options.reorder_rate, options.loss_rate = seed, 0.3, 0.3, 0.2
        agents = [exotel.add_agent(f"sip:agent{number}").uri for number in range(len(order))]

        def post(number: int) -> None:
            body = {
                "from": {"user_contact_uri": agents[number]},
                "to": {"number": COMPLETED},
                "virtual_number": "+918000000700",
                "custom_field": f"ticket_{number}",
                "status_callback": application.entries(),
            }
            requests.post(f"{exotel.url}/v2/accounts/simulated1/calls", json=body, auth=AUTH, timeout=10)

        threads = [threading.Thread(target=post, args=(number,)) for number in order]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        exotel.wait_until_quiet()
        reported: Reported = {}
        for delivery in exotel.book.deliveries:
            about = exotel.book.calls[delivery.call_sid].custom_field or ""
            reported.setdefault(about, []).append((delivery.event, delivery.faults))
        return reported, exotel.faults()


def test_same_seed_makes_same_faults_in_any_order(application: Application) -> None:
    numbers = list(range(40))
    first, counted = deliveries_by_chance(application, 7, numbers)
    second, counted_again = deliveries_by_chance(application, 7, numbers[::-1])
    other, _ = deliveries_by_chance(application, 8, numbers)

    assert first == second
    assert counted == counted_again
    assert first != other
    assert {name for name, times in counted.items() if 5 < times < 45} == {"lost", "duplicate", "reordered"}


def test_same_seed_draws_the_same_in_every_run() -> None:
    options = Options(seed=7, loss_rate=0.5, duplicate_rate=0.5, reorder_rate=0.5)
    drawn = [draw_faults(options, f"story {number}", "answered/0").lost for number in range(12)]
    assert "".join("x" if lost else "." for lost in drawn) == ".xx...x..xx."


def test_each_delivery_names_its_faults(application: Application) -> None:
    reported, counted = deliveries_by_chance(application, 7, list(range(40)))

    made = Counter(fault for deliveries in reported.values() for _event, faults in deliveries for fault in faults)
    assert made == {name: times for name, times in counted.items() if name != "lost"}
    for deliveries in reported.values():
        events = [event for event, _faults in deliveries]
        for index, (event, faults) in enumerate(deliveries):
            if event == "answered" and "terminal" in events:
                assert ("reordered" in faults) is ("terminal" in events[:index])
    everything = sum(len(deliveries) for deliveries in reported.values())
    assert everything == 80 - counted["lost"] + counted["duplicate"]


def test_no_rate_changes_what_another_draws() -> None:
    alone = Options(loss_rate=0.5)
    among_others = Options(loss_rate=0.5, duplicate_rate=0.7, reorder_rate=0.9)
    keys = [f"call {number}" for number in range(50)]
    lost = [draw_faults(alone, key, "answered/0").lost for key in keys]
    assert lost == [draw_faults(among_others, key, "answered/0").lost for key in keys]
    assert 0 < sum(lost) < len(keys)


def test_second_call_about_the_same_draws_anew(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.loss_rate = 0.5
    for _ in range(10):
        place(status_callback=application.entries())
        exotel.wait_until_quiet()
    assert exotel.faults()["lost"] not in (0, 10, 20)


def test_callback_may_come_before_the_answer(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.early_callbacks = True
    sid = place(status_callback=application.entries()).json()["response"]["call_sid"]
    assert application.paths()[0] == "/answered"
    assert sid in application.heard[0].content.decode()
    assert exotel.faults() == {"early": 1}


def test_answer_waits_for_no_callback_that_was_not_requested(exotel: Simulator, place: Place) -> None:
    exotel.options.early_callbacks = True
    began = time.monotonic()
    assert place().status_code == 200
    assert time.monotonic() - began < 5
    assert exotel.faults() == {}


def test_answer_waits_for_the_first_try_though_it_fails(
    exotel: Simulator, place: Place, application: Application
) -> None:
    exotel.options.early_callbacks = True
    application.answers = [500, 200]
    assert place(status_callback=application.entries()).status_code == 200
    assert [one.status for one in exotel.book.deliveries][:1] == [500]


# The bodies

SHAPES = get_args(CallbackShape)


def fields_of(heard: Heard) -> dict[str, Any]:
    """The body's innermost names and values, whatever shape it has."""
    if heard.content_type == "application/json":
        return flat(json.loads(heard.content))
    if heard.content_type == "application/x-www-form-urlencoded":
        return {name: values[0] for name, values in parse_qs(heard.content.decode(), keep_blank_values=True).items()}
    return dict(re.findall(r'name="([^"]+)"\r\n\r\n(.*?)\r\n--', heard.content.decode(), re.DOTALL))


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a JSON value by the name nearest to them."""
    if isinstance(value, dict):
        return {key: leaf for inner, one in value.items() for key, leaf in flat(one, inner).items()}
    if isinstance(value, list):
        return {f"{name}{key}": leaf for index, one in enumerate(value) for key, leaf in flat(one, f"{index}").items()}
    return {name: value}


def hear(exotel: Simulator, place: Place, application: Application, **fields: Any) -> list[dict[str, Any]]:
    """Place a call; return the fields of its callbacks."""
    application.heard.clear()
    place(status_callback=application.entries(), **fields)
    exotel.wait_until_quiet()
    return [fields_of(heard) for heard in application.heard]


def test_sparse_terminal_says_only_which_call_is_over(
    exotel: Simulator, place: Place, application: Application
) -> None:
    exotel.options.sparse_terminal = True
    for shape in SHAPES:
        exotel.options.callback_shape = shape
        answered, terminal = hear(exotel, place, application, custom_field="ticket_1", recording=True)
        assert set(terminal.values()) == {list(exotel.book.calls)[-1], "terminal"}, shape
        assert len(answered) > 5
        assert exotel.book.deliveries[-1].faults == ("sparse",)
    assert exotel.faults() == {"sparse": 5}


@pytest.mark.parametrize(
    ("number", "words", "talks"),
    [
        (COMPLETED, ["completed", "customer_unanswered"], [42, 49]),
        (RINGS_OUT, ["customer_unanswered", "completed"], [0, 7]),
    ],
)
def test_two_ends_may_contradict_each_other(
    exotel: Simulator, place: Place, application: Application, number: str, words: list[str], talks: list[int]
) -> None:
    exotel.options.conflicting_finals = True
    finals = [one for one in hear(exotel, place, application, customer=number) if one["event_type"] == "terminal"]
    assert [one["call_status"] for one in finals] == words
    assert [one["total_talk_time"] for one in finals] == talks
    assert finals[1]["total_duration"] == finals[0]["total_duration"] + 11
    assert [one.faults for one in exotel.book.deliveries][-2:] == [(), ("conflicting",)]
    (call,) = exotel.book.calls.values()
    assert (call.status, call.talk_time) == (words[0], talks[0])
    exotel.options.sparse_terminal = True  # which names no outcome that another could contradict
    assert len([one for one in hear(exotel, place, application, customer=number) if "terminal" in one.values()]) == 1


def test_unknown_status_in_every_shape(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.unknown_status = True
    for shape in SHAPES:
        exotel.options.callback_shape = shape
        assert "vanished" in hear(exotel, place, application)[-1].values(), shape
        url = f"{exotel.url}/v2/accounts/simulated1/calls/{list(exotel.book.calls)[-1]}"
        assert "vanished" in requests.get(url, auth=AUTH, timeout=5).text
    assert exotel.faults() == {"unknown_status": 5}


def test_nulls_epochs_and_local_numbers_in_every_shape(
    exotel: Simulator, place: Place, application: Application
) -> None:
    for shape in SHAPES:
        exotel.options.callback_shape = shape
        exotel.options.literal_nulls = exotel.options.epoch_end_time = exotel.options.local_numbers = False
        plain = hear(exotel, place, application)[0]
        exotel.options.literal_nulls = exotel.options.epoch_end_time = exotel.options.local_numbers = True
        odd = hear(exotel, place, application)[0]

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


# When they come


def test_callback_may_be_late(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.callback_delay = 20.0
    hear(exotel, place, application)
    (placed,) = exotel.book.requests
    answered, terminal = exotel.book.deliveries
    assert 29 <= (answered.at - placed.at).total_seconds() < 80
    assert 73 <= (terminal.at - placed.at).total_seconds() < 130
    assert answered.faults == terminal.faults == ("delayed",)


# The account's own URL


def test_account_url_gets_every_call(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.account_callback_url = f"{application.url}/account"
    place()
    exotel.wait_until_quiet()
    assert application.paths() == ["/account", "/account"]
    place(status_callback=application.entries())
    exotel.wait_until_quiet()
    assert sorted(application.paths()[2:]) == ["/account", "/account", "/answered", "/terminal"]
    of_account = [one for one in exotel.book.deliveries if one.destination == "account"]
    assert {one.url for one in of_account} == {f"{application.url}/account"}
    assert [one.event for one in of_account] == ["answered", "terminal"] * 2


def test_call_placed_elsewhere(exotel: Simulator, application: Application) -> None:
    exotel.options.account_callback_url = f"{application.url}/account"
    call = exotel.place_external_call(COMPLETED, recording=True, custom_field="theirs")
    with pytest.raises(ValueError, match=r"Asha cannot be called: User device busy \(10706\)"):
        exotel.place_external_call(COMPLETED)
    with pytest.raises(KeyError):
        exotel.place_external_call(COMPLETED, agent="sip:nobody")
    exotel.wait_until_quiet()
    assert (call.external, call.status, call.talk_time) == (True, "completed", 42)
    heard = [fields_of(one) for one in application.heard]
    assert [(one["call_sid"], one["event_type"]) for one in heard] == [(call.sid, "answered"), (call.sid, "terminal")]
    assert heard[-1]["custom_field"] == "theirs"
    assert exotel.book.requests == []
    url = f"{exotel.url}/v2/accounts/simulated1/calls/{call.sid}"
    assert requests.get(url, auth=AUTH, timeout=5).status_code == 200


# Many


def test_many_calls_need_few_threads(exotel: Simulator) -> None:
    exotel.options.by_hand = True
    exotel.speed = 1.0
    before = threading.active_count()
    for number in range(200):
        exotel.add_agent(f"sip:agent{number}")
        exotel.place_external_call(COMPLETED, agent=f"sip:agent{number}")
    assert threading.active_count() <= before + 1
    exotel.speed = 100_000.0
    exotel.wait_until_quiet()
    assert {call.status for call in exotel.book.calls.values()} == {"agent_unanswered"}


def test_many_deliveries_go_out_at_once(exotel: Simulator, application: Application) -> None:
    application.hang = threading.Event()
    exotel.options.account_callback_url = f"{application.url}/account"
    for number in range(30):
        exotel.add_agent(f"sip:agent{number}")
        exotel.place_external_call(RINGS_OUT, agent=f"sip:agent{number}")
    exotel.clock.wait_until(float("inf"), unless=lambda: len(exotel.book.deliveries) > 0)
    assert len(application.heard) == 30
    application.hang.set()
    exotel.wait_until_quiet()
