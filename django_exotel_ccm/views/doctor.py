"""What ``exotel_doctor`` finds, as a page for superusers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_exotel_ccm.diagnosis.diagnose import diagnose
from django_exotel_ccm.views.access import answer_superuser_page


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@csrf_protect
def doctor(request: HttpRequest) -> HttpResponseBase:
    """Run every check and show what is wrong, then what is right. A POST runs them again. Takes ``exotel_adapter``."""
    return answer_superuser_page(request, lambda adapter: adapter.render(request, "doctor.html", _context()))


def _context() -> dict[str, Any]:
    found = list(diagnose())
    wrong = [one for one in found if not one.ok]
    headline = ngettext("%(count)s thing is wrong", "%(count)s things are wrong", len(wrong)) % {"count": len(wrong)}
    return {
        "title": _("Check of the set-up"),
        "headline": headline if wrong else _("All is well."),
        "wrong": wrong,
        "right": [one for one in found if one.ok],
    }
