"""Django, the database and the web application of the helpdesk."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError

from demo.console import Trouble


def load_django() -> Path:
    """Load the settings and the apps; return the folder of the helpdesk's data."""
    django.setup()
    return Path(settings.DATA)


def set_up() -> Any:
    """Bring the database up to date, and return the helpdesk as a WSGI application."""
    try:
        call_command("check", stdout=io.StringIO())
        call_command("migrate", verbosity=0)
    except SystemCheckError as error:
        raise Trouble(f"the helpdesk is not set up as it should be.\n{error}") from error
    except (DatabaseError, sqlite3.Error) as error:
        raise Trouble(f"its database cannot be used: {error}. To start afresh: rm -r .demo") from error
    # Styles and scripts are served here also without DEBUG.
    return StaticFilesHandler(get_wsgi_application())
