"""Probes: signed requests to our own callback address, which show whether Exotel's callbacks would arrive.

A probe opens nothing and stores nothing. Its URL is signed with a salt of its own, so it is no callback's, and holds
for five minutes. The receipt in its answer is signed as well: nobody else can answer in our place.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import secrets
import socket
from dataclasses import asdict, dataclass

from django.core.exceptions import DisallowedHost
from django.core.signing import BadSignature, Signer, TimestampSigner
from django.http import HttpRequest

from django_exotel_ccm.callback_urls import url_of_account

MAX_AGE = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a probe arrived: the digest of its body, what Django took the request for, and which process answered."""

    probe: str
    digest: str
    is_secure: bool
    host: str
    process: str


def new_probe() -> str:
    """Return the name of a new probe."""
    return secrets.token_hex(16)


def probe_url(alias: str, probe: str) -> str:
    """Return the URL of a probe of the address where Exotel reports about calls of the account.

    Raises ``ImproperlyConfigured`` and ``NoReverseMatch`` as ``callback_urls`` does.
    """
    return url_of_account(alias, "callback", sign(probe))


def sign(probe: str) -> str:
    """Return the token of a probe's URL."""
    return _url_signer().sign(probe)


def verify(token: str) -> str | None:
    """Return the probe that a token of :func:`sign` names; None when it is forged or more than five minutes old."""
    try:
        return _url_signer().unsign(token, max_age=MAX_AGE)
    except (BadSignature, ValueError):
        return None


def digest_of(body: bytes) -> str:
    """Return the digest by which a receipt names the body that arrived."""
    return hashlib.sha256(body).hexdigest()


def sign_receipt(probe: str, body: bytes, request: HttpRequest) -> str:
    """Return the signed receipt of a probe that arrived with ``body``."""
    try:
        host = request.get_host()
    except DisallowedHost:
        host = ""  # a host without CommonMiddleware does not refuse such requests
    # A digest, because the name of the machine is nobody's business.
    process = digest_of(f"{socket.gethostname()} {os.getpid()}".encode())[:16]
    receipt = Receipt(probe, digest_of(body), request.is_secure(), host, process)
    return _receipt_signer().sign_object(asdict(receipt))


def read_receipt(text: str) -> Receipt | None:
    """Return what :func:`sign_receipt` signed; None when it is forged or damaged."""
    try:
        return Receipt(**_receipt_signer().unsign_object(text))
    except (BadSignature, ValueError):
        return None


def _url_signer() -> TimestampSigner:
    return TimestampSigner(salt="django_exotel_ccm.callback.probe", sep=".")


def _receipt_signer() -> Signer:
    return Signer(salt="django_exotel_ccm.probe_receipt", sep=".")
