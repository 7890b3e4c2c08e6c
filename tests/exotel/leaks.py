"""Looks for planted secrets where Django's error page would print them."""

from __future__ import annotations

import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any
from urllib.parse import quote

Place = tuple[CodeType, int]

KEY = "planted-key/zebra"
TOKEN = "planted@token:walrus%"


def leaks_in(text: str) -> list[str]:
    """Return the planted secrets that a text contains, in any spelling."""
    pair = b64encode(f"{KEY}:{TOKEN}".encode()).decode()
    spellings = {KEY, TOKEN, pair, quote(KEY, safe=""), quote(TOKEN, safe=""), "zebra", "walrus"}
    return sorted(spelling for spelling in spellings if spelling in text)


def text_of(value: object) -> str:
    """Return what an error page shows of a value; "" when it is half built and its repr fails."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - so do the pages
        return ""


def text_of_exception(error: BaseException, *, skip: str) -> str:
    """Return what an error page shows: texts and local variables of the exception, its causes and contexts.

    Frames of the file ``skip``, the test's own, are left out: they hold the secrets.
    """
    shown = []
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or link in seen:
            continue
        seen.append(link)
        shown += [repr(link), str(link), text_of(vars(link))]
        frames = link.__traceback__
        while frames is not None:
            if frames.tb_frame.f_code.co_filename != skip:
                shown += [f"{name} = {text_of(value)}" for name, value in frames.tb_frame.f_locals.items()]
            frames = frames.tb_next
        waiting += [link.__cause__, link.__context__]
    return "\n".join(shown)


class Killed(BaseException):
    """Like GreenletExit, not an Exception."""


def traced(run: Callable[[], object], at_line: Callable[[FrameType], None]) -> BaseException | None:
    """Run, and call ``at_line`` before each line of Python; return the exception that came out.

    In a thread of its own: where a trace function raises, CPython can leave a handled exception set for the thread.
    """
    raised: list[BaseException] = []

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            at_line(frame)
        return trace

    def work() -> None:
        sys.settrace(trace)
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def places_with_secrets(run: Callable[[], object], *, skip: str) -> list[Place]:
    """Return the lines before which a local variable shows a secret, in the order of execution."""
    found: list[Place] = []

    def look(frame: FrameType) -> None:
        place = (frame.f_code, frame.f_lineno)
        if frame.f_code.co_filename == skip or place in found:
            return
        if leaks_in("".join(text_of(value) for value in frame.f_locals.values())):
            found.append(place)

    error = traced(run, look)
    assert error is None, error
    return found


def interrupted_at(run: Callable[[], object], place: Place) -> BaseException | None:
    """Run, and interrupt it at ``place``; return the interruption that came out."""

    def interrupt(frame: FrameType) -> None:
        if (frame.f_code, frame.f_lineno) == place:
            sys.settrace(None)
            raise Killed

    return traced(run, interrupt)


def assert_interruptions_show_nothing(run: Callable[[], object], *expected: str, skip: str) -> None:
    """Interrupt at each line where a variable shows a secret; the functions ``expected`` have such lines."""
    places = places_with_secrets(run, skip=skip)
    interruptions = {place: interrupted_at(run, place) for place in places}
    reached = {place[0].co_name for place, killed in interruptions.items() if killed is not None}

    assert reached >= set(expected)
    shown = {
        f"{place[0].co_qualname}:{place[1]}": leaks_in(text_of_exception(killed, skip=skip))
        for place, killed in interruptions.items()
        if killed is not None
    }
    assert {place: leaks for place, leaks in shown.items() if leaks} == {}
