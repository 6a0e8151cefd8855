"""Only inspection/settings.py reads the environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.repository import files, is_test, tree

ALLOWED = {
    Path("inspection/settings.py"): "the one reader",
    Path("vqi/orphans.py"): "tells the processes of a home by a mark in their environment",
}

NAMES = {"environ", "environb", "getenv", "getenvb", "expandvars", "EnvVar", "BaseSettings", "load_dotenv"}
KEYWORDS = {"envvar"}  # of typer's options


def readings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields line and name of each place where a module gets at the environment."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield node.lineno, node.id
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in NAMES)
        elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            yield node.lineno, node.arg or ""


def test_one_reader_of_the_environment() -> None:
    found = [
        f"{path}:{line}: {name}"
        for path in files("*.py")
        if not is_test(path) and path not in ALLOWED
        for line, name in readings(tree(path))
    ]
    assert not found, f"add a setting to inspection/settings.py and pass it on: {found}"


def test_allowed_files_still_need_it() -> None:
    assert [path for path in ALLOWED if not any(readings(tree(path)))] == []


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['X']",
        "import os as system\nsystem.getenv('X')",
        "from os import environ",
        "from dagster import EnvVar",
        "typer.Option(1, envvar='X')",
    ],
)
def test_the_rule_sees_every_way(text: str) -> None:
    assert list(readings(ast.parse(text)))
