"""What the tests of unverified calls share."""

from __future__ import annotations

import pytest

from django_exotel_ccm.models import UnverifiedCall
from tests.services.reconciliation.unverified_calls import make_due, report


@pytest.fixture
def unverified() -> UnverifiedCall:
    """A reported call that is not in the records, due now."""
    return make_due(report())
