"""What the labels are held to: the file, and what follows from a measured value."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspection.errors import CheckFailedError, SettingsError
from inspection.label_quality import DEFAULT_LIMITS, Agreement, load_limits
from inspection.training_gate import Fault, refuse_training


def written(folder: Path, overall: str) -> Path:
    file = folder / "limits.yaml"
    others = "safety_critical: 0.95, clean: 0.9"
    file.write_text(f"agreement: {{overall: {overall}, {others}}}\nminimum_rows: {{demo: 3}}\n")
    return file


@pytest.mark.parametrize(
    ("text", "above", "stops"),
    [
        ("0.9", 0.9, {"demo": False, "production": False}),
        ("1", 1.0, {"demo": False, "production": False}),
        ("{above: 0.9}", 0.9, {"demo": False, "production": False}),
        ("{above: 0.8, stops_training: false}", 0.8, {"demo": False, "production": False}),
        ("{above: 0.8, stops_training: true}", 0.8, {"demo": True, "production": True}),
        ("{above: 0.8, stops_training: [production]}", 0.8, {"demo": False, "production": True}),
        ("{above: 0.8, stops_training: []}", 0.8, {"demo": False, "production": False}),
    ],
)
def test_a_limit(tmp_path: Path, text: str, above: float, stops: dict[str, bool]) -> None:
    limit = load_limits(written(tmp_path, text)).agreement.overall
    assert limit.above == above
    assert {profile: limit.stops(profile) for profile in stops} == stops


@pytest.mark.parametrize(
    "text",
    [
        "90",
        "-0.1",
        "high",
        "{stops_training: true}",
        "{above: 0.9, stop_training: true}",
        "{above: 0.9, stops_training: sometimes}",
    ],
)
def test_no_limit(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"limits\.yaml holds no label limits"):
        load_limits(written(tmp_path, text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="VQI_LABEL_LIMITS"):
        load_limits(tmp_path / "limits.yaml")


def test_the_limits_that_come_with_it() -> None:
    limits = load_limits(DEFAULT_LIMITS)
    agreement = limits.agreement
    named = [agreement.overall, agreement.safety_critical, agreement.clean]
    assert [limit.above for limit in named] == [0.90, 0.95, 0.90]
    assert {pair: limit.above for pair, limit in agreement.pairs.items()} == {
        "SURFACE_PIT/SURFACE_SCRATCH": 0.80
    }
    # The demo must not end where its simulated people are of two minds.
    assert not any(limit.stops("demo") for limit in [*named, *agreement.pairs.values()])
    assert all(limit.stops("production") for limit in named)
    assert limits.minimum_rows["production"] == 30_000


@pytest.mark.parametrize(
    ("rate", "status"),
    [(None, "not applicable"), (0.0, "failed"), (0.9, "failed"), (0.901, "passed"), (1.0, "passed")],
)
def test_a_rate_has_to_be_above_its_limit(rate: float | None, status: str) -> None:
    found = Agreement("overall", "overall", 10, rate, None, None, None, limit=0.9, stops_training=True)
    assert found.status == status


def test_a_refusal_names_each_fault() -> None:
    refuse_training([])
    faults = [
        Fault("enough_rows", "3 images"),
        Fault("agreement_clean", "82.0%"),
        Fault("enough_rows", "again"),
    ]
    with pytest.raises(
        CheckFailedError, match=r"enough_rows \(3 images\); agreement_clean \(82\.0%\)"
    ) as caught:
        refuse_training(faults)
    assert caught.value.checks == ("enough_rows", "agreement_clean")
    assert "\n" not in str(caught.value)
