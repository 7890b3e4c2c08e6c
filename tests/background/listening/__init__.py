"""A host's app with one receiver, which a worker's process has too."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

UID = "listening.note_end"
PATIENCE = 60  # seconds, after which a receiver that nobody kills gives up


def note_end(*, ticket: Any, call: Any, **kwargs: Any) -> None:
    """Write into the ticket which process heard of the end; where TEST_INSIDE names a file, stay inside."""
    ticket.notes += f"ended in {os.getpid()}\n"
    ticket.save(update_fields=["notes"])
    inside = os.environ.get("TEST_INSIDE")
    if inside:
        Path(inside).touch()
        time.sleep(PATIENCE)
