"""Recordings in a real browser: playing, seeking, and the messages when there is nothing to play."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from django_exotel_ccm.exotel.ranges import parse_range
from django_exotel_ccm.models import CallRecord, RecordingAccess
from django_exotel_ccm.services import place_call
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import keep_picture, log_in, violations
from tests.servers.scripted_http import Server, Visit, http, serving
from tests.views.recording_player import facts_of

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
LISTEN = "exotel_ccm.listen_recording"
PLAYS = "() => { const audio = document.querySelector('audio'); return audio.currentTime > 0.05 && !audio.error; }"


@pytest.fixture
def ticket(host: Any) -> Any:
    host.user("asha", *AGENT_WORK, SEES_CALLS, LISTEN)
    return host.ticket("Ceiling fan makes a noise")


@pytest.fixture
def call(ticket: Any, exotel: Any, live_server: Any) -> CallRecord:
    """A call that the simulator has recorded, and whose recording is ready."""
    from django_exotel_ccm.models import Agent

    exotel.speed = 500.0
    exotel.options.recording_delay = 0.0
    placed = place_call(agent=Agent.objects.get(), ticket=ticket, recording=True)
    exotel.wait_until_quiet(timeout=20)
    placed.refresh_from_db()
    assert placed.recording_url
    return placed


def pages_of(site: Any, call: CallRecord) -> dict[str, str]:
    return {
        "call": f"{site.url}/admin/exotel_ccm/callrecord/{call.pk}/change/",
        "ticket": f"{site.url}/admin/helpdesk/ticket/{call.ticket_object_id}/change/",
    }


def press_play(page: Any) -> None:
    """Press the line that opens the recording and plays it; where it is open, the button at the left of the player."""
    if page.locator("audio").first.is_visible():
        page.locator("audio").first.scroll_into_view_if_needed()
        page.click("audio >> nth=0", position={"x": 22, "y": 20})
    else:
        page.click(".exotel-recording summary >> nth=0")


@pytest.mark.parametrize("where", ["call", "ticket"])
def test_recording_is_played(call: CallRecord, live_server: Any, open_page: Open, where: str) -> None:
    page = open_page()
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    log_in(page, live_server.url, "asha")
    page.goto(pages_of(live_server, call)[where])
    before = [url for url in asked_for if "/recording/" in url]

    press_play(page)
    page.wait_for_function(PLAYS)
    keep_picture(page, f"recording_on_the_{where}_s_page")

    assert before == []
    assert RecordingAccess.objects.filter(call=call, user_label="asha").exists()
    assert call.recording_url not in page.content()
    assert not [url for url in asked_for if not url.startswith(live_server.url)]
    assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(5, abs=0.1)
    assert violations(page) == []


def large_sound(seconds: int = 1200) -> bytes:
    """Twenty minutes of silence: too much for a browser to load ahead."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(4 * 16_000 * seconds))
    return buffer.getvalue()


class RecordingHost:
    """Keeps a recording as S3 does: it knows ranges."""

    def __init__(self, sound: bytes) -> None:
        self.sound = sound
        self.requested: list[str] = []

    def __call__(self, visit: Visit) -> None:
        lines = visit.read_request().decode().split("\r\n")
        header = next((line.partition(": ")[2] for line in lines if line.startswith("Range: ")), "")
        self.requested.append(header)
        wanted, total = parse_range(header), len(self.sound)
        span = wanted.within(total) if wanted is not None else None
        with suppress(OSError):  # a browser that seeks leaves what it has begun
            if span is None:
                visit.sock.sendall(http(200, self.sound, "Content-Type: audio/wav"))
            else:
                header = f"Content-Range: bytes {span.first}-{span.last}/{total}"
                visit.sock.sendall(http(206, self.sound[span.first : span.last + 1], "Content-Type: audio/wav", header))


@pytest.fixture
def served(call: CallRecord, monkeypatch: pytest.MonkeyPatch, exotel: Any) -> Iterator[tuple[RecordingHost, Server]]:
    """The call's recording, twenty minutes long, on a server of its own."""
    source = RecordingHost(large_sound())
    was = call.recording_url
    with serving(source) as server:
        monkeypatch.setenv("EXOTEL_URL", f"exotel://k:t@127.0.0.1:{server.port}/acme1?tls=off")
        url = f"http://127.0.0.1:{server.port}/recordings/x.wav"
        CallRecord.objects.update(recording_url=url, facts=call.facts | facts_of(url))
        yield source, server
    CallRecord.objects.update(recording_url=was, facts=call.facts)


def test_seeking_requests_a_range(
    call: CallRecord, served: tuple[RecordingHost, Server], live_server: Any, open_page: Open
) -> None:
    source, _server = served
    page = open_page()
    log_in(page, live_server.url, "asha")
    page.goto(pages_of(live_server, call)["ticket"])
    press_play(page)
    page.wait_for_function(PLAYS)

    page.evaluate("document.querySelector('audio').currentTime = 1100")
    page.wait_for_function("() => { const a = document.querySelector('audio'); return a.currentTime > 1100.05; }")

    first = [parse_range(header) for header in source.requested]
    assert any(one is not None and one.first is not None and one.first > 60_000_000 for one in first), source.requested
    assert len(source.requested) > 1
    assert RecordingAccess.objects.count() == 1


def test_recording_that_is_not_ready(call: CallRecord, exotel: Any, live_server: Any, open_page: Open) -> None:
    page = open_page()
    log_in(page, live_server.url, "asha")
    page.goto(pages_of(live_server, call)["ticket"])
    exotel.options.recording_delay = 1e9

    press_play(page)
    page.wait_for_selector("text=The recording is not ready yet.")
    keep_picture(page, "recording_not_ready")
    found = violations(page)
    rows = RecordingAccess.objects.count()
    exotel.options.recording_delay = 0.0
    page.get_by_role("button", name="Try again").click()
    page.wait_for_function(PLAYS)
    page.wait_for_selector("text=The recording is not ready yet.", state="hidden")

    assert (rows, found) == (0, [])
    assert RecordingAccess.objects.count() > 0


def test_expired_session(call: CallRecord, live_server: Any, open_page: Open) -> None:
    page = open_page()
    log_in(page, live_server.url, "asha")
    page.goto(pages_of(live_server, call)["call"])
    page.context.clear_cookies()

    press_play(page)

    page.wait_for_selector("text=You are not logged in any more.")
    assert RecordingAccess.objects.count() == 0


def test_link_without_script(call: CallRecord, exotel: Any, live_server: Any, open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    log_in(page, live_server.url, "asha")
    page.goto(pages_of(live_server, call)["ticket"])
    exotel.options.recording_delay = 1e9

    page.click(".exotel-recording summary")
    with page.context.expect_page() as opened:
        page.click("text=Open the recording")

    assert opened.value.inner_text("body").strip() == "The recording is not ready yet. Try again in a minute."


@pytest.mark.parametrize(("look", "width", "dark"), [("dark", 1280, True), ("narrow", 390, False)])
def test_player_fits_the_page(
    call: CallRecord, live_server: Any, open_page: Open, look: str, width: int, dark: bool
) -> None:
    page = open_page(width, 900, dark=dark)
    log_in(page, live_server.url, "asha")

    for where, address in pages_of(live_server, call).items():
        page.goto(address)
        if where == "ticket":
            page.click(".exotel-recording summary")
        keep_picture(page, f"recording_{look}_{where}")
        assert violations(page) == []
        box = page.locator("audio").first.bounding_box()
        assert box["x"] + box["width"] <= width
