"""Erasures that wait for the next purge, or were broken off: ``exotel_purge --apply`` carries them out."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from django_exotel_ccm import background
from django_exotel_ccm.diagnosis import finding, retention
from django_exotel_ccm.models import CallRecord, DoNotCall, Removal
from django_exotel_ccm.services import privacy
from django_exotel_ccm.services.privacy import erase, erase_due, schedule_erasure
from django_exotel_ccm.services.retention import GRACE
from tests.factories import Calls
from tests.management.conftest import CUSTOMER
from tests.management.test_erase import Run

SECOND = "+919000001002"


def rows() -> list[tuple[Any, ...]]:
    """Return number, count, and whether it waits and is done, of each erasure."""
    found = Removal.objects.order_by("pk").values_list("number", "removed", "is_waiting", "ended_at")
    return [(number, removed, waits, ended is not None) for number, removed, waits, ended in found]


def take_back(erasure: Removal) -> None:
    Removal.objects.filter(pk=erasure.pk).delete()


def test_customer_is_erased_by_the_next_purge(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)

    later = run("exotel_erase", CUSTOMER, "--later")
    waiting, dry = rows(), run("exotel_purge")
    purged = run("exotel_purge", "--apply")

    assert later.status == 0
    assert CUSTOMER not in later.out
    assert waiting == [(CUSTOMER, 0, True, False)]
    assert "1 customer to erase on request." in dry.lines
    assert purged.lines == ["1 customer erased on request."]
    assert real_calls.reread(call).customer_number == ""
    assert rows() == [("", 1, False, True)]


def test_daily_purge_does_not_fail_on_a_day_without_work(db: None, run: Run) -> None:
    assert run("exotel_purge", "--apply").status == 0


def test_job_of_a_queue_does_the_same(real_calls: Calls) -> None:
    real_calls.accepted(customer_number=CUSTOMER)
    schedule_erasure(CUSTOMER)

    background.run_job("purge", {})

    assert rows() == [("", 1, False, True)]


def test_erasure_that_is_taken_back_during_a_run_is_not_carried_out(real_calls: Calls) -> None:
    call = real_calls.accepted(customer_number=SECOND)
    schedule_erasure(CUSTOMER)
    second = schedule_erasure(SECOND)

    erase_due(progress=lambda found: take_back(second))

    assert real_calls.reread(call).customer_number == SECOND
    assert rows() == [("", 0, False, True)]


def test_erasure_that_was_broken_off_goes_on(real_calls: Calls, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(privacy, "BATCH", 1)
    for number in range(3):
        real_calls.accepted(f"sid{number}", customer_number=CUSTOMER)
    next(erase(CUSTOMER, apply=True))

    broken_off = rows()
    run("exotel_erase", CUSTOMER, "--apply")

    assert broken_off == [(CUSTOMER, 1, False, False)]
    assert rows() == [("", 3, False, True)]
    assert not CallRecord.objects.filter(customer_number=CUSTOMER).exists()


def test_two_requests_for_one_customer_are_one(db: None) -> None:
    DoNotCall.objects.create(number=CUSTOMER)

    first = schedule_erasure(CUSTOMER, do_not_call=True)
    second = schedule_erasure(CUSTOMER)
    erase_due()

    assert first == second
    assert rows() == [("", 0, False, True)]
    assert not DoNotCall.objects.exists()


def test_one_that_fails_leaves_the_others(
    real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real_calls.accepted("sid1", customer_number=CUSTOMER)
    real_calls.accepted("sid2", customer_number=SECOND)
    schedule_erasure(CUSTOMER)
    schedule_erasure(SECOND)
    redact = CallRecord.redact

    def fail(call: CallRecord, number: str) -> None:
        if number == CUSTOMER:
            raise RuntimeError(f"{CUSTOMER} is not mine")
        redact(call, number)

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(CallRecord, "redact", fail)
        failed = run("exotel_purge", "--apply")

    assert failed.status == 1
    assert CUSTOMER not in f"{failed.out}{failed.err}{caplog.text}"
    assert rows() == [(CUSTOMER, 0, False, False), ("", 1, False, True)]
    assert run("exotel_purge", "--apply").status == 0
    assert rows()[0] == ("", 1, False, True)


def test_runs_at_once_count_each_call_once(real_calls: Calls) -> None:
    for number in range(12):
        real_calls.accepted(f"sid{number}", customer_number=CUSTOMER)
    schedule_erasure(CUSTOMER)
    barrier = threading.Barrier(3)

    def work() -> tuple[int, int]:
        try:
            barrier.wait(30)
            return erase_due()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as threads:
        for one in [threads.submit(work) for _number in range(3)]:
            one.result(120)
    erase_due()  # what one of them gave up

    assert rows() == [("", 12, False, True)]


def test_erasing_now_or_later_is_one_choice(db: None, run: Run) -> None:
    assert run("exotel_erase", CUSTOMER, "--apply", "--later").status != 0
    assert rows() == []


def test_doctor_finds_whose_erasure_waits_too_long(db: None) -> None:
    removal = schedule_erasure(CUSTOMER)
    at_once = [one.ok for one in retention.check_retention(finding.Run())]
    Removal.objects.filter(pk=removal.pk).update(started_at=timezone.now() - GRACE * 1.1)

    [found] = retention.check_retention(finding.Run())

    assert at_once == [True]
    assert not found.ok
    assert "more than two days" in found.message
    assert CUSTOMER[3:] not in f"{found.message}{found.why}{found.fix}"
