"""Answers requests for recordings: Range, what is not there yet, and what goes wrong (docs/exotel.md 10.3)."""

from __future__ import annotations

import re
from dataclasses import replace

from django_exotel_ccm.simulator.calls import SimulatedCall
from django_exotel_ccm.simulator.exchange import WEB_PAGE, Answer, Request
from django_exotel_ccm.simulator.options import RecordingFault
from django_exotel_ccm.simulator.recordings import Sound, recording
from django_exotel_ccm.simulator.refusals import RefusedError
from django_exotel_ccm.simulator.switchboard import Switchboard

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
ELSEWHERE = "https://recordings.example.com/exotelrecordings/"
TEXT = "text/plain; charset=utf-8"
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
INSTEAD: dict[RecordingFault, Answer] = {
    "not_found": Answer(404, b"There is no such recording.\n", TEXT),
    "forbidden": Answer(403, DENIED, "application/xml"),
    "html": Answer(200, WEB_PAGE, "text/html"),
}
"""Faults that answer something else instead."""


def recording_answer(board: Switchboard, request: Request, call_sid: str, kind: str) -> Answer:
    """The recording of a call, or 404 while there is none, whatever is switched."""
    call = board.book.calls.get(call_sid)
    if call is None or not board.recording_ready(call):
        return Answer(404, b"There is no such recording, or not yet.\n", TEXT)
    return ranged(_sound(board, call, kind), request.header("Range"))


def faulty_recording_answer(board: Switchboard, request: Request, call_sid: str, kind: str) -> Answer:
    """The recording of a call with the switched fault put in. RefusedError for a 401."""
    answer = recording_answer(board, request, call_sid, kind)
    fault = board.options.recording_fault
    if fault == "none" or answer.status == 404:
        return answer
    board.teller.note(f"recording_{fault}", call_sid, request.path)
    if fault == "unauthorised":
        raise RefusedError(1010)
    if fault == "redirect_out":
        return Answer(302, b"", TEXT, {"Location": f"{ELSEWHERE}{call_sid}.{kind}"})
    if fault == "endless":
        sound = _sound(board, board.book.calls[call_sid], kind)
        return Answer(200, b"", sound.content_type, stream=sound.endless())
    return INSTEAD.get(fault) or replace(answer, way="reset")


def _sound(board: Switchboard, call: SimulatedCall, kind: str) -> Sound:
    return recording(call.talk_time or 0, call.channels, kind, board.options.big_recording)


def ranged(sound: Sound, asked: str) -> Answer:
    """The sound or, if a range of it was asked for, that one: 206, or 416 if there is no such range."""
    headers = {"Accept-Ranges": "bytes"}
    found = RANGE.fullmatch(asked)
    if not found or found.groups() == ("", ""):  # several ranges, or none that can be read: all of it
        return Answer(200, b"", sound.content_type, headers, stream=sound.stream())
    first, last = _bounds(found[1], found[2], sound.size)
    if first > last or first >= sound.size:
        return Answer(416, b"", TEXT, {**headers, "Content-Range": f"bytes */{sound.size}"})
    told = {**headers, "Content-Range": f"bytes {first}-{last}/{sound.size}"}
    return Answer(206, b"", sound.content_type, told, stream=sound.stream(first, last))


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:  # the last so many bytes
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
