"""What a killed run of dbt leaves behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from resources.dbt import EXECUTABLE, end_leftover

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
