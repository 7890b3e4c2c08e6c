"""Playing a recording: what the browser receives, and ranges."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import RecordingAccess
from tests.servers.scripted_http import Visit, answering, http
from tests.views.recording_player import SECRET, SOUND, TYPE, RecordingPlayer, facts_of, play, url_of

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


def assert_hides_the_address(answer: Any, body: bytes) -> None:
    sent = repr(answer.headers) + repr(answer.cookies) + body.decode("latin-1")
    assert SECRET not in sent
    assert "planted" not in sent
    assert "127.0.0.1" not in sent


# RecordingPlayer.


def test_recording_is_played_and_its_address_hidden(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))
    call = player.call(player.host.ticket())

    answer = player.listener().get(url_of(call))
    sound = play(answer)

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
        "Vary": "Cookie, Accept-Language",
        "X-Content-Type-Options": "nosniff",
    }
    assert_hides_the_address(answer, b"")
    assert rows() == ["meera"]


OF_THE_HOST = {"Content-Language", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy"}


def test_redirect_is_followed_by_the_server(player: RecordingPlayer) -> None:
    moved = http(302, b"", f"Location: /recordings/{SECRET}/moved.wav")
    server = player.serve(answering(moved), answering(WHOLE))

    answer = player.listener().get(url_of(player.call(player.host.ticket())))

    assert (answer.status_code, play(answer)) == (200, SOUND)
    assert len(server.requests) == 2
    assert_hides_the_address(answer, b"")


def test_access_row(player: RecordingPlayer) -> None:
    player.serve(answering(http(206, b"abc", TYPE, "Content-Range: bytes 5-7/100")))
    call = player.call(player.host.ticket())
    began_at = timezone.now()
    client = player.listener()

    play(client.get(url_of(call), headers={"Range": "bytes=5-7"}))

    [listening] = RecordingAccess.objects.all()
    assert (listening.call, listening.user.get_username(), listening.user_label) == (call, "meera", "meera")
    assert url_of(call).split("/")[-2] == listening.recording
    assert began_at <= listening.listened_at <= timezone.now()


def test_head_is_no_access(player: RecordingPlayer) -> None:
    player.serve(answering(WHOLE))

    answer = player.listener().head(url_of(player.call(player.host.ticket())), headers={"Range": "bytes=0-9"})

    assert (answer.status_code, answer["Content-Length"], answer.content) == (200, str(len(SOUND)), b"")
    assert rows() == []


def test_other_methods_are_not_allowed(player: RecordingPlayer) -> None:
    server = player.serve(answering(WHOLE))
    client, url = player.listener(), url_of(player.call(player.host.ticket()))

    assert {getattr(client, method)(url).status_code for method in ("post", "put", "delete", "options")} == {405}
    assert (server.connections, rows()) == (0, [])


# Ranges.


@pytest.mark.parametrize("knows", [True, False])
def test_range_is_forwarded(player: RecordingPlayer, knows: bool) -> None:
    part = http(206, SOUND[100:200], TYPE, f"Content-Range: bytes 100-199/{len(SOUND)}", *NOISY)
    server = player.serve(answering(part if knows else WHOLE))

    answer = player.listener().get(url_of(player.call(player.host.ticket())), headers={"Range": "bytes=100-199"})

    assert (answer.status_code, play(answer)) == (206, SOUND[100:200])
    assert (answer["Content-Length"], answer["Content-Range"]) == ("100", f"bytes 100-199/{len(SOUND)}")
    assert answer["Accept-Ranges"] == "bytes"
    assert b"\r\nRange: bytes=100-199\r\n" in server.requests[0]
    assert rows() == ["meera"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-1,5-6"},
        {"Range": "bytes=0-99", "If-Range": '"planted-etag"'},
        {"Range": "bytes=0-99", "If-Range": "Mon, 03 Aug 2026 10:00:00 GMT"},
    ],
)
def test_other_ranges_play_the_whole(player: RecordingPlayer, headers: dict[str, str]) -> None:
    server = player.serve(answering(WHOLE))

    answer = player.listener().get(url_of(player.call(player.host.ticket())), headers=headers)

    assert (answer.status_code, play(answer)) == (200, SOUND)
    assert b"Range" not in server.requests[0]
    assert rows() == ["meera"]


@pytest.mark.parametrize("content_range", [f"bytes */{len(SOUND)}", "bytes */*"])
def test_range_beyond_the_end(player: RecordingPlayer, content_range: str) -> None:
    player.serve(answering(http(416, b"secret", f"Content-Range: {content_range}", *NOISY)))

    answer = player.listener().get(url_of(player.call(player.host.ticket())), headers={"Range": "bytes=99999999-"})

    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.get("Content-Range") == (content_range if content_range[-1] != "*" else None)
    assert_hides_the_address(answer, b"")
    assert rows() == []


def test_range_of_unknown_total(player: RecordingPlayer) -> None:
    player.serve(answering(http(206, b"abc", TYPE, "Content-Range: bytes 0-2/*")))

    answer = player.listener().get(url_of(player.call(player.host.ticket())), headers={"Range": "bytes=0-2"})

    assert (play(answer), answer["Content-Range"]) == (b"abc", "bytes 0-2/*")


def test_unknown_length_allows_no_seeking(player: RecordingPlayer) -> None:
    def chunked(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )

    player.serve(chunked)

    answer = player.listener().get(url_of(player.call(player.host.ticket())), headers={"Range": "bytes=1-"})

    assert (answer.status_code, play(answer)) == (200, b"abc")
    assert {"Content-Length", "Content-Range", "Accept-Ranges"} & set(answer.headers) == set()
    assert rows() == ["meera"]


def test_gzip_middleware_leaves_ranges_alone(player: RecordingPlayer, settings: Any) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    player.serve(answering(WHOLE))

    answer = player.listener().get(
        url_of(player.call(player.host.ticket())), headers={"Range": "bytes=0-999", "Accept-Encoding": "gzip"}
    )

    assert (play(answer), answer["Content-Length"]) == (SOUND[:1000], "1000")


# Several recordings.


def test_each_recording_of_a_call_is_played(player: RecordingPlayer) -> None:
    def keeper(visit: Visit) -> None:
        name = visit.read_request().split()[1]
        visit.sock.sendall(http(200, name, TYPE))

    player.serve(keeper)
    urls = [f"http://127.0.0.1:{player.server.port}/recordings/acme1/{number}.wav" for number in (1, 2)]
    call = player.call(player.host.ticket(), recording_url=urls[0], facts=facts_of(*urls))
    client = player.listener()

    sounds = [play(client.get(url_of(call, recording=number))) for number in (0, 1)]

    assert sounds == [b"/recordings/acme1/1.wav", b"/recordings/acme1/2.wav"]
