"""Our style and script, served by an URL of our own: a host need not have the app staticfiles."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from django.urls import reverse

FOLDER = Path(__file__).parent / "static" / "exotel_ccm"
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of ours; ``version`` changes with its content."""

    name: str
    content: bytes
    media_type: str
    version: str


@functools.cache
def assets() -> dict[str, Asset]:
    """Return the files by name. No other file can be asked for."""
    found = sorted(file for file in FOLDER.iterdir() if file.suffix in MEDIA_TYPES)
    return {file.name: _read(file) for file in found}


def _read(file: Path) -> Asset:
    content = file.read_bytes()
    return Asset(file.name, content, MEDIA_TYPES[file.suffix], hashlib.sha256(content).hexdigest()[:16])


def asset_url(name: str) -> str:
    """Return the address of the file, which changes with its content."""
    return reverse("exotel_ccm:asset", args=[assets()[name].version, name])
