"""One look at the line: measure, write down, stop what must be stopped, tell people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr

from inspection.alert_measures import evaluate
from inspection.alert_rules import GATE_RULE, Rule
from inspection.alert_states import AlertState
from inspection.alerts import Alert, close_answered, close_decided, mark_notified, open_alerts, record
from inspection.notifier import Delivery, notify
from inspection.registry import Decision, ModelRegistry


@dataclass(frozen=True)
class Look:
    """What one look at the line found and did.

    Attributes:
        states: every rule with what was measured.
        fired: the alerts that are new.
        paused: the decision that stopped auto-pass, if this look took it.
        delivery: who was told.
    """

    states: tuple[AlertState, ...]
    fired: tuple[Alert, ...]
    paused: Decision | None
    delivery: Delivery


def look(dsn: str, registry: ModelRegistry, urls: SecretStr, rules: Sequence[Rule], now: datetime) -> Look:
    """Evaluates the rules as of `now` and acts on them; a look cut short is made good by the next.

    Args:
        dsn: libpq URI of the warehouse.
        registry: where a pause of auto-pass is decided; the service follows it.
        urls: see `inspection.notifier.notify`.
        rules: see `inspection.alert_rules.rules`.
        now: nothing later counts.
    """
    resume = last_resume(registry)
    if resume is not None:
        close_answered(dsn, resume)
    close_decided(dsn, GATE_RULE, registry.history())
    states = evaluate(dsn, now, rules, resume)
    fired = record(dsn, states)
    paused = pause_for(registry, open_alerts(dsn))
    delivery = notify(urls, open_alerts(dsn, unnotified=True))
    mark_notified(dsn, delivery.told, now)
    return Look(tuple(states), tuple(fired), paused, delivery)


def pause_for(registry: ModelRegistry, alerts: Sequence[Alert]) -> Decision | None:
    """Pauses auto-pass if an open alert asks for it and it is not paused already."""
    asking = [alert for alert in alerts if alert.action == "pause_auto_pass"]
    if not asking or registry.auto_pass_paused():
        return None
    reason = " | ".join(alert.message for alert in asking)
    return registry.pause(actor=f"rule:{asking[0].rule}", reason=reason)


def last_resume(registry: ModelRegistry) -> Decision | None:
    """Returns the decision by which a person lifted a pause the last time, or None."""
    return next((d for d in reversed(registry.history()) if d.action == "resume"), None)
