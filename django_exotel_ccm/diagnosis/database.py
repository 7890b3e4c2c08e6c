"""The database: whether it answers, and has all the tables."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from django_exotel_ccm.diagnosis.finding import Finding, Run, ok
from django_exotel_ccm.models import CallRecord

APP = "exotel_ccm"


def check_database(run: Run) -> Iterator[Finding]:
    """Say whether the database answers and is migrated; the checks that need it are left out when it is not."""
    connection = connections[router.db_for_write(CallRecord)]
    why = _("No call can be placed, and nothing that stands in the database was checked.")
    try:
        executor = MigrationExecutor(connection)
        targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == APP]
        missing = executor.migration_plan(targets)
    except DatabaseError as error:
        run.has_database = False
        yield Finding(
            name="database",
            # The driver's text may quote a password.
            message=_("The database %(alias)s does not answer (%(error)s).")
            % {"alias": connection.alias, "error": type(error).__name__},
            why=why,
            fix=_("Start the database, or correct DATABASES in the settings. To see its own words, type: "
                  "python manage.py migrate --check"),
        )  # fmt: skip
        return
    yield ok(name="database", message=_("The database %(alias)s answers.") % {"alias": connection.alias})
    if missing:
        run.has_database = False
        yield Finding(
            name="migrations",
            message=_("Migrations that are not applied to the database %(alias)s: %(count)s.")
            % {"alias": connection.alias, "count": len(missing)},
            why=why,
            fix=_("Type: python manage.py migrate"),
        )
    else:
        yield ok(name="migrations", message=_("All migrations are applied."))
