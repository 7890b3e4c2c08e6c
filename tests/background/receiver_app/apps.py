from __future__ import annotations

from django.apps import AppConfig


class ListeningConfig(AppConfig):
    name = "tests.background.receiver_app"

    def ready(self) -> None:
        from django_exotel_ccm.signals import call_ended
        from tests.background.receiver_app import UID, note_end

        call_ended.connect(note_end, dispatch_uid=UID)
