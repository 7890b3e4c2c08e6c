"""What the demo takes from the environment of whoever starts it, and what it leaves alone."""

from __future__ import annotations

import io
import os
import sys

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def prepare_streams() -> None:
    """Print every line at once, in UTF-8, whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)


def keep_loopback_off_proxies() -> None:
    """Have no proxy asked for addresses of this machine."""
    known = f"{os.environ.get('NO_PROXY', '')},{os.environ.get('no_proxy', '')}".split(",")
    hosts = ",".join(dict.fromkeys(filter(None, (*known, *LOOPBACK))))
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = hosts


def forget_real_accounts() -> list[str]:
    """Take every ``EXOTEL_`` variable out of this process, and return the names of those that were set."""
    names = sorted(name for name in os.environ if name.startswith("EXOTEL_"))
    for name in names:
        del os.environ[name]
    return names
