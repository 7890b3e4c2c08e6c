"""The URLs of a host with a theme. Its tickets' admin, and ours of announcements, are of the theme's ModelAdmin."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.utils.module_loading import import_string

from django_exotel_ccm.admin import AnnouncementAdmin
from django_exotel_ccm.models import Announcement
from tests.helpdesk.admin import TicketAdmin
from tests.helpdesk.models import Ticket

for model, model_admin in ((Ticket, TicketAdmin), (Announcement, AnnouncementAdmin)):
    admin.site.unregister(model)
    admin.site.register(model, type(model_admin.__name__, (model_admin, import_string(settings.THEME.model_admin)), {}))

urlpatterns = [
    *([path("theme/", include(settings.THEME.urls))] if settings.THEME.urls else []),
    path("admin/", admin.site.urls),
    path("exotel/", include("django_exotel_ccm.urls")),
]
