"""Where a Celery worker looks for tasks (``app.autodiscover_tasks()``)."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

# Other queues' workers look for modules of this name, too.
with suppress(ImportError):
    import_module("django_exotel_ccm.background.with_celery")
