"""Connects the receivers when Django starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class HelpdeskConfig(AppConfig):
    """The app ``helpdesk``."""

    name = "helpdesk"
    verbose_name = _("Helpdesk")

    def ready(self) -> None:
        """Connect what happens to a ticket when its customer was called."""
        from helpdesk import receivers  # noqa: F401, PLC0415 - models are loaded only now
