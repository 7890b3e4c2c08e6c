"""ExoPhones, from the numbers of the account (docs/exotel.md 6)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from django.db.models import Q
from django.utils.translation import gettext as _

from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exotel.directory import ExotelNumber, NumberListing
from django_exotel_ccm.models import ExoPhone
from django_exotel_ccm.phone_numbers import parse_local_number
from django_exotel_ccm.services.synchronisation.runs import Change, RunOptions, SyncReport, SyncRun
from django_exotel_ccm.services.transactions import run_durably

LONGEST_LABEL = 100  # the column's


def sync_exophones(account: str, options: RunOptions | None = None) -> SyncReport:
    """Bring the ExoPhones of an account in step with its numbers; return what was done.

    Which one is the default is never changed. Raises what :func:`sync_agents` raises.
    """
    return ExoPhoneRun(account, options or RunOptions()).run()


class ExoPhoneRun(SyncRun[ExotelNumber]):
    """One run over the numbers of an account."""

    model = ExoPhone
    listing_class = NumberListing

    def describe_empty(self) -> str:
        """Return the sentence that Exotel listed no number."""
        return _("Exotel listed no ExoPhones, so nothing was changed. Check the account and its region.")

    def store_page(self, rows: Sequence[ExotelNumber]) -> tuple[list[Change], set[int]]:
        """Read the numbers of a page, then store them in one transaction."""
        labels: dict[str, str] = {}
        for row in rows:
            try:
                number = parse_local_number(row.number, row.country)
            except InvalidNumber:
                text = _("Exotel's ExoPhone %(number)s cannot be read as a phone number.")
                self._doubt(text % {"number": row.number})
            else:
                labels.setdefault(number, _label(row, number))
        if self.options.dry_run:
            return self._plan(labels)[:2]
        return run_durably(lambda: self._store(labels), using=self.using)

    def keys_of(self, rows: Sequence[ExotelNumber]) -> set[int]:
        """Return the keys of the ExoPhones that have these numbers."""
        numbers = []
        for row in rows:
            with suppress(InvalidNumber):
                numbers.append(parse_local_number(row.number, row.country))
        phones = ExoPhone.objects.using(self.using).filter(account=self.account, number__in=numbers)
        return set(phones.values_list("pk", flat=True))

    def _doubt(self, problem: str) -> None:
        if problem not in self.report.problems:
            self.report.problems.append(problem)

    def _plan(self, labels: dict[str, str]) -> tuple[list[Change], set[int], list[ExoPhone], list[ExoPhone]]:
        """Return the changes, the keys of our rows, the new rows and the changed rows; writes nothing."""
        phones = ExoPhone.objects.using(self.using).filter(account=self.account, number__in=list(labels))
        if not self.options.dry_run:
            phones = self.locked(phones)
        stored = {phone.number: phone for phone in phones}
        changes, new, changed = [], [], []
        for number, label in labels.items():
            phone = stored.get(number)
            if phone is None:
                new.append(ExoPhone(account=self.account, number=number, label=label, synced_at=self.started))
                changes.append(Change("added", number, label))
            elif phone.left_exotel_at is not None:
                phone.is_active, phone.left_exotel_at = True, None
                changed.append(phone)
                changes.append(Change("reactivated", str(phone)))
            elif label and not phone.label:
                phone.label = label
                changed.append(phone)
                changes.append(Change("changed", number, f"label {label}"))
        return changes, {phone.pk for phone in stored.values()}, new, changed

    def _store(self, labels: dict[str, str]) -> tuple[list[Change], set[int]]:
        changes, keys, new, changed = self._plan(labels)
        phones = ExoPhone.objects.using(self.using)
        if changed:
            phones.bulk_update(changed, ["label", "is_active", "left_exotel_at"])
        if keys:
            seen_before = Q(synced_at__isnull=True) | Q(synced_at__lt=self.started)
            phones.filter(seen_before, pk__in=keys).update(synced_at=self.started)
        if new:
            phones.bulk_create(new)
        return changes, keys

    def finish(self) -> None:
        """Say which default is missing, and suggest one."""
        phones = ExoPhone.objects.using(self.using).filter(account=self.account).order_by("number")
        if phones.filter(is_active=True, is_default=True).exists():
            return
        gone = phones.filter(is_default=True).first()
        if gone is not None:
            text = _("The default ExoPhone %(phone)s is not active, so customers cannot be called from it.")
            self.report.notes.append(text % {"phone": gone})
        if not self.options.suggest_default:
            return
        active = list(phones.filter(is_active=True)[:2])
        if len(active) > 1 or (active and gone is not None):
            text = _("No active ExoPhone is the default. Suggested: %(phone)s. Choose it in the admin.")
            self.report.notes.append(text % {"phone": active[0]})


def _label(row: ExotelNumber, number: str) -> str:
    """Return what somebody called the number in Exotel; "" if it is only the number again."""
    try:
        return "" if parse_local_number(row.label, row.country) == number else row.label[:LONGEST_LABEL]
    except InvalidNumber:
        return row.label[:LONGEST_LABEL]
