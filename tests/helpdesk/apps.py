from __future__ import annotations

from django.apps import AppConfig


class HelpdeskConfig(AppConfig):
    name = "tests.helpdesk"
    default_auto_field = "django.db.models.BigAutoField"
