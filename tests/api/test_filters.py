"""The filters of the lists: what they find, what they refuse, and what none of them tells."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.api import filters
from django_exotel_ccm.models import CallRecord, ExoPhone
from tests.admin.pages import AGENT_WORK, SEES_CALLS, SEES_NUMBERS
from tests.api.conftest import Api, placed
from tests.api.test_calls import PLACES, references

SPRING = "created_at__gte=2026-02-01T00:00:00Z&created_at__lt=2026-04-01T00:00:00Z"
UNINDEXED = {
    "outcome": "busy",
    "origin": "external",
    "refusal_code": "DoNotCall",
    "account": "default",
    "call_sid": "a",
    "exophone": "0",
    **{f"talk_time__{lookup}": "60" for lookup in ("gte", "gt", "lte", "lt")},
}


@pytest.mark.parametrize("name", UNINDEXED)
def test_a_filter_without_an_index_asks_for_a_span_of_time(asha: Api, name: str) -> None:
    year_ago, long_ago = (
        (timezone.now() - datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ") for days in (366, 368)
    )
    wanted = f"calls/?{name}={UNINDEXED[name]}"

    for refused in (
        asha.get(wanted),
        asha.get(f"{wanted}&created_at__lt={year_ago}"),
        asha.get(f"{wanted}&created_at__gte={long_ago}"),
        asha.get(f"{wanted}&created_at__gt={long_ago}&created_at__lte=2199-01-01T00:00:00Z"),
        asha.get(f"{wanted}&state=ended"),
    ):
        assert refused.status_code == 400
        assert refused.json()["fields"] == {
            "created_at__gte": [
                f"With {name} write created_at__gte, too: at most 366 days before created_at__lte or now."
            ]
        }
    for taken in (
        f"{wanted}&created_at__gte={year_ago}",
        f"{wanted}&created_at__gt={year_ago}",
        f"{wanted}&{SPRING}",
        f"{wanted}&agent=7",
        f"{wanted}&placed_by=7",
        f"{wanted}&ticket=ticket_7",
    ):
        assert references(asha.get(taken)) == []


def test_the_sid_of_an_account_needs_no_span(asha: Api) -> None:
    call = placed(asha.user, call_sid="a1", created_at=timezone.now() - datetime.timedelta(days=3000))

    assert references(asha.get("calls/?account=default&call_sid=a1")) == [str(call.reference)]
    assert references(asha.get("calls/?state=requested&created_at__gte=2001-01-01T00:00:00Z")) == [str(call.reference)]


def test_filters(api: Callable[..., Api], ticket: Any) -> None:
    asha = api("asha", *AGENT_WORK, SEES_CALLS, agent="+919000000101")
    noon = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    early = placed(asha.user, ticket, state="ended", outcome="completed", talk_time=90, created_at=noon)
    phones = [ExoPhone.objects.create(number=f"+91800000070{number}") for number in (1, 2, 3)]
    late = placed(
        asha.user, state="refused", refusal_code="DoNotCall", created_at=noon + datetime.timedelta(hours=1), agent=None
    )
    CallRecord.objects.filter(pk=late.pk).update(exophone=phones[-1])

    def found(query: str) -> list[CallRecord]:
        return [CallRecord.objects.get(reference=one) for one in references(asha.get(f"calls/?{query}"))]

    assert found("state=ended") == [early]
    assert found(f"outcome=completed&{SPRING}") == [early]
    assert found(f"refusal_code=DoNotCall&{SPRING}") == [late]
    assert found(f"origin=external&{SPRING}") == []
    assert found(f"agent={early.agent_id}") == [early]
    assert found(f"exophone={phones[-1].pk}&{SPRING}") == [late]
    assert found(f"exophone={phones[0].pk}&{SPRING}") == []
    assert found(f"placed_by={asha.user.pk}") == [late, early]
    assert found("placed_by=99999") == []
    assert found(f"ticket=ticket_{ticket.pk}") == [early]
    assert found("ticket=ticket_999999") == found("ticket=nothing") == []
    assert found("created_at__gte=2026-03-01T12:00:00Z") == [late, early]
    assert found("created_at__gt=2026-03-01T12:00:00Z") == [late]
    assert found(f"talk_time__gte=90&agent={early.agent_id}") == [early]
    assert found(f"talk_time__gt=90&{SPRING}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("colour=red", "colour"),
        ("state=over", "state"),
        ("agent=Asha", "agent"),
        ("agent=99999999999999999999999", "agent"),
        ("placed_by=99999999999999999999999", "placed_by"),
        ("created_at__gte=yesterday", "created_at__gte"),
        ("created_at__gte=0001-01-01T00:00:00%2B14:00", "created_at__gte"),
        ("created_at__lt=9999-12-31T23:59:59-14:00", "created_at__lt"),
        ("created_at__gt=1899-12-31T00:00:00Z", "created_at__gt"),
        ("created_at__lte=2200-01-01T00:00:00Z", "created_at__lte"),
        ("talk_time__gte=-1", "talk_time__gte"),
        ("talk_time__gte=9999999999", "talk_time__gte"),
        ("state=ended&state=active", "state"),
        ("state=", "state"),
        ("created_at__lte=%20", "created_at__lte"),
        ("call_sid=%00", "call_sid"),
        ("ticket=%00", "ticket"),
        (f"account={'a' * 51}", "account"),
    ],
)
def test_what_cannot_be_filtered_by_is_said(asha: Api, query: str, field: str) -> None:
    response = asha.get(f"calls/?{query}")

    assert response.status_code == 400, response.content
    assert response.json()["code"] == "invalid"
    assert field in response.json()["advice"]
    assert list(response.json()["fields"]) == [field]


def test_numbers_cannot_be_tried_out(asha: Api, api: Callable[..., Api]) -> None:
    placed(asha.user)
    seeing = api("meera", SEES_CALLS, SEES_NUMBERS, PLACES)

    assert asha.get("calls/?customer_number=9000001009").status_code == 403
    assert len(references(seeing.get("calls/?customer_number=090000 01009"))) == 1
    assert references(seeing.get("calls/?customer_number=9000001001")) == []
    assert seeing.get("calls/?customer_number=12").status_code == 400


def test_without_django_filter_a_filter_says_what_to_install(asha: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "is_installed", lambda: False)

    assert asha.get("calls/?page_size=3").status_code == 200
    response = asha.get("calls/?state=ended")
    assert response.status_code == 400
    assert response.json()["code"] == "filters_not_installed"
    assert 'pip install "django-exotel-ccm[api]"' in response.json()["advice"]
