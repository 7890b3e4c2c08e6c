"""The styles and scripts that the admin's pages load, where ``collectstatic`` has to list them."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.utils.translation import gettext as _

from django_exotel_ccm.assets import FOLDER
from django_exotel_ccm.diagnosis.finding import Finding, Run


def check_static_files(run: Run) -> Iterator[Finding]:
    """Find files of ours that the site's storage cannot name. One with a manifest then fails on pages with the button.

    Whether other storages have them is not known here: a web server may have them elsewhere.
    """
    if not apps.is_installed("django.contrib.staticfiles"):
        return
    if not all(_has_url(f"exotel_ccm/{path.name}") for path in FOLDER.iterdir()):
        yield Finding(
            name="static_files",
            message=_("collectstatic has not run since this package was installed or upgraded."),
            why=_("Pages with the button are answered with an error."),
            fix=_("Type: python manage.py collectstatic, and start the site again."),
        )


def _has_url(name: str) -> bool:
    from django.contrib.staticfiles.storage import staticfiles_storage  # noqa: PLC0415 - a host may do without the app

    try:
        staticfiles_storage.url(name)
    except ValueError:
        return False
    return True
