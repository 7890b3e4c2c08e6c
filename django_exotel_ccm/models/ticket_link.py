"""How a row of ours names the host's ticket: its model, and its primary key as text."""

from __future__ import annotations

from collections import defaultdict

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Model, Q
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.masking import contains_number, mask
from django_exotel_ccm.tickets import link_of, ticket_types

LinkKey = tuple[int | None, str]
"""A ticket, in a dictionary: the key of its content type, and its own as text."""


def ticket_columns(ticket: Model) -> tuple[ContentType, str]:
    """Return ``ticket_content_type`` and ``ticket_object_id`` of the rows about ``ticket``."""
    model, key = link_of(ticket)
    return _content_type_of(model), key


def _content_type_of(model: type[Model]) -> ContentType:
    # A declared proxy is a kind of ticket of its own.
    return ContentType.objects.get_for_model(model, for_concrete_model=False)


def link_key(ticket: Model) -> LinkKey:
    """Return :attr:`TicketLink.link_key` of the rows about ``ticket``."""
    content_type, key = ticket_columns(ticket)
    return content_type.pk, key


def link_key_of(model: type[Model], key: str) -> LinkKey:
    """Return :attr:`TicketLink.link_key` of the rows about the ticket of a declared model with this key, as text."""
    return _content_type_of(model).pk, key


def about(*tickets: Model) -> Q:
    """Return the condition that a row is about one of the tickets, which may be of several kinds."""
    keys: defaultdict[ContentType, set[str]] = defaultdict(set)
    for content_type, key in map(ticket_columns, tickets):
        keys[content_type].add(key)
    links = [Q(ticket_content_type=kind, ticket_object_id__in=texts) for kind, texts in keys.items()]
    return Q(*links, _connector=Q.OR) if links else Q(pk__in=[])


def mask_key(text: str, number: str) -> str:
    """Return a key as it is kept once the customer with ``number`` (E.164) is erased: hosts may have numbers for keys.

    Masked, not blank: more users see what is about no ticket.
    """
    return mask(text) if contains_number(text, number) else text


class TicketLink(models.Model):
    """A row about a ticket. It stays when the ticket is deleted."""

    ticket_content_type = models.ForeignKey(
        ContentType,
        models.SET_NULL,
        null=True,
        db_index=False,  # the index of both columns begins with it
        related_name="+",
        verbose_name=_("kind of ticket"),
        help_text=_("The model of the ticket."),
    )
    ticket_object_id = models.CharField(
        _("ticket's key"), max_length=128, blank=True, help_text=_("The primary key of the ticket, as text.")
    )
    ticket = GenericForeignKey("ticket_content_type", "ticket_object_id")

    class Meta:
        abstract = True

    @property
    def link_key(self) -> LinkKey:
        """The kind and the key of the ticket: tickets of two kinds can have the same key."""
        return self.ticket_content_type_id, self.ticket_object_id

    @property
    def ticket_name(self) -> str | None:
        """The ticket as ``custom_field`` names it; None without a ticket, or if its model is not in ``TICKETS``."""
        if self.ticket_content_type_id is None or not self.ticket_object_id:
            return None
        model = ContentType.objects.get_for_id(self.ticket_content_type_id).model_class()
        ticket_type = ticket_types().get(model._meta.label_lower) if model is not None else None
        return None if ticket_type is None else f"{ticket_type.prefix}_{self.ticket_object_id}"
