"""The tests' host with an admin theme: the environment's ADMIN_THEME names it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS


@dataclass(frozen=True)
class Theme:
    """What a host of this theme writes: its apps before the admin's, its ModelAdmin, and the URLs that it needs."""

    apps: tuple[str, ...]
    model_admin: str = "django.contrib.admin.ModelAdmin"
    urls: str = ""
    tools_menu: str = ""
    """What opens the menu into which the theme folds the object tools on a phone."""
    set_scheme: str = "() => {}"
    """Does what the theme's own script does for "dark" or "light" while a page is loaded."""


THEMES = {
    "stock-5.2": Theme(()),
    "stock-6.0": Theme(()),
    "stock-6.1": Theme(()),
    "jazzmin": Theme(("jazzmin",), set_scheme="scheme => { document.documentElement.dataset.bsTheme = scheme; }"),
    "unfold": Theme(
        ("unfold",),
        model_admin="unfold.admin.ModelAdmin",
        tools_menu="a:has-text('more_horiz')",
        set_scheme="scheme => document.documentElement.classList.toggle('dark', scheme === 'dark')",
    ),
    "grappelli": Theme(("grappelli",), urls="grappelli.urls"),
    "admin-interface": Theme(("admin_interface", "colorfield")),
    "simpleui": Theme(("simpleui",)),
    "semantic-admin": Theme(("semantic_admin", "semantic_forms"), model_admin="semantic_admin.SemanticModelAdmin"),
}
THEME_NAME = os.environ["ADMIN_THEME"]
THEME = THEMES[THEME_NAME]

INSTALLED_APPS = [*THEME.apps, *INSTALLED_APPS]
ROOT_URLCONF = "tests.themes.urls"
X_FRAME_OPTIONS = "SAMEORIGIN"  # admin-interface and simpleui show pages in frames
# The themes load nothing from other hosts.
SIMPLEUI_STATIC_OFFLINE = True
SIMPLEUI_ANALYSIS = False
JAZZMIN_SETTINGS = {"use_google_fonts_cdn": False}
