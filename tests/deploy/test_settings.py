"""What is set in ``deploy/`` is a setting that there is, with a value that it takes."""

from __future__ import annotations

import re

import pytest

from inspection.settings import Settings
from tests.deploy.test_kubernetes import the
from tests.deploy.tools import DEPLOY

FILES = sorted(file for file in DEPLOY.rglob("*") if file.is_file() and file.suffix != ".lock")


def test_every_variable_is_a_setting() -> None:
    named = {
        name for file in FILES for name in re.findall(r"\bVQI_([A-Z_]+)", file.read_text(encoding="utf-8"))
    }
    assert {"HOME", "API_KEYS", "DEADLINE_MS"} <= named
    assert named - {field.upper() for field in Settings.model_fields} == set()


def test_the_settings_of_the_cluster_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    told = the("ConfigMap")["data"]
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.provider, settings.deadline_ms, settings.service_queue) == ("cuda", 200, 50)
