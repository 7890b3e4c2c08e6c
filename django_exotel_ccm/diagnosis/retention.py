"""Retention: whether what the clocks of ``RETENTION`` let go is purged."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from django_exotel_ccm.choices import RemovalKind
from django_exotel_ccm.diagnosis.finding import Finding, Run, ok
from django_exotel_ccm.services.retention import overdue_clocks, set_clocks

NAME = "retention"


def check_retention(run: Run) -> Iterator[Finding]:
    """Find data that its clock should have let go two days ago."""
    if not set_clocks():
        yield ok(name=NAME, message=_("RETENTION is not set, so nothing is purged by itself."))
        return
    overdue = overdue_clocks()
    if not overdue:
        yield ok(name=NAME, message=_("What RETENTION lets go is purged."))
        return
    yield Finding(
        name=NAME,
        message=_("Kept longer than RETENTION says: %(kinds)s.")
        % {"kinds": ", ".join(str(RemovalKind(kind).label) for kind in overdue)},
        why=_("These are personal data that you have decided to let go."),
        fix=_("Keep running: python manage.py exotel_purge --apply --forever"),
    )
