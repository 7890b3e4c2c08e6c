"""Faults by chance: the same seed makes the same faults, whatever order threads take."""

from __future__ import annotations

from collections import Counter

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import Options, Simulator
from django_exotel_ccm.simulator.callbacks.notifier import draw_faults
from tests.simulator.conftest import Application, Place, post_at_once

Reported = dict[str, list[tuple[str, tuple[str, ...]]]]
NUMBERS = list(range(40))


def deliveries_by_chance(application: Application, seed: int, order: list[int]) -> tuple[Reported, Counter[str]]:
    """Place a call for each number, all at once; return what was reported of each call, and the faults."""
    with simulator.running(speed=5000.0) as exotel:
        options = exotel.options
        options.seed, options.duplicate_rate, options.reorder_rate, options.loss_rate = seed, 0.3, 0.3, 0.2
        post_at_once(exotel, application, order)
        reported: Reported = {}
        for delivery in exotel.book.deliveries:
            about = exotel.book.calls[delivery.call_sid].custom_field or ""
            reported.setdefault(about, []).append((delivery.event, delivery.faults))
        return reported, exotel.faults()


def test_same_seed_makes_same_faults_in_any_order(application: Application) -> None:
    first, counted = deliveries_by_chance(application, 7, NUMBERS)
    second, counted_again = deliveries_by_chance(application, 7, NUMBERS[::-1])
    other, _ = deliveries_by_chance(application, 8, NUMBERS)

    assert first == second
    assert counted == counted_again
    assert first != other
    assert {name for name, times in counted.items() if 5 < times < 45} == {"lost", "duplicate", "reordered"}


def test_same_seed_draws_the_same_in_every_run() -> None:
    options = Options(seed=7, loss_rate=0.5, duplicate_rate=0.5, reorder_rate=0.5)
    drawn = [draw_faults(options, f"story {number}", "answered/0").lost for number in range(12)]
    assert "".join("x" if lost else "." for lost in drawn) == ".xx...x..xx."


def test_no_rate_changes_what_another_draws() -> None:
    alone = Options(loss_rate=0.5)
    among_others = Options(loss_rate=0.5, duplicate_rate=0.7, reorder_rate=0.9)
    keys = [f"call {number}" for number in range(50)]
    lost = [draw_faults(alone, key, "answered/0").lost for key in keys]
    assert lost == [draw_faults(among_others, key, "answered/0").lost for key in keys]
    assert 0 < sum(lost) < len(keys)


def test_each_delivery_names_its_faults(application: Application) -> None:
    reported, counted = deliveries_by_chance(application, 7, NUMBERS)

    made = Counter(fault for deliveries in reported.values() for _event, faults in deliveries for fault in faults)
    assert made == {name: times for name, times in counted.items() if name != "lost"}
    for deliveries in reported.values():
        events = [event for event, _faults in deliveries]
        for index, (event, faults) in enumerate(deliveries):
            if event == "answered" and "terminal" in events:
                assert ("reordered" in faults) is ("terminal" in events[:index])
    assert sum(map(len, reported.values())) == 80 - counted["lost"] + counted["duplicate"]


def test_second_call_about_the_same_draws_anew(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.loss_rate = 0.5
    for _ in range(10):
        place(status_callback=application.entries())
        exotel.wait_until_quiet()
    assert exotel.faults()["lost"] not in (0, 10, 20)
