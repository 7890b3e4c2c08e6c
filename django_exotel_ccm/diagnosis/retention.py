"""Retention: whether what the clocks of ``RETENTION`` let go is purged, and who asked for it is erased."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm.choices import RemovalKind
from django_exotel_ccm.diagnosis.finding import Finding, Run, ok
from django_exotel_ccm.models import Removal
from django_exotel_ccm.services.retention import GRACE, overdue_clocks, set_clocks

NAME = "retention"


def check_retention(run: Run) -> Iterator[Finding]:
    """Find data that should have gone two days ago: its clock had run, or its customer had asked for it."""
    if Removal.objects.due_erasures().filter(started_at__lt=timezone.now() - GRACE).exists():
        yield Finding(
            name=NAME,
            message=_("Customers wait for their erasure for more than two days."),
            why=_("They have asked for it, and the law gives them the right."),
            fix=_("Keep running: python manage.py exotel_purge --apply --forever"),
        )
        return
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
