"""sync_exophones: numbers in any spelling, labels, the default, and numbers that vanished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from django_exotel_ccm.models import ExoPhone
from django_exotel_ccm.services import sync_exophones
from django_exotel_ccm.services.synchronisation.runs import Change, RunOptions, SyncReport
from django_exotel_ccm.simulator import Simulator

SALES, SUPPORT = "+918000000700", "+918000000701"


def sync(**options: Any) -> Any:
    return sync_exophones("default", RunOptions(**options))


def rows() -> list[tuple[str, str, bool, bool]]:
    """Return number, label, default and active of each."""
    return list(ExoPhone.objects.order_by("number").values_list("number", "label", "is_default", "is_active"))


@pytest.mark.parametrize("local", [False, True])
def test_numbers_in_any_spelling(exotel: Simulator, local: bool) -> None:
    exotel.options.local_numbers = local
    exotel.add_exophone(SALES, label="Sales line")
    exotel.add_exophone(SUPPORT)

    report = sync()

    assert rows() == [(SALES, "Sales line", False, True), (SUPPORT, "", False, True)]
    assert (report.added, report.problems) == (2, [])
    assert sync().unchanged == 2


@pytest.mark.parametrize("region", ["GB", "SG", "US"])
def test_local_number_is_of_the_country_that_exotel_names(region: str, exotel: Simulator, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "NUMBER_REGION": region}
    exotel.options.local_numbers = True
    for number in (SALES, SUPPORT):
        exotel.add_exophone(number)
    assert sync().problems == []
    assert rows() == [(SALES, "", False, True), (SUPPORT, "", False, True)]
    exotel.remove_exophone(SUPPORT)

    assert sync().deactivated == 1
    assert [row[3] for row in rows()] == [True, False]


def test_typed_number_is_taken_over(exotel: Simulator) -> None:
    ExoPhone.objects.create(number="08000000700", is_default=True)
    ExoPhone.objects.create(number=SUPPORT, label="Ours")
    ExoPhone.objects.create(number="+918000000799", label="Unknown to Exotel")
    exotel.add_exophone(SALES, label="Sales line")
    exotel.add_exophone(SUPPORT, label="Theirs")

    sync()

    assert rows() == [
        (SALES, "Sales line", True, True),
        (SUPPORT, "Ours", False, True),
        ("+918000000799", "Unknown to Exotel", False, True),
    ]


def test_vanished_number_comes_back(exotel: Simulator) -> None:
    for number in (SALES, SUPPORT):
        exotel.add_exophone(number)
    sync()
    ExoPhone.objects.filter(number=SALES).update(is_default=True)
    exotel.remove_exophone(SALES)

    report = sync()

    assert rows() == [(SALES, "", True, False), (SUPPORT, "", False, True)]
    assert report.notes == [
        f"The default ExoPhone {SALES} is not active, so customers cannot be called from it.",
        f"No active ExoPhone is the default. Suggested: {SUPPORT}. Choose it in the admin.",
    ]
    exotel.add_exophone(SALES)
    assert sync().reactivated == 1
    assert rows() == [(SALES, "", True, True), (SUPPORT, "", False, True)]


def test_vanished_default_comes_back_after_another_was_chosen(exotel: Simulator) -> None:
    for number in (SALES, SUPPORT):
        exotel.add_exophone(number)
    sync()
    ExoPhone.objects.filter(number=SALES).update(is_default=True)
    exotel.remove_exophone(SALES)
    sync()
    chosen = ExoPhone.objects.get(number=SUPPORT)
    chosen.is_default = True
    chosen.save()
    exotel.add_exophone(SALES)

    report = sync()

    assert (report.reactivated, report.notes) == (1, [])
    assert rows() == [(SALES, "", False, True), (SUPPORT, "", True, True)]


def test_deactivated_by_hand_stays_so(exotel: Simulator) -> None:
    exotel.add_exophone(SALES)
    sync()
    ExoPhone.objects.update(is_active=False)

    sync()

    assert rows() == [(SALES, "", False, False)]


def test_default_is_suggested_among_several(exotel: Simulator) -> None:
    exotel.add_exophone(SALES)
    assert sync().notes == []
    exotel.add_exophone(SUPPORT)

    report = sync()

    assert report.notes == [f"No active ExoPhone is the default. Suggested: {SALES}. Choose it in the admin."]


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("exophones_fault", "empty", "Exotel listed no ExoPhones"),
        ("exophones_fault", "row_error", "an error in single rows"),
        ("exophones_refuse_with", 1010, "API key"),
    ],
)
def test_doubtful_run_deactivates_none(exotel: Simulator, option: str, value: Any, problem: str) -> None:
    for number in (SALES, SUPPORT):
        exotel.add_exophone(number)
    sync()
    exotel.remove_exophone(SALES)
    setattr(exotel.options, option, value)

    report = sync()

    assert problem in " ".join(report.problems)
    assert [row[3] for row in rows()] == [True, True]


def test_paging_that_exotel_ignores(exotel: Simulator) -> None:
    for number in range(50):
        exotel.add_exophone(f"+9180000008{number:02}")
    assert sync().is_complete
    exotel.options.exophones_fault = "repeated_page"

    report = sync()

    assert report.problems == ["Exotel sent some rows twice, so others may be missing."]


def test_number_that_goes_between_two_pages(exotel: Simulator) -> None:
    """Then Exotel's next page skips a number that is still there, and nothing in its answers tells."""
    numbers = [f"+9180000008{number:02}" for number in range(60)]
    for number in numbers:
        exotel.add_exophone(number)
    sync()

    def change(report: SyncReport, changes: Sequence[Change]) -> None:
        if numbers[3] in exotel.directory.exophones:
            exotel.remove_exophone(numbers[3])

    report = sync(progress=change)

    assert (report.problems, report.deactivated) == ([], 0)
    assert sync().deactivated == 1
    assert list(ExoPhone.objects.filter(is_active=False).values_list("number", flat=True)) == [numbers[3]]


def test_label_as_number_is_a_problem(exotel: Simulator) -> None:
    exotel.add_exophone("Sales line")
    exotel.add_exophone(SALES)

    report = sync()

    assert rows() == [(SALES, "", False, True)]
    assert report.problems == ["Exotel's ExoPhone Sales line cannot be read as a phone number."]


def test_long_label_is_cut(exotel: Simulator) -> None:
    exotel.add_exophone(SALES, label="x" * 140)

    sync()

    assert rows()[0][1] == "x" * 100


def test_dry_run(exotel: Simulator) -> None:
    exotel.add_exophone(SALES, label="Sales line")
    changes: list[Change] = []

    sync(dry_run=True, progress=lambda _report, found: changes.extend(found))

    assert changes == [Change("added", SALES, "Sales line")]
    assert rows() == []
