"""The address of a recording: our own, which plays it to who may hear it, and writes down who listened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.models import RecordingAccess
from django_exotel_ccm.services import move_calls
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.api.conftest import Api
from tests.servers.scripted_http import answering, http
from tests.views.recording_player import LISTEN, SECRET, SOUND, TYPE, VIEW_TICKET, RecordingPlayer, facts_of, play

ALL_CALLS = "exotel_ccm.view_all_calls"


@pytest.fixture
def player(host: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingPlayer]:
    with ExitStack() as stack:
        found = RecordingPlayer(host, monkeypatch, stack)
        found.serve(answering(http(200, SOUND, TYPE)))
        yield found


def address(client: Api, call: Any) -> str:
    """What the API says of a call's recording, alone and in the list."""
    answer = client.get(f"calls/{call.reference}/")
    listed = client.get("calls/")
    assert SECRET not in answer.content.decode() + listed.content.decode()
    assert answer.json() in listed.json()["results"]
    return str(answer.json()["recording_url"])


def test_it_plays_and_writes_down_who_listens(player: RecordingPlayer, api: Callable[..., Api]) -> None:
    meera = api("meera", SEES_CALLS, VIEW_TICKET, LISTEN)
    call = player.call(player.host.ticket())

    url = address(meera, call)
    assert url.startswith("http://testserver/exotel/recording/")
    assert RecordingAccess.objects.count() == 0
    heard = meera.client.get(url)

    assert (heard.status_code, play(heard)) == (200, SOUND)
    assert list(RecordingAccess.objects.values_list("user_label", "call")) == [("meera", call.pk)]


def test_it_asks_who_plays_it(player: RecordingPlayer, api: Callable[..., Api]) -> None:
    call = player.call(player.host.ticket())
    url = address(api("meera", SEES_CALLS, VIEW_TICKET, LISTEN), call)

    answers = {
        "nobody": Client().get(url),
        "sees no ticket": api("vera", SEES_CALLS, LISTEN).client.get(url),
        "may not listen": api("sonal", SEES_CALLS, VIEW_TICKET).client.get(url),
    }

    assert {name: one.status_code for name, one in answers.items()} == {
        "nobody": 302,
        "sees no ticket": 404,
        "may not listen": 403,
    }
    assert RecordingAccess.objects.count() == 0


def test_it_is_blank_for_who_would_not_hear_it(player: RecordingPlayer, api: Callable[..., Api]) -> None:
    ravi = api("ravi", *AGENT_WORK, LISTEN)
    ticket = player.host.ticket()
    own = {"placed_by": ravi.user}
    about, without = player.call(ticket, **own), player.call(**own)
    unrecorded = player.call(ticket, recording_url="", facts=facts_of(), **own)

    assert (address(ravi, without), address(ravi, unrecorded)) == ("", "")
    assert address(ravi, about) != ""
    assert address(api("sonal", SEES_CALLS, VIEW_TICKET), about) == ""
    assert address(api("vera", SEES_CALLS, ALL_CALLS, LISTEN), without) != ""


def test_it_is_blank_when_ones_call_was_moved_out_of_sight(player: RecordingPlayer, api: Callable[..., Api]) -> None:
    ravi = api("ravi", "exotel_ccm.place_call", LISTEN)
    call = player.call(player.host.ticket(), placed_by=ravi.user)
    move_calls(call.ticket, player.host.ticket("Secret matter"))

    assert address(ravi, call) == ""


def test_of_several_recordings_it_is_the_first(player: RecordingPlayer, api: Callable[..., Api]) -> None:
    meera = api("meera", SEES_CALLS, VIEW_TICKET, LISTEN)
    urls = [f"http://127.0.0.1:{player.server.port}/recordings/acme1/{name}.wav?{SECRET}=1" for name in "ab"]
    call = player.call(player.host.ticket(), recording_url=urls[0], facts=facts_of(*urls))

    heard = meera.client.get(address(meera, call))

    assert play(heard) == SOUND
    [request] = player.server.requests
    assert request.startswith(b"GET /recordings/acme1/a.wav?")


def test_a_list_reads_no_facts_for_it(player: RecordingPlayer, api: Callable[..., Api]) -> None:
    meera = api("meera", SEES_CALLS, VIEW_TICKET, LISTEN)
    counts = []
    for _times in range(2):
        player.call(player.host.ticket())
        meera.get("calls/")
        with CaptureQueriesContext(connection) as statements:
            assert all(one["recording_url"] for one in meera.get("calls/").json()["results"])
        counts.append(len(statements))

    assert counts[0] == counts[1]
