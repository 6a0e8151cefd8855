"""Tells people about alerts, by whatever `apprise` can reach: mail, chat, pagers, webhooks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from inspection.alerts import Alert

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """How telling people went.

    Attributes:
        told: alerts that at least one address took.
        addresses: how many are configured.
        failures: one line for each alert that an address did not take.
    """

    told: tuple[Alert, ...]
    addresses: int
    failures: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line for a person."""
        if not self.addresses:
            return "nobody can be told: no notification URL is configured (VQI_NOTIFY)"
        failed = f", {len(self.failures)} failed: {'; '.join(self.failures)}" if self.failures else ""
        return f"{len(self.told)} alerts told by {self.addresses} addresses{failed}"


def notify(urls: SecretStr, alerts: Sequence[Alert]) -> Delivery:
    """Sends each alert to each address.

    Args:
        urls: apprise URLs, separated by blanks. They hold secrets: only their scheme is ever shown.
        alerts: what to tell.

    Returns:
        What got through and what did not; a failure is logged too, and never ends the others.
    """
    addresses = urls.get_secret_value().split()
    told: list[Alert] = []
    failures: list[str] = []
    for alert in alerts:
        sent = [_send(url, alert) for url in addresses]
        if any(sent):
            told.append(alert)
        failures += [
            f"{alert.rule} ({alert.scope}) to address {number}, {urlsplit(url).scheme}"
            for number, (url, success) in enumerate(zip(addresses, sent, strict=True), start=1)
            if not success
        ]
    for failure in failures:
        log.error("notification failed: %s: check VQI_NOTIFY", failure)
    return Delivery(tuple(told), len(addresses), tuple(failures))


def _send(url: str, alert: Alert) -> bool:
    from apprise import Apprise, NotifyType

    kind = NotifyType.WARNING if alert.severity == "warning" else NotifyType.FAILURE
    service = Apprise()
    # One that apprise does not understand is not added, and there is then nobody to tell.
    return service.add(url) and bool(
        service.notify(title=f"[{alert.severity}] {alert.rule}", body=alert.message, notify_type=kind)
    )
