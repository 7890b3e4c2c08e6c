"""The browser that the tests and the pictures are driven in."""

from __future__ import annotations

import shutil

# Without a window's own pages, which a whole browser opens beside each page: a third of its processor time.
COMMANDS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core", "fonts-noto-core", "fontconfig")  # of Debian
MISSING = f"no browser on the PATH ({', '.join(COMMANDS)}); as root type: apt-get install {' '.join(PACKAGES)}"


def executable() -> str | None:
    """Return the path of the first that is here; None if none is."""
    return next(filter(None, map(shutil.which, COMMANDS)), None)
