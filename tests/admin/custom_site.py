"""A host whose admin site is a class of its own, named in its AdminConfig."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig


class OwnSite(AdminSite):
    site_header = "Our own CRM"


class OwnAdminConfig(AdminConfig):
    default_site = "tests.admin.custom_site.OwnSite"
