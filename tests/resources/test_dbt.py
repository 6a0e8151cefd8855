"""The manifest, the words of a build, and what a killed run of dbt leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from inspection.profiles import load_profile
from inspection.settings import Settings
from inspection.warehouse import transaction
from resources import dbt
from resources.dbt import EXECUTABLE, PROJECT, build_words, end_leftover, ensure_manifest, project_digest

WAITING = "import sys; print('up', flush=True); sys.stdin.read()"


def waiting(target: Path) -> subprocess.Popen[str]:
    """A process that looks like dbt at work in `target`."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, EXECUTABLE, "build", "--target-path", str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_only_what_works_in_the_same_folder_is_ended(tmp_path: Path) -> None:
    with waiting(tmp_path / "one") as left, waiting(tmp_path / "two") as other:
        assert end_leftover(tmp_path / "one") == 1
        assert not psutil.pid_exists(left.pid)
        assert other.poll() is None
        assert end_leftover(tmp_path / "one") == 0
        assert end_leftover(tmp_path / "two") == 1


def test_the_manifest_follows_what_the_files_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(*dbt.MADE_BY_DBT))
    monkeypatch.setattr(dbt, "PROJECT", project)
    settings = Settings(home=tmp_path / "home")
    manifest = ensure_manifest(settings)
    made = manifest.stat().st_mtime_ns
    for file in project.rglob("*.sql"):
        os.utime(file)  # newer, and the same
    assert ensure_manifest(settings).stat().st_mtime_ns == made
    added = project / "models" / "marts" / "added.sql"
    added.write_text("select 1::integer as one", encoding="utf-8")
    added.with_suffix(".yml").write_text(
        "models: [{name: added, columns: [{name: one, data_type: integer}]}]", encoding="utf-8"
    )
    os.utime(added, ns=(1, 1))  # older than the manifest, as from another checkout
    os.utime(added.with_suffix(".yml"), ns=(1, 1))
    assert (
        "model.inspection.added" in json.loads(ensure_manifest(settings).read_text(encoding="utf-8"))["nodes"]
    )


def test_models_that_other_code_built_are_refreshed_in_full(settings: Settings) -> None:
    def build_by(code: str) -> None:
        with transaction(settings.dsn("warehouse")) as warehouse:
            warehouse.execute(
                "insert into builds.progress (model, batch, code) values (%s, 1, %s)", (f"by {code}", code)
            )

    floor = load_profile(settings.profile).training.minimum_per_class
    told = {"code": project_digest(), "minimum_per_class": floor, "part_window_seconds": 600.0}
    words = ["--vars", json.dumps(told)]
    assert build_words(settings) == [*words, "--full-refresh"], "nothing is known of what there is"
    build_by(project_digest())
    assert build_words(settings) == words
    build_by("other code")
    assert build_words(settings) == [*words, "--full-refresh"]
