"""Installs what a part of the suite lacks, where we may: as root, with apt-get."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading

_ALONE = threading.Lock()  # apt-get takes no second installation beside its own


def has_hindi_font() -> bool:
    """Return whether a font with Devanagari is here, for pictures without boxes."""
    command = ["fc-list", ":lang=hi"]
    return bool(shutil.which(command[0]) and subprocess.run(command, capture_output=True, check=False).stdout.strip())


def install(*packages: str) -> None:
    """Install Debian's ``packages`` as well as it goes; whether it went, the caller sees by looking again."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _ALONE:
        print(f"Installing {' '.join(packages)} with apt-get.\n", end="", flush=True)
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(
                ["apt-get", "-q", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                check=False,
            )
