"""The settings of a process that a test starts: the same host, on the test's own database."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403

DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]  # noqa: F405
EXOTEL_CCM["CALLBACK_BASE_URL"] = os.environ["TEST_BASE_URL"]  # noqa: F405
if "TEST_REQUESTS_PER_MINUTE" in os.environ:
    EXOTEL_CCM["REQUESTS_PER_MINUTE"] = int(os.environ["TEST_REQUESTS_PER_MINUTE"])  # noqa: F405
if os.environ.get("TEST_JOURNAL") in {"wal", "delete"}:
    DATABASES["default"]["OPTIONS"]["init_command"] = f"PRAGMA journal_mode={os.environ['TEST_JOURNAL']}"  # noqa: F405
if "TEST_RETENTION_DAYS" in os.environ:
    EXOTEL_CCM["RETENTION"] = {"recordings": int(os.environ["TEST_RETENTION_DAYS"])}  # noqa: F405
