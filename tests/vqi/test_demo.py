"""The demo as a person runs it, on a plant and a network that are small."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
import yaml

from inspection.profiles import FOLDER
from tests.conftest import free_port
from vqi.demo_report import DemoReport

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "demo-report.md"
PORTS = ("POSTGRES", "DAGSTER", "SERVICE", "DOCS")
IMAGES = 240

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ran:
    """A demo that has run; its services are up."""

    home: Path
    environment: dict[str, str]
    done: subprocess.CompletedProcess[str]

    @property
    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "demo_report.json").read_text(encoding="utf-8")))

    def vqi(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vqi.main", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)


def small_profile(folder: Path) -> Path:
    """Returns a profile that learns next to nothing in no time."""
    profile = yaml.safe_load((FOLDER / "demo.yaml").read_text(encoding="utf-8"))
    profile["training"] |= {"epochs": 1, "minimum_rows": 20, "window": [96, 192]}
    profile["preprocessing"] |= {"height": 96, "width": 192}
    profile["calibration"] = {"minimum_positives": 1, "minimum_negatives": 1}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    with tempfile.TemporaryDirectory(prefix="vqi-test-") as folder:
        home = Path(folder) / "home"
        environment = {
            **os.environ,
            **{f"VQI_{name}_PORT": str(free_port()) for name in PORTS},
            "VQI_HOME": str(home),
            "VQI_PROFILE": str(small_profile(Path(folder))),
        }
        ran = Ran(home, environment, subprocess.CompletedProcess([], -1))
        try:
            yield Ran(home, environment, ran.vqi("demo", "--images", str(IMAGES)))
        finally:
            ran.vqi("down")


def test_each_stage_ran(ran: Ran) -> None:
    assert ran.done.returncode == 0, ran.done.stderr
    report = DemoReport.model_validate(ran.report)
    assert report.source == "simulated"
    assert sum(report.split["sizes"].values()) > IMAGES // 2
    assert report.serving["answered"] == report.serving["sent"] > 0
    assert report.rows["marts.fct_predictions"] == report.serving["answered"]
    assert report.reviews["reviews"] == report.rows["marts.fct_reviews"] > 0
    assert report.reviews["overrides"] == report.rows["marts.fct_overrides"]
    assert set(report.quarantined) >= {"unknown_label", "broken_box", "orphan_order", "future_timestamp"}
    assert report.parity["flips"] == 0
    assert report.decision["action"] == "approve"
    leaks = [check for check in report.checks if check["name"] in ("no_order_on_two_sides", "test_is_newest")]
    assert [check["state"] for check in leaks] == ["passed", "passed"]


def test_a_gate_that_does_not_pass_is_told_and_recorded(ran: Ran) -> None:
    report = DemoReport.model_validate(ran.report)
    assert report.gate["verdict"] in ("failed", "insufficient_evidence")  # nobody learns this in one epoch
    assert [a["cleared"] for a in report.alerts if a["rule"] == "deployment_gate"] == [True]  # a person has
    (gate,) = [check for check in report.checks if check["name"] == "deployment_gate"]
    assert gate["state"] == "failed"
    assert f"gate: {report.gate['verdict']}" in ran.done.stdout
    assert f"vqi approve {report.bundle_id[:12]}" in ran.done.stdout


def test_the_test_report_is_a_page_that_a_person_opens(ran: Ran) -> None:
    page = Path(ran.report["look_next"]["test report of the model, to read and print"])
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") >= 4
    for words in ("shuffled labels", "linear on pixels", "light head", "Where it is better or worse"):
        assert words in text
    other = page.with_name("other.html")
    done = ran.vqi("report", ran.report["bundle_id"][:12], "--open-path", str(other))
    assert done.returncode == 0, done.stderr
    assert other.read_bytes() == page.read_bytes()
    assert ran.vqi("report").stdout.strip() == str(page)


def test_the_page_tells_what_the_report_holds(ran: Ran) -> None:
    page = ran.done.stdout
    for words in ("Set aside, by reason", "Label agreement", "Training curve", "Split", "P50 / P95 / P99"):
        assert words in page
    assert ran.report["bundle_id"][:16] in page


def test_the_status_tells_where_things_are(ran: Ran) -> None:
    status = json.loads(ran.vqi("status", "--json").stdout)
    assert status["production_model"] == ran.report["bundle_id"]
    assert httpx.get(status["service_url"] + "/readyz").status_code == 200
    assert "Visual inspection" in httpx.get(status["service_url"]).text
    assert "training_dataset" in httpx.get(status["dbt_docs_url"] + "/manifest.json").text
    assert httpx.get(status["dbt_docs_url"]).status_code == 200
    assert httpx.get(status["dagster_url"] + "/server_info").status_code == 200
    with psycopg2.connect(status["warehouse_dsn"]) as connection, connection.cursor() as cursor:
        cursor.execute("select count(distinct model_version) from marts.fct_predictions")
        assert cursor.fetchall() == [(1,)]


def test_cameras_can_go_on_and_the_second_up_starts_nothing(ran: Ran) -> None:
    assert "started" not in ran.vqi("up").stderr
    line = ran.vqi("simulate", "line", "--rate", "5", "--seconds", "2")
    assert line.returncode == 0, line.stderr
    assert "10 parts answered" in line.stdout


def test_the_model_is_held_against_controls(ran: Ran) -> None:
    done = ran.vqi("bench", "controls", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"name", "machine", "ratios", "measured"}
    assert set(found["ratios"]) == {"linear_over_ours", "shuffled_over_ours"}
    assert found["measured"]["test_images"] == ran.report["split"]["sizes"]["test"]
    assert 0 <= found["measured"]["auroc_linear"] <= 1


def test_the_keys_of_the_report_are_documented() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == list(DemoReport.model_fields)
