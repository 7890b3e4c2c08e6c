"""Call lists: made of chosen tickets, and worked through one ticket at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction
from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet
from django.utils import timezone

from django_exotel_ccm.choices import ItemState, State
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.models import CallList, CallListItem, CallRecord
from django_exotel_ccm.models.call_queryset import is_past
from django_exotel_ccm.models.ticket_link import LinkKey
from django_exotel_ccm.services.drafts import label_of
from django_exotel_ccm.tickets import declared_type

MAX_ITEMS = 5_000
MAX_NAME = 200
BATCH = 500


def create_call_list(*, owner: Any, name: str, model: type[Model], keys: Iterable[Any]) -> CallList:
    """Make a call list for the user ``owner``; return it. Its page is ``exotel_ccm:call-list`` with the list's key.

    ``model`` is one of ``TICKETS``, and ``keys`` are the primary keys of its tickets, in the order in which they are to
    be called; one that comes twice counts once. The page passes over tickets that the user may not see, and those that
    are not there. A long name is cut. It is for trusted code: permissions are not asked.

    Raises ``ValueError`` without keys, with more than 5,000, or for a name of blanks;
    ``ImproperlyConfigured`` if the model is not in ``TICKETS``.
    """
    kept_name = storable(name)[:MAX_NAME].strip()
    if not kept_name:
        raise ValueError("create_call_list: give the list a name.")
    texts = list(dict.fromkeys(map(str, keys)))
    if not 0 < len(texts) <= MAX_ITEMS:
        raise ValueError(f"create_call_list: a list has 1 to {MAX_ITEMS} tickets, not {len(texts)}.")
    kind = ContentType.objects.get_for_model(declared_type(model).model, for_concrete_model=False)
    using = router.db_for_write(CallList)
    with transaction.atomic(using=using):
        made = CallList.objects.using(using).create(
            owner=owner, owner_label=label_of(owner), name=kept_name, created_at=timezone.now()
        )
        CallListItem.objects.using(using).bulk_create(
            (
                CallListItem(call_list=made, position=place, ticket_content_type=kind, ticket_object_id=text)
                for place, text in enumerate(texts, 1)
            ),
            batch_size=BATCH,
        )
    return made


def find_item(user: Any, key: int, link: LinkKey) -> CallListItem | None:
    """Return the item with this key, with its list; None unless ``user`` may work on it, and it is about ``link``."""
    kind, ticket_key = link
    items = CallListItem.objects.filter(pk=key, ticket_content_type_id=kind, ticket_object_id=ticket_key)
    return items.filter(call_list__in=CallList.objects.open_to(user)).select_related("call_list").first()


def mark_called(item_key: int, call: CallRecord, user: Any) -> bool:
    """Link ``call``, which ``user`` has placed from a list, to its item there; return whether there is such an item.

    A call that was refused before it was dialled leaves the item as it is: it can be called again. Of several calls the
    first counts that has reached the customer, as far as is known when the next is placed; else the newest.
    """
    if call.state == State.REFUSED:
        return False
    if find_item(user, item_key, call.link_key) is None:
        return False
    has_no_newer = Q(call=None) | Q(call__lt=call.pk)  # of two presses, the first can be answered last
    has_reached = Exists(CallRecord.objects.filter(pk=OuterRef("call_id"), talk_time__gt=0))
    CallListItem.objects.filter(has_no_newer, ~has_reached, pk=item_key).update(state=ItemState.CALLED, call=call)
    return True


def skip(item: CallListItem) -> None:
    """Leave an item out, unless it was called meanwhile."""
    CallListItem.objects.filter(pk=item.pk, state=ItemState.WAITING).update(state=ItemState.SKIPPED)


def left_over(call_list: CallList) -> QuerySet[CallListItem]:
    """Return the items that were skipped, and those whose call is past without a talk, in their order.

    A call of which Exotel has told nothing is past in the end, too: its ticket comes up again.
    """
    is_missed = Q(state=ItemState.CALLED) & _is_over() & ~Q(call__talk_time__gt=0)
    found = call_list.items.filter(Q(state=ItemState.SKIPPED) | is_missed)
    return found.select_related("call__agent").order_by("position")


def _is_over() -> Q:
    """Return the condition that the call of an item is past, or was deleted."""
    return is_past("call") | Q(call=None)


def rename_call_list(call_list: CallList, name: str) -> bool:
    """Give the list another name; return False if that is blank."""
    call_list.name = storable(name)[:MAX_NAME].strip()
    if call_list.name:
        call_list.save(update_fields=["name"])
    return bool(call_list.name)


def progress_of(call_lists: Iterable[CallList]) -> dict[Any, dict[str, int]]:
    """Return by the list's key how many items it has: ``total``, ``waiting`` and ``done``.

    Takes one statement, which reads an index alone: pages show many lists, and a list has up to :data:`MAX_ITEMS`.
    """
    items = CallListItem.objects.filter(call_list__in=list(call_lists)).order_by()
    counts: defaultdict[Any, dict[str, int]] = defaultdict(lambda: {"total": 0, "waiting": 0, "done": 0})
    for key, state, count in items.values_list("call_list", "state").annotate(Count("pk")):
        counts[key]["total"] += count
        counts[key]["waiting" if state == ItemState.WAITING else "done"] += count
    return dict(counts)


def results_of(call_list: CallList) -> dict[str, int]:
    """Return what came of a list: :func:`progress_of` it, ``skipped``, ``reached``, ``missed``, and ``open``.

    ``open`` are those whose call may still go on. Takes one statement.
    """
    is_over = _is_over()
    called = Q(state=ItemState.CALLED)
    talked = Q(call__talk_time__gt=0)
    counts = call_list.items.aggregate(
        total=Count("pk"),
        waiting=Count("pk", filter=Q(state=ItemState.WAITING)),
        skipped=Count("pk", filter=Q(state=ItemState.SKIPPED)),
        reached=Count("pk", filter=called & talked),
        over=Count("pk", filter=called & is_over),
        called=Count("pk", filter=called),
        reached_and_over=Count("pk", filter=called & is_over & talked),
    )
    missed = counts["over"] - counts["reached_and_over"]
    return {
        "total": counts["total"],
        "waiting": counts["waiting"],
        "done": counts["total"] - counts["waiting"],
        "skipped": counts["skipped"],
        "reached": counts["reached"],
        "missed": missed,
        "open": counts["called"] - counts["reached"] - missed,
    }
