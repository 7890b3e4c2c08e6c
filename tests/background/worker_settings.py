"""The settings of a worker's process: the test's host, with an app that has a receiver."""

from __future__ import annotations

import os

from tests.subprocess_settings import *  # noqa: F403

INSTALLED_APPS += ["tests.background.receiver_app"]  # noqa: F405
EXOTEL_CCM["RUNNER"] = os.environ["TEST_RUNNER"]  # noqa: F405
