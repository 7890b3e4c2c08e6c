"""Scenarios: what goes wrong with every call, by name and with one click."""

from __future__ import annotations

import pytest

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import SCENARIOS, Options, Simulator
from tests.simulator.conftest import Application, Place

NAMES = [one.name for one in SCENARIOS]


def test_scenarios_can_be_told_apart() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 13
    values = [tuple(sorted(vars(Options(**one.options)).items(), key=str)) for one in SCENARIOS]
    assert len(set(map(str, values))) == len(values)


def test_scenario_sets_its_options_and_resets_others(exotel: Simulator) -> None:
    for scenario in SCENARIOS:
        exotel.options.sparse_terminal = True
        exotel.options.loss_rate = 0.5
        exotel.use_scenario(scenario.name)
        assert vars(exotel.options) == vars(Options(**scenario.options))
        assert exotel.scenario() == scenario
        exotel.options.literal_nulls = True
        assert exotel.scenario() is None
    exotel.use_scenario("everything_works")
    assert vars(exotel.options) == vars(Options())


def test_scenario_keeps_how_the_simulator_was_started() -> None:
    with simulator.running(options={"callback_shape": "v3", "add_unknown": True}) as exotel:
        exotel.options.by_hand = True
        exotel.options.account_callback_url = "http://127.0.0.1:1/account/"
        exotel.use_scenario("twice")
        options = exotel.options
        assert (options.callback_shape, options.add_unknown, options.by_hand) == ("v3", True, True)
        assert options.account_callback_url == "http://127.0.0.1:1/account/"
        assert exotel.scenario() == next(one for one in SCENARIOS if one.name == "twice")
    with pytest.raises(ValueError, match="write v2, v3"):
        simulator.running(options={"callback_shape": "v9"})


def test_scenario_changes_what_a_call_reports(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.use_scenario("wrong_order")
    place(status_callback=application.entries())
    exotel.wait_until_quiet()
    assert application.paths() == ["/terminal", "/answered"]


def test_unknown_scenario_names_those_that_exist(exotel: Simulator) -> None:
    with pytest.raises(KeyError, match="no scenario 'rain'; there are everything_works, no_report"):
        exotel.use_scenario("rain")
