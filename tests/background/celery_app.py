"""A host's Celery app, as its documentation has it."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("tests")
app.conf.broker_url = os.environ.get("TEST_BROKER", "")
app.autodiscover_tasks()
