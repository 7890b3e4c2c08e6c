"""The surroundings in which the host's code is run outside its own requests."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django_exotel_ccm import conf


def work_context(call: Any) -> AbstractContextManager[Any]:
    """Return the host's ``WORK_CONTEXT`` for a call (a tenant, row-level security), else one that does nothing."""
    path = conf.get_settings().work_context
    if not path:
        return nullcontext()
    context: AbstractContextManager[Any] = conf.load(path)(call)
    return context
