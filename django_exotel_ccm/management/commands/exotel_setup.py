"""exotel_setup: from a new installation to a working button, as far as a command can; then it says what is left."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections, router

from django_exotel_ccm import accounts
from django_exotel_ccm.diagnosis.diagnose import diagnose
from django_exotel_ccm.management.database_errors import explain_database_errors
from django_exotel_ccm.management.progress import several
from django_exotel_ccm.models import CallRecord, Device, Disposition, ExoPhone
from django_exotel_ccm.services.groups import (
    CALL_AGENTS,
    add_to_agents,
    complete_agents_group,
    create_groups,
    nobody_may_call,
    users_of_agents,
)

MOST_NAMED = 10


class Command(BaseCommand):
    """Each step does what is missing and leaves alone what is there, so that it can be run again."""

    help = (
        "For the first hour: makes our tables, groups for agents and supervisors, and starter dispositions; fetches "
        "agents and ExoPhones from Exotel; chooses the default ExoPhone. Then says what is left to do. Places no call "
        "and changes nothing in Exotel. May be repeated."
    )
    # What they find is told at the end, with what to do.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Do all steps, then print what is left; an account that does not answer stops only its own step."""
        with explain_database_errors():
            self._make_tables()
            created = create_groups()
            self._print("Groups", f"{' and '.join(created)}: created." if created else "there already.")
            count = Disposition.objects.add_starter_set()
            self._print("Dispositions", f"{count} to choose from after a call." if count else "there already.")
            known = users_of_agents()
            self._fetch()
            self._choose_default_exophones()
            self._let_call(known)
            self._say_what_is_left()

    def _make_tables(self) -> None:
        connection = connections[router.db_for_write(CallRecord)]
        names = connection.introspection.table_names()
        if CallRecord._meta.db_table in names:
            self._print("Tables", "there already.")
            return
        # Into an empty database go the tables of the whole project; where there are some, ours and what they need.
        call_command("migrate", *(["exotel_ccm"] if names else []), database=connection.alias, verbosity=0)
        self._print("Tables", "made.")

    def _fetch(self) -> None:
        try:
            call_command("exotel_sync", suggest_default=False, stdout=self.stdout, stderr=self.stderr)
        except CommandError as error:
            self._print("Agents and ExoPhones", str(error))

    def _choose_default_exophones(self) -> None:
        for account in _aliases():
            phones = ExoPhone.objects.filter(account=account, is_active=True).order_by("pk")
            first = phones.first()
            if first is None or phones.filter(is_default=True).exists():
                continue
            first.is_default = True
            first.save(update_fields=["is_default"])
            others = ". You can choose another one in the admin." if phones[1:].exists() else "."
            self._print("Default ExoPhone", f"{first}{others}")

    def _let_call(self, known: set[Any]) -> None:
        keys = users_of_agents()
        if nobody_may_call(keys) and complete_agents_group():
            self._print("Groups", f'no agent could call, so "{CALL_AGENTS}" has its permissions again.')
        # Each once: later somebody may have taken them out of the group. All where no run has come to its end.
        users = add_to_agents(keys if nobody_may_call(keys) else keys - known)
        if users:
            names = ", ".join(map(str, users[:MOST_NAMED])) + (" and others" if users[MOST_NAMED:] else "")
            self._print("Agents", f'added to the group "{CALL_AGENTS}", so that they may call: {names}.')

    def _say_what_is_left(self) -> None:
        left = [f"{one.message}\n   {one.fix}" for one in diagnose() if not one.ok]
        left += _phones_to_turn_on()
        if not get_user_model()._default_manager.exists():
            left.insert(0, "Nobody can log in yet.\n   Type: python manage.py createsuperuser")
        if not left:
            self.stdout.write(self.style.SUCCESS("\nNothing is left to do: open a ticket and press “Call customer”."))
            return
        self.stdout.write(self.style.WARNING(f"\nLeft to do, {several(len(left), 'thing')}:"))
        for number, text in enumerate(left, 1):
            self.stdout.write(f"{number}. {text}")

    def _print(self, what: str, text: str) -> None:
        self.stdout.write(f"{what}: {text}")


def _phones_to_turn_on() -> list[str]:
    """Return what is left if all phones of those who log in here are off. Later that is no fault: people go home."""
    phones = Device.objects.filter(agent__is_active=True, agent__user__isnull=False)
    if phones.filter(is_on=True).exists() or not phones.filter(is_verified=True).exists():
        return []
    text = "All phones of your agents are off in Exotel, which refuses their calls."
    return [f"{text}\n   Turn one on: the agent does so on “My phone”, which “My calls” in the admin leads to."]


def _aliases() -> list[str]:
    try:
        return list(accounts.configured_accounts())
    except ImproperlyConfigured:
        return []  # said at the end
