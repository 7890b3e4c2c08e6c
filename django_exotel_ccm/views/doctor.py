"""What ``exotel_doctor`` finds, as a page for superusers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_exotel_ccm.diagnosis.diagnose import diagnose, diagnose_settings
from django_exotel_ccm.views.access import answer_superuser_page


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@csrf_protect
def doctor(request: HttpRequest) -> HttpResponseBase:
    """Look at the settings alone; a POST runs every check, which sends requests. Takes ``exotel_adapter``."""
    has_run = request.method == "POST"
    return answer_superuser_page(
        request, lambda adapter: adapter.render(request, "doctor.html", _context(has_run=has_run))
    )


def _context(*, has_run: bool) -> dict[str, Any]:
    found = list(diagnose() if has_run else diagnose_settings())
    wrong = [one for one in found if not one.ok]
    headline = ngettext("%(count)s thing is wrong", "%(count)s things are wrong", len(wrong)) % {"count": len(wrong)}
    well = _("All is well.") if has_run else _("The settings can be read.")
    return {
        "title": _("Check of the set-up"),
        "has_run": has_run,
        "headline": headline if wrong else well,
        "wrong": wrong,
        "right": [one for one in found if one.ok],
    }
