"""exotel_callback_url: prints the URL to enter in Exotel's dashboard, for calls placed elsewhere."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_exotel_ccm import accounts
from django_exotel_ccm.callback_urls import account_callback_url


class Command(BaseCommand):
    """Prints the own callback URL of one account, or of every account with its alias."""

    help = "Prints the URL to which Exotel may report every call of an account, also those placed elsewhere."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the account."""
        parser.add_argument("account", metavar="ALIAS", nargs="?", help="the account (default: all of the settings)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print one URL a line."""
        chosen = [options["account"]] if options["account"] else accounts.aliases()
        for alias in chosen:
            try:
                url = account_callback_url(alias)
            except ImproperlyConfigured as error:
                raise CommandError(str(error)) from error
            self.stdout.write(url if len(chosen) == 1 else f"{alias}: {url}")
