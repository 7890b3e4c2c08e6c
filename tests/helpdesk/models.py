"""A host's models: keys of every kind, numbers in places of every kind."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=100)
    phone = models.CharField(max_length=40, blank=True)
    other_phone = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return self.name


class Ticket(models.Model):
    subject = models.CharField(max_length=100)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True)
    status = models.CharField(max_length=30, default="open")
    team = models.CharField(max_length=30, blank=True)
    notes = models.TextField(blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)

    def __str__(self) -> str:
        return self.subject


class UrgentTicket(Ticket):
    deadline = models.DateField(null=True)


class CodedTicket(Ticket):
    """A child whose own key is not its parent's."""

    code = models.CharField(max_length=10, primary_key=True)
    ticket_ptr = models.OneToOneField(Ticket, models.CASCADE, parent_link=True)


class LoudTicket(Ticket):
    class Meta:
        proxy = True


class Lead(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class LeadPhone(models.Model):
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="phones")
    kind = models.CharField(max_length=30)
    number = models.CharField(max_length=40)

    def __str__(self) -> str:
        return self.number


def lead_numbers(lead: Lead) -> dict[str, str]:
    return {phone.kind: phone.number for phone in lead.phones.all()}


class Tag(models.Model):
    name = models.CharField(max_length=30)

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """A field of every kind that a form has a widget of its own for."""

    number = models.CharField(max_length=30)
    phone = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=30, choices=[("open", "Open"), ("called", "Called"), ("shut", "Shut")])
    customer = models.ForeignKey(Customer, models.CASCADE)
    tags = models.ManyToManyField(Tag, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    day = models.DateField(null=True, blank=True)
    amount = models.DecimalField(max_digits=9, decimal_places=2, default=0)
    is_paid = models.BooleanField(default=False)
    is_urgent = models.BooleanField(null=True)
    notes = models.TextField(blank=True)
    options = models.JSONField(default=dict, blank=True)
    scan = models.FileField(blank=True, upload_to="scans")
    secret = models.CharField(max_length=30, blank=True)

    def __str__(self) -> str:
        return self.number


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    text = models.CharField(max_length=100)
    pieces = models.IntegerField(default=1)

    def __str__(self) -> str:
        return self.text
