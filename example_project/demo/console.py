"""What the demo prints."""

from __future__ import annotations

import sys


class Trouble(Exception):
    """The demo cannot go on; the text says why, and what to type where that helps."""


def say(line: str) -> None:
    """Print a line now, not when a buffer is full."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
