"""A host that serves no admin."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("exotel/", include("django_exotel_ccm.urls"))]
