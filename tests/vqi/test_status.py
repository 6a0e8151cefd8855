"""What runs where, which taxonomy is in force, and what filled the sources."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg2
import pytest

from inspection.errors import InspectionError, SettingsError
from inspection.ontology import DEFAULT_ONTOLOGY
from inspection.settings import Settings
from tests.conftest import free_port
from vqi.environment import service_host, variables
from vqi.line import newest_parts
from vqi.main import main
from vqi.origin import check_refill, filled_by, mark_filled
from vqi.publication import publish_ontology

KEYS = {
    "warehouse_dsn",
    "sources",
    "dagster_url",
    "service_url",
    "station_url",
    "dbt_docs_url",
    "production_model",
    "shadow_model",
}


def published(settings: Settings) -> list[tuple[str, str]]:
    connection = psycopg2.connect(settings.dsn("warehouse"))
    with connection, connection.cursor() as cursor:
        cursor.execute("select ontology, version from ontology.published order by publication_id")
        rows = cursor.fetchall()
    connection.close()
    return rows


def test_status_as_json(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inspection.settings.get_settings", lambda: settings)
    assert main(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == KEYS
    assert found["sources"] == {name: settings.dsn(name) for name in ("quality_vision", "qms", "erp")}
    assert found["warehouse_dsn"].startswith("postgresql://")
    assert found["station_url"] is None
    assert found["production_model"] is None
    assert main(["status"]) == 0
    shown = capsys.readouterr().out
    assert "dagster-webserver  stopped" in shown
    assert "vqi:***@127.0.0.1" in shown


def test_a_taxonomy_goes_to_file_and_warehouse_once(settings: Settings) -> None:
    assert publish_ontology(settings, DEFAULT_ONTOLOGY).in_warehouse
    assert publish_ontology(settings, DEFAULT_ONTOLOGY).in_warehouse
    assert settings.published_ontology.read_text() == DEFAULT_ONTOLOGY.read_text()
    document = json.loads(DEFAULT_ONTOLOGY.read_text())
    assert published(settings) == [(document["ontology"], document["version"])]


def test_a_configured_taxonomy_is_not_replaced_in_silence(settings: Settings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"ontology": tmp_path / "own.json"})
    with pytest.raises(SettingsError, match="VQI_ONTOLOGY"):
        publish_ontology(other, DEFAULT_ONTOLOGY)
    assert published(settings) == []


def test_a_taxonomy_without_a_running_warehouse(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new", postgres_port=free_port())
    assert not publish_ontology(settings, DEFAULT_ONTOLOGY).in_warehouse
    assert settings.ontology_file == settings.published_ontology


def test_other_rows_are_not_overwritten_unasked(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    check_refill(settings, "simulated", replace=False)
    mark_filled(settings, "import:screws", {"split_policy": "grouped"})
    assert filled_by(settings) == "import:screws"
    assert Settings(home=tmp_path).split_policy == "grouped"
    assert Settings(home=tmp_path, split_policy="chronological").split_policy == "chronological"
    check_refill(settings, "import:screws", replace=False)
    with pytest.raises(InspectionError, match=r"import:screws.*--replace"):
        check_refill(settings, "simulated", replace=False)
    check_refill(settings, "simulated", replace=True)
    own = settings.model_copy(update={"erp_dsn": "postgresql://plant/erp"})
    with pytest.raises(InspectionError, match="VQI_ERP_DSN"):
        check_refill(own, "simulated", replace=True)


def test_a_plant_without_images_has_no_parts(settings: Settings) -> None:
    with pytest.raises(InspectionError, match="simulate plant"):
        newest_parts(settings, 3)


def test_another_process_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path, docs_port=1234, erp_dsn="postgresql://plant/erp", artifacts="here")
    changed = settings.alerts.model_copy(update={"rate_window_days": 3})
    settings = settings.model_copy(update={"alerts": changed})
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    again = Settings()
    assert (again.root, again.docs_port, again.erp_dsn) == (settings.root, 1234, "postgresql://plant/erp")
    assert again.alerts == changed
    assert again.uses_embedded("qms")
    assert Path(again.artifacts_url).is_absolute()


def test_without_keys_the_service_answers_this_machine_only(tmp_path: Path) -> None:
    assert service_host(Settings(home=tmp_path, host="0.0.0.0")) == "127.0.0.1"
    assert service_host(Settings(home=tmp_path, host="0.0.0.0", api_keys=tmp_path / "keys")) == "0.0.0.0"
