"""Which room may import which, and what importing the code location costs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.repository import ROOT, files, source

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
HEAVY = ("torch", "torchvision", "timm", "ray", "onnxruntime")

WRONG = {  # one wrong import per contract, two of them not in plain sight
    "domain": ("inspection/wrong_tool.py", "def later():\n    import dagster\n"),
    "learning-is-a-leaf": ("inspection/wrong_room.py", "from inspection import learning\n"),
    "torch": ("assets/wrong_tool.py", "def later():\n    import torch\n"),
    "service": ("serving/wrong_detour.py", "import inspection.wrong_tool\n"),
    "pipeline": ("sensors/wrong_room.py", "import serving\n"),
    "floors": ("resources/wrong_floor.py", "import assets\n"),
}


def contracts() -> dict[str, str]:
    """Returns the names of the contracts in pyproject.toml by id."""
    settings = tomllib.loads(source(Path("pyproject.toml")))["tool"]["importlinter"]
    return {contract["id"]: contract["name"] for contract in settings["contracts"]}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", LINT, "--no-cache", "--no-logo"]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)


def test_rooms_import_only_what_they_may() -> None:
    answer = lint(ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{len(contracts())} kept, 0 broken" in answer.stdout


def test_each_contract_catches_a_wrong_import(tmp_path: Path) -> None:
    for path in (*files("*.py"), Path("pyproject.toml")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, tmp_path / path)
    for name, text in WRONG.values():
        (tmp_path / name).write_text(text, encoding="utf-8")
    answer = lint(tmp_path)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    report = " ".join(answer.stdout.split())
    for contract, name in contracts().items():
        assert f"{name} BROKEN" in report, f"{contract} is not broken by {WRONG[contract][0]}"
        assert WRONG[contract][0].removesuffix(".py").replace("/", ".") in report


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [("definitions", HEAVY), ("serving.service", ("torch", "torchvision", "timm", "ray", "dagster", "dbt"))],
)
def test_importing_a_module_leaves_the_heavy_ones_out(module: str, unwanted: tuple[str, ...]) -> None:
    program = f"import sys, {module}; print(*sorted(set({unwanted}) & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == [], f"importing {module} imports these: move that into functions"
