"""The files that the house rules look at: everything git tracks, or would if it were added."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files(*patterns: str) -> tuple[Path, ...]:
    """Returns tracked and untracked files that git does not ignore, relative to `ROOT`, sorted.

    Args:
        patterns: git pathspecs such as ``*.py``; none means every file.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = (Path(name) for name in listed.split("\0") if name)
    found = tuple(sorted(path for path in paths if (ROOT / path).is_file()))
    assert found, f"git lists no file for {patterns}: the rule would look at nothing"
    return found


def source(path: Path) -> str:
    """Returns a file's text."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """Returns the syntax tree of a Python file."""
    return ast.parse(source(path), filename=str(path))


def is_test(path: Path) -> bool:
    """Tells whether a file belongs to a test suite, Python's or dbt's."""
    return "tests" in path.parts
