"""The command line: exit codes, one-line errors, and what needs no server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inspection.ontology import DEFAULT_ONTOLOGY
from inspection.settings import Settings
from vqi.main import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("inspection.settings.get_settings", lambda: Settings(home=tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("frobnicate", 2, "frobnicate"),
        ("approve", 2, "model"),
        ("approve abc", 2, "--reason"),
        ("approve abc --reason x", 1, "no model 'abc'"),
        ("rollback --reason x", 1, "no earlier production model"),
        ("resume --reason x", 1, "not paused"),
        ("bench nothing", 2, "no benchmark"),
        ("simulate plant --scale huge", 2, "xN"),
        ("simulate plant --difficulty absurd", 1, "easy, normal, hard"),
        ("simulate line", 1, "vqi up"),
        ("import tiff x", 2, "tiff"),
        ("import voc nowhere", 1, "cannot list"),
        ("demo --source tiff:x", 2, "voc:DIR"),
        ("demo --source voc:", 2, "voc:DIR"),
        ("demo --clean fine", 2, "labelled images"),
        ("ontology validate missing.json", 1, "missing.json"),
        ("materialize --as-of never x", 2, "--as-of"),
        ("status", 1, "vqi up"),
        ("status --json", 1, "vqi up"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    line: str, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert words in shown.err


def test_a_traceback_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_unexpected_error_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Settings:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("inspection.settings.get_settings", broken)
    assert main(["status"]) == 1
    assert capsys.readouterr().err.startswith("vqi: unexpected ZeroDivisionError: of all things")


def test_down_with_nothing_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down"]) == 0
    assert capsys.readouterr().out == "nothing was running\n"


def test_a_valid_ontology(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ontology", "validate", str(DEFAULT_ONTOLOGY)]) == 0
    found = json.loads(DEFAULT_ONTOLOGY.read_text(encoding="utf-8"))
    assert f"{len(found['classes']) - 1} defect classes" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'dagster', 'bentoml', 'torch', 'onnxruntime', 'pandas', 'psycopg2', 'cv2', 'dlt'}"
    program = (
        f"import sys; from vqi.main import main; main(['--help']); sys.exit(str({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
