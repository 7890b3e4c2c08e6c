"""Playing a recording: who may, what the browser gets to see of it, and what is said when there is nothing to play."""

from __future__ import annotations

import datetime
import logging
import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord, RecordingAccess
from django_exotel_ccm.services import recordings
from django_exotel_ccm.services.recordings import new_page_view, record_access
from django_exotel_ccm.services.transactions import open_transaction
from tests.servers.scripted_http import Visit, answering, http, silent
from tests.views.recording_player import HEARS, SECRET, SEES, SOUND, TYPE, Playing, facts_of, heard, url_of

NOISY = (
    "Set-Cookie: exotel=1",
    "Server: nginx",
    "X-Amz-Request-Id: 1",
    "ETag: planted-etag",
    "Last-Modified: Mon, 03 Aug 2026 10:00:00 GMT",
    "Cache-Control: public, max-age=99999",
    f"X-Where: {SECRET}",
    'Content-Disposition: attachment; filename="evil.html"',
    "Access-Control-Allow-Origin: *",
)
WHOLE = http(200, SOUND, TYPE, *NOISY)


def rows() -> list[str]:
    return list(RecordingAccess.objects.order_by("pk").values_list("user_label", flat=True))


def assert_keeps_the_address(answer: Any, body: bytes) -> None:
    told = repr(answer.headers) + repr(answer.cookies) + body.decode("latin-1")
    assert SECRET not in told
    assert "planted" not in told
    assert "127.0.0.1" not in told


# Playing.


def test_a_recording_is_played_and_its_address_stays_here(playing: Playing) -> None:
    playing.keep(answering(WHOLE))
    call = playing.call(playing.host.ticket())

    answer = playing.listener().get(url_of(call))
    sound = heard(answer)

    assert sound == SOUND
    assert answer.status_code == 200
    assert {name: answer[name] for name in answer.headers if name not in OF_THE_HOST} == {
        "Content-Type": "audio/wav",
        "Content-Length": str(len(SOUND)),
        "Content-Disposition": f'inline; filename="{call.reference}.wav"',
        "Content-Encoding": "identity",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Cookie",
        "X-Content-Type-Options": "nosniff",
    }
    assert_keeps_the_address(answer, b"")
    assert rows() == ["meera"]


OF_THE_HOST = {"X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy"}


def test_a_redirect_of_exotel_s_is_followed_here_and_not_by_the_browser(playing: Playing) -> None:
    moved = http(302, b"", f"Location: /recordings/{SECRET}/moved.wav")
    server = playing.keep(answering(moved), answering(WHOLE))

    answer = playing.listener().get(url_of(playing.call(playing.host.ticket())))

    assert (answer.status_code, heard(answer)) == (200, SOUND)
    assert len(server.requests) == 2
    assert_keeps_the_address(answer, b"")


def test_the_record_of_a_listening_says_who_what_and_when(playing: Playing) -> None:
    playing.keep(answering(http(206, b"abc", TYPE, "Content-Range: bytes 5-7/100")))
    call = playing.call(playing.host.ticket())
    began_at = timezone.now()
    client = playing.listener()

    heard(client.get(url_of(call), headers={"Range": "bytes=5-7"}))

    [listening] = RecordingAccess.objects.all()
    assert (listening.call, listening.user.get_username(), listening.user_label) == (call, "meera", "meera")
    assert url_of(call).split("/")[-2] == listening.recording
    assert began_at <= listening.listened_at <= timezone.now()


def test_a_head_tells_the_length_and_is_no_listening(playing: Playing) -> None:
    playing.keep(answering(WHOLE))

    answer = playing.listener().head(url_of(playing.call(playing.host.ticket())), headers={"Range": "bytes=0-9"})

    assert (answer.status_code, answer["Content-Length"], answer.content) == (200, str(len(SOUND)), b"")
    assert rows() == []


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_nothing_but_get_and_head(playing: Playing, method: str) -> None:
    server = playing.keep(answering(WHOLE))

    answer = getattr(playing.listener(), method)(url_of(playing.call(playing.host.ticket())))

    assert answer.status_code == 405
    assert (server.connections, rows()) == (0, [])


# Who may.


def assert_refused(client: Client, playing: Playing, url: str, status: int) -> None:
    answers = [client.get(url), client.get(url, headers={"Range": "bytes=0-1"}), client.head(url)]

    assert [answer.status_code for answer in answers] == [status] * 3
    for answer in answers:
        assert not answer.streaming
        assert_keeps_the_address(answer, answer.content)
    assert playing.server.connections == 0
    assert rows() == []


def test_who_is_not_logged_in_comes_to_the_door_s_login_and_back(playing: Playing) -> None:
    playing.keep(silent)
    url = url_of(playing.call(playing.host.ticket()))

    answer = Client().get(url)

    assert_refused(Client(), playing, url, 302)
    assert answer["Location"].startswith(reverse("admin:login") + "?next=%2Fexotel%2Frecording%2F")
    assert answer["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("adapter", ["", "elsewhere"])
def test_without_an_adapter_there_is_no_login(playing: Playing, adapter: str) -> None:
    playing.keep(silent)

    assert_refused(Client(), playing, url_of(playing.call(playing.host.ticket()), adapter), 403)


@pytest.mark.parametrize("permission", [SEES, "exotel_ccm.view_callrecord", "exotel_ccm.place_call"])
def test_listening_is_a_permission_of_its_own(playing: Playing, permission: str) -> None:
    playing.keep(silent)

    assert_refused(playing.listener(SEES, permission), playing, url_of(playing.call(playing.host.ticket())), 403)


def test_who_may_not_enter_the_site_hears_nothing(playing: Playing) -> None:
    playing.keep(silent)
    client = playing.listener()
    user = playing.host.user("ravi", HEARS, SEES, agent=None)
    user.is_staff = False
    user.save()
    client.force_login(user)

    assert_refused(client, playing, url_of(playing.call(playing.host.ticket())), 403)


def test_an_inactive_user_hears_nothing(playing: Playing) -> None:
    playing.keep(silent)
    client = playing.listener()
    type(playing.host.user("x", agent=None)).objects.update(is_active=False)

    assert_refused(client, playing, url_of(playing.call(playing.host.ticket())), 302)


@pytest.mark.parametrize("adapter", ["", "elsewhere", "\0", "x" * 3000])
def test_an_adapter_that_does_not_exist_leads_nowhere(playing: Playing, adapter: str) -> None:
    playing.keep(silent)

    assert_refused(playing.listener(), playing, url_of(playing.call(playing.host.ticket()), adapter), 404)


def test_a_call_that_does_not_exist(playing: Playing) -> None:
    playing.keep(silent)

    assert_refused(playing.listener(), playing, url_of(CallRecord()), 404)


def test_another_team_s_ticket_is_not_heard_and_not_known(playing: Playing) -> None:
    playing.keep(silent)
    client = playing.listener(last_name="blue")
    url = url_of(playing.call(playing.host.ticket(team="red")))

    assert_refused(client, playing, url, 404)
    assert client.get(url).content == client.get(url_of(CallRecord())).content


@pytest.mark.parametrize("why", ["no permission", "deleted", "model gone"])
def test_a_ticket_that_cannot_be_found_is_heard_by_nobody(playing: Playing, why: str) -> None:
    playing.keep(silent)
    ticket = playing.host.ticket()
    call = playing.call(ticket)
    if why == "deleted":
        ticket.delete()
    if why == "model gone":
        CallRecord.objects.update(ticket_content_type=None)
    permissions = (HEARS, "exotel_ccm.view_callrecord") if why == "no permission" else (HEARS, SEES)

    assert_refused(playing.listener(*permissions), playing, url_of(call), 404)


def test_a_call_about_no_ticket_is_for_those_who_see_calls(playing: Playing) -> None:
    playing.keep(answering(WHOLE))
    call = playing.call()
    client = playing.listener(HEARS, SEES)

    assert_refused(client, playing, url_of(call), 404)
    user = type(playing.host.user("x", agent=None)).objects.get(username="meera")
    user.user_permissions.add(Permission.objects.get(codename="view_callrecord"))
    assert heard(client.get(url_of(call))) == SOUND


def test_a_superuser_hears_all(playing: Playing) -> None:
    playing.keep(answering(WHOLE))
    client = playing.listener(SEES, is_superuser=True, last_name="blue")

    assert heard(client.get(url_of(playing.call(playing.host.ticket(team="red"))))) == SOUND


def test_a_listening_costs_few_statements(playing: Playing) -> None:
    playing.keep(answering(WHOLE))
    client = playing.listener()
    url = url_of(playing.call(playing.host.ticket()), page_view=new_page_view())

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            heard(client.get(url))
        return sum(query["sql"].startswith(("SELECT", "INSERT", "UPDATE")) for query in queries)

    client.head(url)
    # Session, user, two for the permissions, the call, its ticket, and the row: looked for, first inserted.
    assert [statements(), statements()] == [8, 7]


# Ranges.


@pytest.mark.parametrize("knows", [True, False])
def test_a_range_is_passed_on_and_answered(playing: Playing, knows: bool) -> None:
    part = http(206, SOUND[100:200], TYPE, f"Content-Range: bytes 100-199/{len(SOUND)}", *NOISY)
    server = playing.keep(answering(part if knows else WHOLE))

    answer = playing.listener().get(url_of(playing.call(playing.host.ticket())), headers={"Range": "bytes=100-199"})

    assert (answer.status_code, heard(answer)) == (206, SOUND[100:200])
    assert (answer["Content-Length"], answer["Content-Range"]) == ("100", f"bytes 100-199/{len(SOUND)}")
    assert answer["Accept-Ranges"] == "bytes"
    assert b"\r\nRange: bytes=100-199\r\n" in server.requests[0]
    assert rows() == ["meera"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-1,5-6"},
        {"Range": "bytes=5-2"},
        {"Range": "items=0-1"},
        {"Range": "bytes=0-99", "If-Range": '"planted-etag"'},
        {"Range": "bytes=0-99", "If-Range": "Mon, 03 Aug 2026 10:00:00 GMT"},
    ],
)
def test_what_is_no_single_range_means_the_whole(playing: Playing, headers: dict[str, str]) -> None:
    server = playing.keep(answering(WHOLE))

    answer = playing.listener().get(url_of(playing.call(playing.host.ticket())), headers=headers)

    assert (answer.status_code, heard(answer)) == (200, SOUND)
    assert b"Range" not in server.requests[0]
    assert rows() == ["meera"]


@pytest.mark.parametrize("told", [f"bytes */{len(SOUND)}", "bytes */*"])
def test_a_range_behind_the_end_plays_nothing(playing: Playing, told: str) -> None:
    playing.keep(answering(http(416, b"secret", f"Content-Range: {told}", *NOISY)))

    answer = playing.listener().get(url_of(playing.call(playing.host.ticket())), headers={"Range": "bytes=99999999-"})

    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.get("Content-Range") == (told if told[-1] != "*" else None)
    assert_keeps_the_address(answer, b"")
    assert rows() == []


def test_a_range_of_unknown_whole(playing: Playing) -> None:
    playing.keep(answering(http(206, b"abc", TYPE, "Content-Range: bytes 0-2/*")))

    answer = playing.listener().get(url_of(playing.call(playing.host.ticket())), headers={"Range": "bytes=0-2"})

    assert (heard(answer), answer["Content-Range"]) == (b"abc", "bytes 0-2/*")


def test_a_recording_of_unknown_length_is_played_and_not_sought_in(playing: Playing) -> None:
    def chunked(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )

    playing.keep(chunked)

    answer = playing.listener().get(url_of(playing.call(playing.host.ticket())), headers={"Range": "bytes=1-"})

    assert (answer.status_code, heard(answer)) == (200, b"abc")
    assert {"Content-Length", "Content-Range", "Accept-Ranges"} & set(answer.headers) == set()
    assert rows() == ["meera"]


def test_a_host_s_compression_leaves_ranges_alone(playing: Playing, settings: Any) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    playing.keep(answering(WHOLE))

    answer = playing.listener().get(
        url_of(playing.call(playing.host.ticket())), headers={"Range": "bytes=0-999", "Accept-Encoding": "gzip"}
    )

    assert (heard(answer), answer["Content-Length"]) == (SOUND[:1000], "1000")


# Nothing to play.


def assert_says(playing: Playing, call: CallRecord, status: int, text: str) -> Any:
    client = playing.listener()
    answer = client.get(url_of(call))

    assert (answer.status_code, answer.content.decode().strip()) == (status, text)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert_keeps_the_address(answer, answer.content)
    assert client.head(url_of(call)).status_code == status
    assert rows() == []
    return answer


NOT_READY = "The recording is not ready yet. Try again in a minute."
GONE = "The recording is no longer kept by Exotel."
NONE = "There is no recording of this call."
FAILED = "The recording could not be fetched. An administrator finds the reason in the log."


def ago(seconds: float) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(seconds=seconds)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(("since", "said"), [(590, (503, NOT_READY)), (610, (404, GONE))])
def test_a_recording_that_is_not_there_is_expected_for_as_long_as_the_setting_says(
    playing: Playing, settings: Any, status: int, since: int, said: tuple[int, str]
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RECORDING_RETRY_FOR": 600}
    playing.keep(answering(http(status, SECRET.encode(), *NOISY)))

    call = playing.call(playing.host.ticket(), created_at=ago(since + 60), ended_at=ago(since))
    answer = assert_says(playing, call, *said)

    assert answer.get("Retry-After") == ("60" if said[0] == 503 else None)


@pytest.mark.parametrize(("expired", "answer", "asks"), [(True, (503, NOT_READY), True), (False, (404, GONE), False)])
def test_an_address_whose_signature_has_run_out_is_asked_for_anew(
    expired: bool, answer: tuple[int, str], asks: bool, playing: Playing
) -> None:
    playing.keep(answering(http(403, b"Request has expired")))
    ended = timezone.now() - datetime.timedelta(days=2)
    call = playing.call(playing.host.ticket(), call_sid="5" * 32, ended_at=ended, created_at=ended)
    signed_until = ended + datetime.timedelta(minutes=5) if expired else timezone.now() + datetime.timedelta(days=1)
    call.recording_url += f"&Expires={int(signed_until.timestamp())}"
    call.facts = facts_of(call.recording_url)
    call.save()

    said = playing.listener().get(url_of(call))

    assert (said.status_code, said.content.decode().strip()) == answer
    call.refresh_from_db()
    assert (call.next_check_at is not None, call.details_check_at is not None) == (asks, asks)


def test_a_recording_that_is_not_ready_alarms_nobody(playing: Playing, caplog: pytest.LogCaptureFixture) -> None:
    playing.keep(answering(http(404)))

    playing.listener().get(url_of(playing.call(playing.host.ticket())))

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, (503, NOT_READY)),
        ({"recording_requested": False}, (404, NONE)),
        ({"talk_time": 0}, (404, NONE)),
        ({"talk_time": None}, (503, NOT_READY)),
        ({"state": "refused"}, (404, NONE)),
        ({"state": "active", "ended_at": None, "talk_time": None, "created_at": None}, (503, NOT_READY)),
        ({"ended_at": "long ago", "created_at": "long ago"}, (404, NONE)),
    ],
)
def test_a_call_without_an_address(playing: Playing, fields: dict[str, Any], said: tuple[int, str]) -> None:
    server = playing.keep(silent)
    moments = {"long ago": ago(100_000), None: ago(300)}
    given = {
        name: moments[value] if name == "created_at" or value == "long ago" else value for name, value in fields.items()
    }

    assert_says(playing, playing.call(playing.host.ticket(), recording_url="", **given), *said)

    assert server.connections == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "The recording was erased on request."),
        ({"talk_time": 0}, NONE),
        ({"state": "refused"}, NONE),
    ],
)
def test_an_erased_recording_is_not_played(playing: Playing, fields: dict[str, Any], said: str) -> None:
    server = playing.keep(answering(WHOLE))

    assert_says(playing, playing.call(playing.host.ticket(), erased_at=timezone.now(), **fields), 404, said)

    assert server.connections == 0


@pytest.mark.parametrize(
    ("answer", "logged"),
    [
        (http(401), "Exotel refused the key and token of account 'default'"),
        (http(500), "HTTP 500"),
        (http(200, b"<script>alert(1)</script>", "Content-Type: text/html"), "its type is 'text/html'"),
        (http(302, b"", f"Location: https://evil.example/{SECRET}"), "it lies on 'evil.example'"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_what_stands_in_the_way_is_told_to_the_administrator_alone(
    playing: Playing, caplog: pytest.LogCaptureFixture, answer: bytes, logged: str
) -> None:
    playing.keep(answering(answer))
    call = playing.call(playing.host.ticket())

    assert_says(playing, call, 502, FAILED)

    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert logged in text
    assert str(call.reference) in text
    assert SECRET not in text
    assert "planted" not in text


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.example/{SECRET}.wav",
        f"https://recordings.exotel.com:8443/{SECRET}.wav",
        f"http://127.0.0.1:1/{SECRET}.wav",
        f"https://169.254.169.254/{SECRET}",
        f"file:///{SECRET}",
        f"{SECRET}",
    ],
)
def test_a_strange_address_is_not_asked(playing: Playing, url: str) -> None:
    server = playing.keep(silent)

    assert_says(playing, playing.call(playing.host.ticket(), recording_url=url), 502, FAILED)

    assert server.connections == 0


@pytest.mark.parametrize("account", ["sold", "default"])
def test_an_account_that_is_no_longer_configured(
    playing: Playing, account: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    playing.keep(silent)
    monkeypatch.delenv("EXOTEL_URL")

    assert_says(playing, playing.call(playing.host.ticket(), account=account), 502, FAILED)

    assert "EXOTEL_URL" in caplog.text


# The book of listenings.


def test_the_row_is_committed_before_the_first_byte(playing: Playing) -> None:
    playing.keep(answering(WHOLE))

    answer = playing.listener().get(url_of(playing.call(playing.host.ticket())))
    seen: list[int] = []

    def look() -> None:
        seen.append(RecordingAccess.objects.count())
        connection.close()

    other = threading.Thread(target=look)
    other.start()
    other.join()
    heard(answer)

    assert seen == [1]


def test_a_listening_that_cannot_be_recorded_is_not_played(
    playing: Playing, caplog: pytest.LogCaptureFixture, django_db_blocker: Any
) -> None:
    server = playing.keep(answering(WHOLE))
    client, call = playing.listener(), playing.call(playing.host.ticket())
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


def test_all_ranges_of_one_listening_are_one_row(playing: Playing) -> None:
    playing.keep(answering(WHOLE))
    client, view = playing.listener(), new_page_view()
    url = url_of(playing.call(playing.host.ticket()), page_view=view)

    for header in ("bytes=0-", "bytes=500-", "bytes=-10"):
        heard(client.get(url, headers={"Range": header}))
    client.get(url).close()

    assert rows() == ["meera"]


def test_another_page_user_recording_or_call_is_another_listening(playing: Playing) -> None:
    playing.keep(answering(WHOLE))
    ticket, view = playing.host.ticket(), new_page_view()
    first = f"http://127.0.0.1:{playing.server.port}/recordings/acme1/1.wav"
    call = playing.call(ticket, facts=facts_of(first, first.replace("1.wav", "2.wav")))
    meera, ravi = playing.listener(), Client()
    ravi.force_login(playing.host.user("ravi", HEARS, SEES, agent=None))

    for client, url in [
        (meera, url_of(call, page_view=view)),
        (meera, url_of(call, page_view=new_page_view())),
        (meera, url_of(call, page_view=view, recording=1)),
        (meera, url_of(playing.call(ticket), page_view=view)),
        (ravi, url_of(call, page_view=view)),
    ]:
        heard(client.get(url))
        heard(client.get(url))

    assert rows() == ["meera"] * 4 + ["ravi"]


@pytest.mark.parametrize("page_view", ["", "x", "0-0", f"{'f' * 5000}-{'0' * 16}", "6565f000-0123456789abcdef\n", "\0"])
def test_without_a_usable_page_view_each_request_is_a_row(playing: Playing, page_view: str) -> None:
    playing.keep(answering(WHOLE))
    client, url = playing.listener(), url_of(playing.call(playing.host.ticket()), page_view=page_view)

    heard(client.get(url))
    heard(client.get(url))

    assert rows() == ["meera", "meera"]


@pytest.mark.parametrize("issued", [0, 3600, -(10**9), 10**9])
def test_a_page_view_is_one_listening_for_four_hours_at_most(
    playing: Playing, monkeypatch: pytest.MonkeyPatch, issued: int
) -> None:
    playing.keep(answering(WHOLE))
    client, now = playing.listener(), 1_900_000_000
    url = url_of(playing.call(playing.host.ticket()), page_view=f"{now - issued:x}-0123456789abcdef")

    for hours in range(13):
        monkeypatch.setattr(recordings, "time", SimpleNamespace(time=partial(int, now + hours * 3600)))
        heard(client.get(url))

    assert 3 <= len(rows()) <= 4


def test_two_ranges_at_once_are_one_row(playing: Playing) -> None:
    playing.keep(answering(WHOLE))
    call, view = playing.call(playing.host.ticket()), new_page_view()
    user = playing.host.user("meera", agent=None)
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


# Several recordings.


def test_each_recording_of_a_call_is_played(playing: Playing) -> None:
    def keeper(visit: Visit) -> None:
        name = visit.read_request().split()[1]
        visit.sock.sendall(http(200, name, TYPE))

    playing.keep(keeper)
    urls = [f"http://127.0.0.1:{playing.server.port}/recordings/acme1/{number}.wav" for number in (1, 2)]
    call = playing.call(playing.host.ticket(), recording_url=urls[0], facts=facts_of(*urls))
    client = playing.listener()

    sounds = [heard(client.get(url_of(call, recording=number))) for number in (0, 1)]

    assert sounds == [b"/recordings/acme1/1.wav", b"/recordings/acme1/2.wav"]


def test_a_recording_that_the_call_does_not_have_is_none(playing: Playing) -> None:
    server = playing.keep(silent)
    call = playing.call(playing.host.ticket())
    url = reverse("exotel_ccm:recording", args=[call.reference, "0123456789abcdef"]) + "?exotel_adapter=admin"

    answer = playing.listener().get(url)

    assert (answer.status_code, answer.content.decode().strip()) == (404, NONE)
    assert server.connections == 0


# Transactions.


def test_the_network_is_asked_outside_of_the_transactions_of_a_host_with_atomic_requests(
    playing: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    playing.keep(answering(WHOLE))
    asked = recordings.download.open_recording
    looks: list[str | None] = []

    def look(*arguments: Any) -> Any:
        looks.append(open_transaction())
        return asked(*arguments)

    monkeypatch.setattr(recordings.download, "open_recording", look)

    assert heard(playing.listener().get(url_of(playing.call(playing.host.ticket())))) == SOUND
    assert looks == [None]


def test_a_middleware_that_opens_a_transaction_is_told_and_nothing_is_asked(
    playing: Playing, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.views.host_middleware.atomic_middleware"]
    server = playing.keep(answering(WHOLE))

    assert_says(playing, playing.call(playing.host.ticket()), 502, FAILED)

    assert server.connections == 0
    assert "inside a transaction on database 'default'" in caplog.text
