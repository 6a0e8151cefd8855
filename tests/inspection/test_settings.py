"""The environment becomes typed settings, or an error that names the variable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from inspection.errors import SettingsError
from inspection.ontology import DEFAULT_ONTOLOGY
from inspection.settings import DATABASES, RateLimits, Settings, get_settings


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith("VQI_") or name == "RAY_ADDRESS":
            monkeypatch.delenv(name)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_defaults_lie_under_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    root = tmp_path.resolve() / ".vqi"
    assert settings.root == root
    assert settings.artifacts_url == str(root / "artifacts")
    assert settings.images == root / "images"
    assert settings.calibration == root / "calibration"
    assert settings.host == "127.0.0.1"
    assert all(settings.uses_embedded(database) for database in DATABASES)


def test_relative_paths_stay_where_the_program_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VQI_IMAGE_ROOT", "nas")
    settings = Settings()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert settings.root == tmp_path.resolve() / ".vqi"
    assert settings.images == tmp_path.resolve() / "nas"


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("VQI_HOME", "/srv/plant", "root", Path("/srv/plant")),
        ("VQI_ARTIFACTS", "s3://bucket/prefix", "artifacts_url", "s3://bucket/prefix"),
        ("VQI_IMAGE_ROOT", "/nas", "images", Path("/nas")),
        ("VQI_CALIBRATION_DIR", "/csv", "calibration", Path("/csv")),
        ("VQI_ONTOLOGY", "/steel.json", "ontology_file", Path("/steel.json")),
        ("VQI_API_KEYS", "/keys", "api_keys", Path("/keys")),
        ("VQI_API_KEYS", "/keys", "keys_file", Path("/keys")),
        ("VQI_API_KEYS", "/keys", "has_keys", True),
        ("VQI_RATE_LIMITS", '{"line": 5}', "rate_limits", RateLimits(line=5)),
        ("VQI_PROFILE", "production", "profile", "production"),
        ("VQI_POSTGRES_PORT", "6000", "postgres_port", 6000),
        ("RAY_ADDRESS", "ray://head:10001", "ray_address", "ray://head:10001"),
        ("VQI_ARTIFACTS", "", "artifacts", None),
    ],
)
def test_environment(
    variable: str, value: str, field: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(get_settings(), field) == expected


@pytest.mark.parametrize("database", DATABASES)
def test_a_dsn_replaces_the_embedded_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"VQI_{database.upper()}_DSN", "postgresql://plant/db")
    settings = get_settings()
    assert settings.dsn(database) == "postgresql://plant/db"
    assert not settings.uses_embedded(database)


def test_an_empty_dsn_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQI_QMS_DSN", "")
    assert get_settings().uses_embedded("qms")


def test_embedded_dsn_carries_the_quoted_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, postgres_port=6001)
    settings.password_file.write_text("a/b@c:d\n", encoding="utf-8")
    assert settings.dsn("erp") == "postgresql://vqi:a%2Fb%40c%3Ad@127.0.0.1:6001/erp"


def test_without_a_server_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"run `vqi up`, or set VQI_WAREHOUSE_DSN"):
        Settings(home=tmp_path).dsn("warehouse")


def test_an_unknown_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no database called 'mes'"):
        Settings(home=tmp_path).dsn("mes")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("VQI_POSTGRES_PORT", "many", "VQI_POSTGRES_PORT: "),
        ("VQI_ALERTS", "{broken", '"alerts".*must be JSON'),
        ("VQI_ALERTS", '{"no_such_limit": 1}', "VQI_ALERTS.no_such_limit: "),
        ("VQI_RATE_LIMITS", '{"line": 0}', "VQI_RATE_LIMITS.line: "),
        ("VQI_TLS_KEY", "/key.pem", "VQI_TLS_CERTIFICATE and VQI_TLS_KEY go together"),
        ("VQI_TLS_CERTIFICATE", "/certificate.pem", "VQI_TLS_CERTIFICATE and VQI_TLS_KEY go together"),
    ],
)
def test_nonsense_names_the_variable(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=message):
        get_settings()


def test_published_ontology_stands_before_the_default(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.ontology_file == DEFAULT_ONTOLOGY
    settings.published_ontology.write_text("{}", encoding="utf-8")
    assert settings.ontology_file == settings.published_ontology
    assert Settings(home=tmp_path, ontology=tmp_path / "own.json").ontology_file == tmp_path / "own.json"


def test_settings_do_not_change_and_do_not_tell_notification_secrets() -> None:
    settings = Settings(notify="mailto://user:secret@host")  # type: ignore[arg-type]
    assert "secret" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.profile = "other"  # type: ignore[misc]


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_settings()
    monkeypatch.setenv("VQI_PROFILE", "production")
    assert get_settings() is first
