"""exotel_doctor: looks at everything that a call needs, and says what is wrong and what mends it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from django_exotel_ccm.diagnosis.diagnose import diagnose
from django_exotel_ccm.diagnosis.finding import Finding


class Command(BaseCommand):
    """Prints one line for what is right, and three for what is wrong."""

    help = (
        "Checks settings, key, account, the address for callbacks, database, workers, agents, ExoPhones, permissions "
        "and tickets. Says what is wrong, why it matters and what to type. Exit status 1: something is wrong."
    )
    # What they find is said here, check by check; and a site that is wrong is what this command is for.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --json."""
        parser.add_argument("--json", action="store_true", help="print the same as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each finding when it is there; raise ``CommandError`` if one is wrong."""
        if options["json"]:
            found = list(diagnose())
            self.stdout.write(json.dumps({"checks": [asdict(one) for one in found]}, indent=2, ensure_ascii=False))
        else:
            found = [self._print(one) for one in diagnose()]
        wrong = sum(not one.ok for one in found)
        if wrong:
            raise CommandError(_("Wrong: %(wrong)s of %(count)s.") % {"wrong": wrong, "count": len(found)})
        if not options["json"]:
            self.stdout.write(self.style.SUCCESS(_("All is well.")))

    def _print(self, one: Finding) -> Finding:
        if one.ok:
            self.stdout.write(_("ok     %(message)s") % {"message": one.message})
        else:
            self.stdout.write(self.style.ERROR(_("WRONG  %(message)s") % {"message": one.message}))
            if one.why:
                self.stdout.write(_("       Why: %(why)s") % {"why": one.why})
            if one.fix:
                self.stdout.write(_("       Do: %(fix)s") % {"fix": one.fix})
        self.stdout.flush()
        return one
