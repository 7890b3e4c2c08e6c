"""Who may play a recording, and the row that each access leaves."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_exotel_ccm.models import CallRecord, RecordingAccess
from django_exotel_ccm.services import recordings
from django_exotel_ccm.services.recordings import new_page_view, record_access
from tests.servers.scripted_http import answering, silent
from tests.views.recording_player import LISTEN, SOUND, VIEW_TICKET, RecordingPlayer, facts_of, play, url_of
from tests.views.test_recording import WHOLE, assert_hides_the_address, rows


def assert_refused(client: Client, player: RecordingPlayer, url: str, status: int) -> None:
    answers = [client.get(url), client.get(url, headers={"Range": "bytes=0-1"}), client.head(url)]

    assert [answer.status_code for answer in answers] == [status] * 3
    for answer in answers:
        assert not answer.streaming
        assert_hides_the_address(answer, answer.content)
    assert player.server.connections == 0
    assert rows() == []


def test_anonymous_user_is_sent_to_the_login_page(player: RecordingPlayer) -> None:
    player.serve(silent)
    url = url_of(player.call(player.host.ticket()))

    answer = Client().get(url)

    assert_refused(Client(), player, url, 302)
    assert answer["Location"].startswith(reverse("admin:login") + "?next=%2Fexotel%2Frecording%2F")
    assert answer["Cache-Control"] == "private, no-store"


def test_no_login_page_of_an_adapter_that_there_is_not(player: RecordingPlayer) -> None:
    player.serve(silent)

    assert_refused(Client(), player, url_of(player.call(player.host.ticket()), "elsewhere"), 403)


def test_without_an_adapter_it_is_the_hosts_login_page(player: RecordingPlayer) -> None:
    player.serve(silent)
    url = url_of(player.call(player.host.ticket()), "")

    assert_refused(Client(), player, url, 302)
    assert Client().get(url)["Location"].startswith("/accounts/login/?next=/exotel/recording/")


@pytest.mark.parametrize("permission", ["exotel_ccm.view_callrecord", "exotel_ccm.place_call"])
def test_listen_recording_permission_is_required(player: RecordingPlayer, permission: str) -> None:
    player.serve(silent)

    assert_refused(player.listener(VIEW_TICKET, permission), player, url_of(player.call(player.host.ticket())), 403)


def test_user_who_is_not_staff_is_refused(player: RecordingPlayer) -> None:
    player.serve(silent)
    client = player.listener()
    user = player.host.user("ravi", LISTEN, VIEW_TICKET, agent=None)
    user.is_staff = False
    user.save()
    client.force_login(user)

    assert_refused(client, player, url_of(player.call(player.host.ticket())), 403)


def test_inactive_user_is_refused(player: RecordingPlayer) -> None:
    player.serve(silent)
    client = player.listener()
    type(player.host.user("x", agent=None)).objects.update(is_active=False)

    assert_refused(client, player, url_of(player.call(player.host.ticket())), 302)


@pytest.mark.parametrize("adapter", ["x", "\0"])
def test_unknown_adapter(player: RecordingPlayer, adapter: str) -> None:
    player.serve(silent)

    assert_refused(player.listener(), player, url_of(player.call(player.host.ticket()), adapter), 404)


def test_unknown_call(player: RecordingPlayer) -> None:
    player.serve(silent)

    assert_refused(player.listener(), player, url_of(CallRecord()), 404)


def test_hidden_ticket_is_404(player: RecordingPlayer) -> None:
    player.serve(silent)
    client = player.listener(last_name="blue")
    url = url_of(player.call(player.host.ticket(team="red")))

    assert_refused(client, player, url, 404)
    assert client.get(url).content == client.get(url_of(CallRecord())).content


@pytest.mark.parametrize("why", ["no permission", "deleted", "model gone"])
def test_missing_ticket_is_404(player: RecordingPlayer, why: str) -> None:
    player.serve(silent)
    ticket = player.host.ticket()
    call = player.call(ticket)
    if why == "deleted":
        ticket.delete()
    if why == "model gone":
        CallRecord.objects.update(ticket_content_type=None)
    permissions = (LISTEN, "exotel_ccm.view_callrecord") if why == "no permission" else (LISTEN, VIEW_TICKET)

    assert_refused(player.listener(*permissions), player, url_of(call), 404)


def test_call_without_ticket_needs_view_callrecord(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))
    call = player.call()
    client = player.listener(LISTEN, VIEW_TICKET)

    assert_refused(client, player, url_of(call), 404)
    user = type(player.host.user("x", agent=None)).objects.get(username="meera")
    user.user_permissions.add(Permission.objects.get(codename="view_callrecord"))
    assert play(client.get(url_of(call))) == SOUND


def test_superuser_may_play_all(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))
    client = player.listener(VIEW_TICKET, is_superuser=True, last_name="blue")

    assert play(client.get(url_of(player.call(player.host.ticket(team="red"))))) == SOUND


def test_statements_of_playing(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))
    client = player.listener()
    url = url_of(player.call(player.host.ticket()), page_view=new_page_view())

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            play(client.get(url))
        return sum(query["sql"].startswith(("SELECT", "INSERT", "UPDATE")) for query in queries)

    client.head(url)
    # Session, user, two for the permissions, the call, its ticket, and the row: looked for; then again, and inserted.
    locked = 0 if connection.features.has_select_for_update else 1
    assert [statements(), statements()] == [9 + locked, 7]


# Access rows.


def test_access_is_committed_before_the_first_byte(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))

    answer = player.listener().get(url_of(player.call(player.host.ticket())))
    seen: list[int] = []

    def look() -> None:
        seen.append(RecordingAccess.objects.count())
        connection.close()

    other = threading.Thread(target=look)
    other.start()
    other.join()
    play(answer)

    assert seen == [1]


def test_nothing_is_played_without_an_access_row(
    player: RecordingPlayer, caplog: pytest.LogCaptureFixture, django_db_blocker: Any
) -> None:
    server = player.serve(answering(WHOLE))
    client, call = player.listener(), player.call(player.host.ticket())
    table = RecordingAccess._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO gone")
    try:
        answer = client.get(url_of(call))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE gone RENAME TO {table}")

    assert (answer.status_code, answer.streaming) == (503, False)
    assert "could not be recorded" in answer.content.decode()
    assert str(call.reference) in caplog.text
    assert len(server.requests) == 1
    assert rows() == []


def test_ranges_of_one_page_view_are_one_row(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))
    client, view = player.listener(), new_page_view()
    url = url_of(player.call(player.host.ticket()), page_view=view)

    for header in ("bytes=0-", "bytes=500-", "bytes=-10"):
        play(client.get(url, headers={"Range": header}))
    client.get(url).close()

    assert rows() == ["meera"]


def test_rows_differ_by_page_user_recording_and_call(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))
    ticket, view = player.host.ticket(), new_page_view()
    first = f"http://127.0.0.1:{player.server.port}/recordings/acme1/1.wav"
    call = player.call(ticket, facts=facts_of(first, first.replace("1.wav", "2.wav")))
    meera, ravi = player.listener(), Client()
    ravi.force_login(player.host.user("ravi", LISTEN, VIEW_TICKET, agent=None))

    for client, url in [
        (meera, url_of(call, page_view=view)),
        (meera, url_of(call, page_view=new_page_view())),
        (meera, url_of(call, page_view=view, recording=1)),
        (meera, url_of(player.call(ticket), page_view=view)),
        (ravi, url_of(call, page_view=view)),
    ]:
        play(client.get(url))
        play(client.get(url))

    assert rows() == ["meera"] * 4 + ["ravi"]


@pytest.mark.parametrize("page_view", ["", f"{'f' * 5000}-{'0' * 16}", "6565f000-0123456789abcdef\n"])
def test_each_request_without_page_view_is_a_row(player: RecordingPlayer, page_view: str) -> None:
    player.serve(answering(WHOLE))
    client, url = player.listener(), url_of(player.call(player.host.ticket()), page_view=page_view)

    play(client.get(url))
    play(client.get(url))

    assert rows() == ["meera", "meera"]


@pytest.mark.parametrize("issued", [0, -(10**9), 10**9])
def test_page_view_lasts_four_hours(player: RecordingPlayer, monkeypatch: pytest.MonkeyPatch, issued: int) -> None:
    player.serve(answering(WHOLE))
    client, now = player.listener(), 1_900_000_000
    url = url_of(player.call(player.host.ticket()), page_view=f"{now - issued:x}-0123456789abcdef")

    for hours in range(13):
        monkeypatch.setattr(recordings, "time", SimpleNamespace(time=partial(int, now + hours * 3600)))
        play(client.get(url))

    assert 3 <= len(rows()) <= 4


def test_concurrent_ranges_are_one_row(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))
    call, view = player.call(player.host.ticket()), new_page_view()
    user = player.host.user("meera", agent=None)
    gate = threading.Barrier(2)

    def listen() -> None:
        gate.wait(5)
        record_access(call, "0" * 16, user, view)
        connection.close()

    threads = [threading.Thread(target=listen) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rows() == ["meera"]
