"""Moments, with and without time zones: taken in right, and sent out with their offset."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import CallRecord, FollowUp
from tests.admin.pages import AGENT_WORK
from tests.api.conftest import Api, placed

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
KOLKATA = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
NOTES = "exotel_ccm.add_callnote"


@pytest.fixture(params=[True, False], ids=["USE_TZ", "without USE_TZ"])
def uses_zones(request: Any, settings: Any) -> bool:
    """Whether the host has time zones; its clock is that of Kolkata either way."""
    settings.USE_TZ, settings.TIME_ZONE = request.param, "Asia/Kolkata"
    return bool(request.param)


def stored(moment: datetime.datetime, *, uses_zones: bool) -> datetime.datetime:
    """A moment as the host's columns hold it."""
    return moment if uses_zones else moment.astimezone(KOLKATA).replace(tzinfo=None)


@pytest.mark.parametrize(
    "bounds",
    [
        "created_at__gte=2026-03-01T12:00:00Z&created_at__lte=2026-03-01T12:00:00Z",
        "created_at__gte=2026-03-01T17:30:00%2B05:30&created_at__lt=2026-03-01T07:00:01-05:00",
        "created_at__gt=2026-03-01T17:29:59&created_at__lt=2026-03-01T17:30:01",
    ],
)
def test_filters_take_moments_of_any_zone(asha: Api, uses_zones: bool, bounds: str) -> None:
    for minutes in (-1, 0, 1):
        at = stored(NOON + datetime.timedelta(minutes=minutes), uses_zones=uses_zones)
        placed(asha.user, created_at=at, talk_time=minutes + 1)

    response = asha.get(f"calls/?{bounds}")

    assert response.status_code == 200, response.content
    assert [one["talk_time"] for one in response.json()["results"]] == [1]


@pytest.mark.parametrize("offset", ["Z", "+05:30", "-08:00", ""])
def test_a_call_back_is_due_when_it_was_said(
    host: Any, ticket: Any, uses_zones: bool, offset: str, settings: Any
) -> None:
    ravi = Api(host.user("ravi", *AGENT_WORK, NOTES))
    call = placed(ravi.user, ticket)
    local = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)).replace(microsecond=0, tzinfo=None)
    text = f"{local.isoformat()}{offset}"
    meant = datetime.datetime.fromisoformat(text)
    meant = (meant if meant.tzinfo else meant.replace(tzinfo=KOLKATA)).astimezone(datetime.UTC)

    noted = ravi.post("follow-ups/", {"ticket": f"ticket_{ticket.pk}", "due_at": text})
    written = ravi.post(f"calls/{call.reference}/notes/", {"follow_up_at": text})

    assert (noted.status_code, written.status_code) == (201, 201), (noted.content, written.content)
    due = list(FollowUp.objects.values_list("due_at", flat=True))
    assert due == [stored(meant, uses_zones=uses_zones)] * len(due) != []
    listed = ravi.get("follow-ups/").json()["results"]
    told = [datetime.datetime.fromisoformat(one["due_at"]) for one in listed]
    assert told == [meant] * len(due)


def test_moments_that_are_sent_have_their_offset(asha: Api, uses_zones: bool) -> None:
    call = placed(asha.user, created_at=stored(NOON, uses_zones=uses_zones))

    shown = asha.get(f"calls/{call.reference}/").json()

    assert shown["created_at"] == "2026-03-01T17:30:00+05:30"
    assert asha.get("calls/").json()["results"] == [shown]


def test_a_naive_moment_in_an_hour_that_there_is_not_is_sent_all_the_same(asha: Api, settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    call = placed(asha.user)
    CallRecord.objects.update(created_at=datetime.datetime.fromisoformat("2026-03-29 02:30"))

    assert asha.get(f"calls/{call.reference}/").json()["created_at"].startswith("2026-03-29T")


def test_pages_lead_on_without_time_zones(asha: Api, settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Kolkata"
    for number in range(3):
        placed(asha.user, created_at=timezone.now() - datetime.timedelta(hours=number), talk_time=number)

    first = asha.get("calls/?page_size=2").json()
    second = asha.client.get(first["next"]).json()

    assert [one["talk_time"] for one in [*first["results"], *second["results"]]] == [0, 1, 2]
