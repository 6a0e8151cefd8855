"""How a client on this machine knows that it speaks to our service."""

from __future__ import annotations

import ssl
from pathlib import Path

END = "-----END CERTIFICATE-----"


def trust(certificate: Path | None) -> ssl.SSLContext | bool:
    """Returns what httpx shall verify with: that the service holds this very certificate, whoever signed it.

    Its name is not looked at: it is the plant's name for the service, and here that is called 127.0.0.1.

    Args:
        certificate: PEM file, of which the first certificate counts; None where the service has none.
    """
    if certificate is None:
        return True
    first, end, _ = certificate.read_text(encoding="ascii").partition(END)
    context = ssl.create_default_context(cadata=first + end)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
