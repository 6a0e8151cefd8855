"""The programs that read what stands in ``deploy/``, and where it stands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.repository import ROOT

DEPLOY = ROOT / "deploy"

INSTALL = {
    "promtool": "it is in Debian's package prometheus: `apt-get install --no-install-recommends prometheus`",
    "systemd-analyze": "it is in Debian's package systemd: `apt-get install --no-install-recommends systemd`",
}


def run(program: str, *arguments: str | Path, cwd: Path = DEPLOY) -> str:
    """Runs a program that must be there and must succeed; returns what it says."""
    if shutil.which(program) is None:
        pytest.fail(f"{program} is missing; {INSTALL.get(program, 'run `make setup`')}")
    done = subprocess.run(
        [program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{program} says: {done.stdout}{done.stderr}"
    return done.stdout
