"""A host's own user without ``username``, and tickets with UUID keys, a child, and rows of several tenants."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models

tenant: ContextVar[str] = ContextVar("tenant", default="")


class PersonManager(BaseUserManager["Person"]):
    def get_by_natural_key(self, username: str | None) -> Person:
        return self.get(email=username)


class Person(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(unique=True)

    USERNAME_FIELD = "email"
    objects = PersonManager()

    def __str__(self) -> str:
        return self.email


class OfTenant(models.Manager[Any]):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(tenant=tenant.get())


class Order(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=100)
    phone = models.CharField(max_length=40)
    tenant = models.CharField(max_length=20, default="north")

    objects = OfTenant()

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        from django.urls import reverse

        return reverse("order", args=[self.pk])


class RushOrder(Order):
    due = models.DateField(null=True)

    objects = OfTenant()
