from __future__ import annotations

import sys
from types import ModuleType

from django.apps import AppConfig


class DeskConfig(AppConfig):
    name = "tests.django_helpdesk"
    label = "desk"

    def ready(self) -> None:
        """Import the recipe's module, as a host does."""
        from tests.django_helpdesk.settings import CODE

        module = ModuleType("desk.telephony")
        exec(compile(CODE["desk/telephony.py"], "desk/telephony.py", "exec"), vars(module))
        sys.modules["desk.telephony"] = module
