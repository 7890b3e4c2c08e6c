"""A host that serves the callbacks alone, and no API."""

from __future__ import annotations

from django.urls import include, path

from django_exotel_ccm.webhooks.views import CallbackView

ours = [path("callbacks/<str:token>/", CallbackView.as_view(), name="callback")]
urlpatterns = [path("exotel/", include((ours, "exotel_ccm")))]
