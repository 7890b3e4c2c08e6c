"""The flush after each test with real transactions: it leaves what Django's flush leaves."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType

from tests.conftest import Host
from tests.helpdesk.models import Customer, Ticket
from tests.quick_flush import QuickFlush


def permissions() -> list[tuple[Any, ...]]:
    return list(Permission.objects.order_by("pk").values_list("pk", "codename", "content_type__model"))


def test_added_rows_go_and_permissions_stay(transactional_db: None) -> None:
    flush, before = QuickFlush("default"), permissions()
    Host().ticket()

    flush()

    assert (Ticket.objects.count(), Customer.objects.count()) == (0, 0)
    assert permissions() == before


def test_changed_permissions_are_made_anew(transactional_db: None) -> None:
    flush, before = QuickFlush("default"), permissions()
    Permission.objects.filter(codename="place_call").delete()
    ContentType.objects.filter(model="ticket").update(model="another")
    Host().ticket()

    flush()

    assert Ticket.objects.count() == 0
    assert sorted(row[1:] for row in permissions()) == sorted(row[1:] for row in before)


def test_second_change_is_found_too(transactional_db: None) -> None:
    flush = QuickFlush("default")
    for _time in range(2):
        Permission.objects.filter(codename="place_call").delete()

        flush()

        assert Permission.objects.filter(codename="place_call").exists()


def test_content_types_are_read_again(transactional_db: None, django_assert_num_queries: Any) -> None:
    flush = QuickFlush("default")
    ContentType.objects.get_for_model(Ticket)

    flush()

    with django_assert_num_queries(1):
        ContentType.objects.get_for_model(Ticket)
