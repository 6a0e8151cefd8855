"""What no file of the repository holds, and what each must."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.repository import ROOT, files, is_test, source, tree

# The words are put together here, or this file would break its own rules.
RULES = {
    "a path of somebody's machine": re.compile(
        r"(?<![\w.~$}/-])/(?:ho" + r"me|ro" + r"ot|wo" + r"rk|Us" + r"ers)/"
    ),
    "a package registry": re.compile(
        "|".join(
            [r"py" + r"pi\.", "python" + "hosted", "index" + "[-_]url", "find" + "-links", "arti" + "factory"]
        ),
        re.IGNORECASE,
    ),
    "work left over": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|\bfor " + r"now\b"),
    "a merge conflict": re.compile(r"^(?:<{7} |>{7} |={7}$)", re.MULTILINE),
}
LOCKED = re.compile(r"[a-z0-9][a-z0-9._-]*(?:\[[a-z0-9,_-]+\])?==[0-9][0-9A-Za-z.+!]*")
BINARY = {".png", ".jpg", ".onnx", ".ico", ".woff2"}


def texts() -> list[tuple[Path, str]]:
    return [(path, source(path)) for path in files() if path.suffix not in BINARY]


@pytest.mark.parametrize("rule", RULES)
def test_no_file_holds(rule: str) -> None:
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}"
        for path, text in texts()
        for match in RULES[rule].finditer(text)
    ]
    assert not found, f"{rule}: {found}"


def test_nothing_is_loaded_that_could_run_when_it_is_read() -> None:
    words = re.compile("torch" + r"\.load\(|\bpick" + r"le\b|\bjob" + r"lib\b|\bdi" + r"ll\b")
    found = [
        f"{path}: {match[0]!r}"
        for path in files("*.py")
        if not is_test(path)
        for match in words.finditer(source(path))
    ]
    assert not found, f"keep tensors as safetensors and state as JSON: {found}"


def test_every_module_says_what_it_is_about() -> None:
    modules = [path for path in files("*.py") if source(path).strip()]
    missing = [str(path) for path in modules if not ast.get_docstring(tree(path))]
    assert not missing, f"start these with a docstring: {missing}"


def test_lock_files_hold_exact_versions_only() -> None:
    locks = files("requirements*.lock")
    assert [path.name for path in locks] == ["requirements-dev.lock", "requirements.lock"]
    for path in locks:
        lines = source(path).splitlines()
        assert len(lines) > 50
        assert [line for line in lines if not LOCKED.fullmatch(line)] == []


def test_development_and_application_lock_the_same_versions() -> None:
    application, development = (set(source(Path(name)).split()) for name in LOCK_NAMES)
    assert application <= development


LOCK_NAMES = ("requirements.lock", "requirements-dev.lock")


def test_no_large_file() -> None:
    large = [str(path) for path in files() if (ROOT / path).stat().st_size > 2**20]
    assert not large, f"data and models belong to the object store: {large}"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("a path of somebody's machine", "cd /ho" + "me/ada/plant"),
        ("a path of somebody's machine", 'open("/ro' + 'ot/x")'),
        ("a package registry", "https://py" + "pi.example/simple"),
        ("work left over", "# TO" + "DO later"),
        ("work left over", "good enough for " + "now"),
    ],
)
def test_the_rules_see_what_they_are_for(rule: str, text: str) -> None:
    assert RULES[rule].search(text)


@pytest.mark.parametrize(
    "text", ["$HOME/ho" + "me/", "docs/wo" + "rk/", "/api/v1/ro" + "ot/", "metho" + "do"]
)
def test_the_rules_leave_the_rest_alone(text: str) -> None:
    assert not any(rule.search(text) for rule in RULES.values())
