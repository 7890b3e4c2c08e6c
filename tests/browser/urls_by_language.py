"""URLs of a host whose pages have their language in the address."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("exotel/", include("django_exotel_ccm.urls")),
    *i18n_patterns(path("admin/", admin.site.urls)),
]
