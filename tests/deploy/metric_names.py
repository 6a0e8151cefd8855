"""Which metrics, with which labels, the files in ``deploy/`` speak of."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.deploy.tools import DEPLOY

NAME = re.compile(r"\bvqi_\w+")


def alerts() -> dict[str, dict[str, Any]]:
    """Returns the alert rules by name."""
    return {rule["alert"]: rule for rule in _rules() if "alert" in rule}


def alert_tests() -> list[dict[str, Any]]:
    """Returns the tests of the alert rules."""
    told = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yaml").read_text(encoding="utf-8"))
    return list(told["tests"])


def dashboard() -> dict[str, Any]:
    """Returns the Grafana dashboard."""
    told: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    return told


def dashboard_expressions() -> list[str]:
    """Returns the queries of all panels."""
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def used_metrics() -> set[str]:
    """Returns every metric that an alert, a panel, or the autoscaler asks for."""
    adapter = (DEPLOY / "kubernetes" / "prometheus-adapter.yaml").read_text(encoding="utf-8")
    expressions = [rule["expr"] for rule in _rules()] + dashboard_expressions() + [adapter]
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    text = " ".join(expressions)
    for name in recorded:
        text = text.replace(name, "")
    return set(NAME.findall(text))


def series_in_tests() -> list[tuple[str, set[str]]]:
    """Returns metric and label names of each series that the tests of the alerts make up."""
    series = [told["series"] for test in alert_tests() for told in test["input_series"]]
    return [(NAME.search(text)[0], set(re.findall(r"(\w+)=", text))) for text in series if NAME.search(text)]


def _rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in told["groups"] for rule in group["rules"]]
