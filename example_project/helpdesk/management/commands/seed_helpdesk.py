"""`manage.py seed_helpdesk`: the demo's people and tickets."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from helpdesk.models import Ticket
from helpdesk.seeding import PASSWORD, seed


class Command(BaseCommand):
    """May be run again: it fills in what is missing."""

    help = "Creates the demo's agents, ExoPhones, customers and tickets."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Seed, and say who may log in."""
        seed()
        self.stdout.write(f"{Ticket.objects.count()} tickets. Log in as asha or admin, password {PASSWORD}.")
