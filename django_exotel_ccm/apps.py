"""Wires checks, jobs and the admin attachment when Django starts."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class ExotelCCMConfig(AppConfig):
    """The app ``exotel_ccm``."""

    name = "django_exotel_ccm"
    label = "exotel_ccm"
    verbose_name = _("Exotel calls")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hide credentials, register checks and jobs, and attach "Call customer" to the host's admin."""
        from django_exotel_ccm import accounts, checks, conf, metrics, tasks  # noqa: PLC0415 - the app registry is ready now
        from django_exotel_ccm.adapters import add_adapter_finder  # noqa: PLC0415
        from django_exotel_ccm.choices import EventKind, Outcome, State  # noqa: PLC0415
        from django_exotel_ccm.host_pages import OwnPagesAdapter, find_host_pages  # noqa: PLC0415
        from django_exotel_ccm.services import due_work  # noqa: PLC0415

        conf.hide_literal_accounts()
        accounts.hide_credentials()
        checks.register_all()
        tasks.register_all()
        on_the_way = [(state, "") for state in State.values if state != State.ENDED]
        metrics.begin([*on_the_way, *((State.ENDED, outcome) for outcome in Outcome.values)], EventKind.values)
        metrics.export(due_work.gauges)
        if apps.is_installed("django.contrib.admin"):
            from django_exotel_ccm.admin import attach  # noqa: PLC0415 - hosts without an admin have no such app

            attach.install()
        add_adapter_finder(find_host_pages, lambda: [OwnPagesAdapter()])
