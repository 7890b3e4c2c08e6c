"""Looks for planted secrets where Django's error page would print them."""

from __future__ import annotations

import pprint
from base64 import b64encode
from urllib.parse import quote

KEY = "planted-key/zebra"
TOKEN = "planted@token:walrus%"


def leaks_in(text: str) -> list[str]:
    """The planted secrets that a text contains, in any spelling."""
    pair = b64encode(f"{KEY}:{TOKEN}".encode()).decode()
    spellings = {KEY, TOKEN, pair, quote(KEY, safe=""), quote(TOKEN, safe=""), "zebra", "walrus"}
    return sorted(spelling for spelling in spellings if spelling in text)


def text_of_exception(error: BaseException, *, skip: str) -> str:
    """All that an error page shows: of this exception and those behind it, the texts and the locals.

    The frames of the file `skip`, the test's own, are left out: they know the secrets.
    """
    told = []
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or link in seen:
            continue
        seen.append(link)
        told += [repr(link), str(link), pprint.pformat(vars(link))]
        frames = link.__traceback__
        while frames is not None:
            if frames.tb_frame.f_code.co_filename != skip:
                told += [f"{name} = {pprint.pformat(value)}" for name, value in frames.tb_frame.f_locals.items()]
            frames = frames.tb_next
        waiting += [link.__cause__, link.__context__]
    return "\n".join(told)
