"""`vqi keys`: what is printed where, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inspection.settings import Settings
from serving.keys import create_key, load_keys
from vqi.environment import service_host
from vqi.main import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = Settings(home=tmp_path / "home", host="0.0.0.0")
    monkeypatch.setattr("inspection.settings.get_settings", lambda: settings)
    return settings


def test_a_key_from_its_making_to_its_end(settings: Settings, capsys: Output) -> None:
    assert main(["keys", "list"]) == 0
    assert "this machine only" in capsys.readouterr().out
    assert service_host(settings) == "127.0.0.1"

    assert main(["keys", "create", "line-a", "--role", "line"]) == 0
    told = capsys.readouterr()
    secret = told.out.removesuffix("\n")
    assert "\n" not in secret
    assert secret not in told.err
    assert "not shown again" in told.err
    key = load_keys(settings.keys_file, required=True).identify(secret)
    assert key is not None
    assert key.role == "line"
    assert service_host(settings) == "0.0.0.0"

    assert main(["keys", "list"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[:2] == ["line-a", "line"]

    assert main(["keys", "revoke", "line-a"]) == 0
    assert "answers nobody" in capsys.readouterr().out
    assert service_host(settings) == "0.0.0.0"
    assert main(["keys", "list"]) == 0
    assert "answers nobody" in capsys.readouterr().out


def test_the_demo_does_not_begin_what_it_has_no_key_for(tmp_path: Path) -> None:
    create_key(Settings(home=tmp_path).keys_file, "line-a", "line")
    done = subprocess.run(
        [sys.executable, "-m", "vqi.main", "demo"],
        env=os.environ | {"VQI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "VQI_HOME of its own" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.json", "keys.json.lock"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create", "a", "--role", "king"], 2, "'line', 'inspector', 'engineer', 'viewer'"),
        (["create", "a"], 2, "--role"),
        (["create", "", "--role", "line"], 1, "cannot be called"),
        (["revoke", "nobody"], 1, "vqi keys list"),
    ],
)
def test_misuse_is_one_line(
    settings: Settings, capsys: Output, arguments: list[str], code: int, words: str
) -> None:
    assert main(["keys", *arguments]) == code
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
