"""A host with django-helpdesk, as the cookbook says to set it up."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, TEMPLATES

PAGE = (Path(__file__).parents[2] / "docs" / "cookbook.md").read_text("utf-8")
SECTION = PAGE.partition("\n## django-helpdesk\n")[2]
CODE = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL))
[TEMPLATE] = re.findall(r"^```text\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if app != "tests.helpdesk"),
    "django.contrib.humanize",
    "django.contrib.sites",
    "helpdesk",
    "tests.django_helpdesk",
]
SITE_ID = 1
MEDIA_ROOT = Path(__file__).parent / "media"
LOGIN_URL = "/helpdesk/login/"
ROOT_URLCONF = "tests.django_helpdesk.urls"
TEMPLATES = [
    {
        **TEMPLATES[0],
        "APP_DIRS": False,
        "OPTIONS": {
            **TEMPLATES[0]["OPTIONS"],
            "loaders": [
                ("django.template.loaders.locmem.Loader", {"helpdesk/ticket.html": TEMPLATE}),
                "django.template.loaders.app_directories.Loader",
            ],
        },
    }
]
# Modules of the recipe's host, made of the page's own text.
sys.modules["desk"] = ModuleType("desk")
exec(CODE["desk/settings.py"])
EXOTEL_CCM = {**EXOTEL_CCM, "CALLBACK_BASE_URL": "http://127.0.0.1:1"}  # noqa: F405 - the recipe's
HELPDESK_TEAMS_MODE_ENABLED = False  # else it needs another package
