"""The alert rules fire when they should, and the configuration is one that Prometheus takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.metric_names import alert_tests, alerts
from tests.deploy.tools import DEPLOY, run
from tests.house.repository import ROOT

FOLDER = DEPLOY / "prometheus"


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "vqi.key").write_text("secret")
    said = run("promtool", "check", "config", tmp_path / "prometheus.yaml")
    assert "1 rule files found" in said


def test_the_alerts_fire_as_their_tests_say() -> None:
    run("promtool", "test", "rules", "alerts_test.yaml", cwd=FOLDER)


@pytest.mark.parametrize(("expected", "other"), [("> 0.2", "> 0.3"), ("for: 5m", "for: 0m"), ("< 20", "< 5")])
def test_their_tests_notice_another_limit(tmp_path: Path, expected: str, other: str) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    rules = tmp_path / "alerts.yaml"
    rules.write_text(rules.read_text(encoding="utf-8").replace(expected, other), encoding="utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        run("promtool", "test", "rules", "alerts_test.yaml", cwd=tmp_path)


@pytest.mark.parametrize("name", alerts())
def test_an_alert_is_tested_with_and_without_its_reason(name: str) -> None:
    cases = [
        bool(case.get("exp_alerts"))
        for test in alert_tests()
        for case in test["alert_rule_test"]
        if case["alertname"] == name
    ]
    assert {True, False} <= set(cases)


@pytest.mark.parametrize(("name", "rule"), alerts().items())
def test_an_alert_says_what_it_means_and_where_to_read_on(name: str, rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in ("critical", "high", "warning")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = [line.removeprefix("## ") for line in (ROOT / page).read_text(encoding="utf-8").splitlines()]
    assert name in headings
    assert anchor == name.lower()
