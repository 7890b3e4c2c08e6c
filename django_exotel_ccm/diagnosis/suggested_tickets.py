"""Entries of TICKETS that would fit the models of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.apps import apps
from django.db.models import CharField, ForeignKey, Model, TextField

PHONES = {"phone", "phones", "mobile", "telephone", "tel", "cell", "whatsapp", "msisdn", "phonenumber"}
CASES = {"ticket", "case", "issue", "enquiry", "inquiry", "lead", "deal", "opportunity", "order", "request"}
"""What people call about, as models are often called; those come first."""
NOT_THEIRS = ("django.", "django_exotel_ccm", "rest_framework", "django_celery")
MOST = 3


def suggest_tickets() -> list[str]:
    """Return up to three lines for ``TICKETS``: models with a phone number of their own or of a related row."""
    found = [(model, path) for model in apps.get_models() if _is_theirs(model) for path in _paths(model)]
    found.sort(key=lambda pair: (not _words(pair[0].__name__) & CASES, pair[0]._meta.label))
    best: dict[type[Model], str] = {}
    for model, path in found:
        best.setdefault(model, path)
    return [
        f'"{model._meta.label}": {{"prefix": "{_prefix(model)}", "phone": "{path}"}}'
        for model, path in list(best.items())[:MOST]
    ]


def _is_theirs(model: type[Model]) -> bool:
    meta = model._meta
    return bool(meta.app_config) and not meta.app_config.name.startswith(NOT_THEIRS) and not meta.auto_created


def _paths(model: type[Model]) -> Iterator[str]:
    yield from _phones(model)
    for field in model._meta.concrete_fields:
        if isinstance(field, ForeignKey) and _is_theirs(field.related_model):
            yield from (f"{field.name}.{phone}" for phone in _phones(field.related_model))


def _phones(model: type[Model]) -> Iterator[str]:
    for field in model._meta.concrete_fields:
        if isinstance(field, CharField | TextField) and _words(field.name) & PHONES:
            yield field.name


def _words(name: str) -> set[str]:
    """Return the words of a name in any case: "customer_phone", "SupportTicket"."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def _prefix(model: type[Model]) -> str:
    return re.sub(r"[^a-z0-9]", "", model._meta.model_name or "").lstrip("0123456789") or "ticket"
