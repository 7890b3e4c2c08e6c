"""A host's app with one receiver, which is connected in the workers too."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

UID = "listening.note_end"
TIMEOUT = 60  # seconds, after which a receiver that was not killed goes on


def note_end(*, ticket: Any, call: Any, **kwargs: Any) -> None:
    """Write the process id into the ticket; if TEST_INSIDE names a file, create it and wait to be killed."""
    ticket.notes += f"ended in {os.getpid()}\n"
    ticket.save(update_fields=["notes"])
    inside = os.environ.get("TEST_INSIDE")
    if inside:
        Path(inside).touch()
        time.sleep(TIMEOUT)
