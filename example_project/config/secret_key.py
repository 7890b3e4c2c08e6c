"""The helpdesk's SECRET_KEY: made on the first run and kept, so that sessions and callback URLs outlive a restart."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key


def kept_secret_key(path: Path) -> str:
    """Return the key in the file ``path``; without one, make it. The file is whole or absent, never half written."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(get_random_secret_key(), encoding="utf-8")
        draft.replace(path)
    return path.read_text(encoding="utf-8")
