"""The bench of the outbox measures what it says, on few records."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import outbox
from inspection.settings import Settings


def test_it_measures_each_beside_its_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "get_settings", lambda: Settings(home=tmp_path / "home"))
    monkeypatch.setattr(outbox, "ROUNDS", 1)
    monkeypatch.setattr(outbox, "RECORDS", 16)
    told = outbox.run()
    ratios, measured = told["ratios"], told["measured"]
    assert set(ratios) == {
        "p50_over_fdatasync",
        "p50_over_sqlite",
        *(f"{what}_{n}_over_sqlite" for what in ("p50", "throughput") for n in (4, 8)),
    }
    for name in ("fdatasync", "sqlite", "ours", "sqlite_4", "ours_4", "sqlite_8", "ours_8"):
        assert 0 < measured[f"{name}_p50_ms"] <= measured[f"{name}_p99_ms"]
    assert list((tmp_path / "home").iterdir()) == []
