"""`vqi ontology`: what a person reads, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspection.ontology import DEFAULT_ONTOLOGY
from inspection.publication import publish
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store
from inspection.warehouse import transaction
from tests.dbt.plant import RawPlant
from tests.inspection.bundles import ONTOLOGY, add_bundle
from vqi.commands.ontology import LABELS
from vqi.main import main

Classes = dict[str, dict[str, Any]]


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A plant whose warehouse has been built once, as far as publishing looks at it."""
    raw = RawPlant()
    raw.order("PO-1")
    raw.image("here", "PO-1")
    raw.annotation("here", "ann", "crack")
    unknown = raw.annotation("here", "bob", "kratzer")
    raw.result("here", "FAIL", ["crack"])
    raw.load(settings)
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            """
            create schema marts;
            create table marts.quarantined_rows (source_table text, source_key text, reason text)
            """
        )
        warehouse.execute(
            "insert into marts.quarantined_rows values ('defect_annotations', %s, 'unknown_label')",
            (unknown,),
        )
    monkeypatch.setattr("inspection.settings.get_settings", lambda: settings)
    return settings


def edited(folder: Path, version: str, edit: Callable[[Classes], object]) -> str:
    document = json.loads(DEFAULT_ONTOLOGY.read_text(encoding="utf-8"))
    classes = {each["id"]: each for each in document["classes"]}
    edit(classes)
    file = folder / f"{version}.json"
    file.write_text(json.dumps({**document, "version": version, "classes": list(classes.values())}))
    return str(file)


def test_an_alias_is_published(home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = edited(tmp_path, "1.1.0", lambda classes: classes["SURFACE_SCRATCH"]["aliases"].append("kratzer"))
    assert main(["ontology", "publish", file]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "published machined_parts 1.1.0 (files and warehouse)",
        "  new alias 'kratzer' of SURFACE_SCRATCH: 1 annotation",
        "  rows in quarantine that have a class now: 1 of defect_annotations",
        f"  the next build of the labels moves them: vqi materialize '{LABELS}'",
    ]
    assert main(["ontology", "publish", file]) == 0
    assert capsys.readouterr().out == "machined_parts 1.1.0 is in force already\n"
    assert main(["ontology", "show"]) == 0
    assert capsys.readouterr().out.strip() == Path(file).read_text()
    assert main(["ontology", "history"]) == 0
    *versions, told = capsys.readouterr().out.splitlines()
    assert [line.split("UTC  ")[1] for line in versions] == ["machined_parts 1.0.0", "machined_parts 1.1.0"]
    assert told.startswith(
        "0 of 1 rows moved from quarantine since machined_parts 1.1.0 was published; 1 wait"
    )


def test_what_labels_use_is_refused_in_one_line(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ontology", "publish", edited(tmp_path, "2", lambda classes: classes.pop("CRACK"))]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "class CRACK is used by 1 annotation and 1 inspector code: keep it, or give" in shown.err
    assert not home.published_ontology.exists()


def test_the_production_model_is_told(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inspection.settings.get_settings", lambda: settings)
    store = open_store(settings.artifacts_url)
    model = ModelRegistry(store).approve(add_bundle(store), actor="ada", reason="trial").model
    assert model is not None
    before, after = tmp_path / "1.json", tmp_path / "2.json"
    before.write_text(ONTOLOGY.model_dump_json())
    classes = tuple(each for each in ONTOLOGY.classes if each.id != "RUST")
    after.write_text(ONTOLOGY.model_copy(update={"version": "2", "classes": classes}).model_dump_json())
    publish(settings.dsn("warehouse"), before)
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            """
            create schema raw_quality_vision;
            create table raw_quality_vision.defect_annotations as
            select 'a' as annotation_id, 'rust' as defect_type
            """
        )
    assert main(["ontology", "publish", str(after)]) == 1
    told = f"class RUST is used by 1 annotation, and the production model {model[:12]} names it: keep it"
    assert told in capsys.readouterr().err

    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute("truncate raw_quality_vision.defect_annotations")
    assert main(["ontology", "publish", str(after)]) == 0
    told = f"the production model {model[:12]} names a removed class until another is approved"
    assert told in capsys.readouterr().out


def test_a_warehouse_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = Settings(home=tmp_path, warehouse_dsn="postgresql://x@127.0.0.1:1/warehouse")
    monkeypatch.setattr("inspection.settings.get_settings", lambda: stopped)
    for words in (["publish", str(DEFAULT_ONTOLOGY)], ["history"]):
        assert main(["ontology", *words]) == 1
        assert "does not answer: check VQI_WAREHOUSE_DSN" in capsys.readouterr().err
    assert not stopped.published_ontology.exists()


# Dagster warns of its own use of `not`.
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_the_selection_builds_labels_and_releases_no_split() -> None:
    from dagster import AssetSelection

    from definitions import defs
    from sensors.jobs import ingest_and_label

    graph = defs.get_repository_def().asset_graph
    chosen = AssetSelection.from_string(LABELS).resolve(graph)
    job = ingest_and_label.selection
    assert isinstance(job, AssetSelection)
    assert chosen == job.resolve(graph) - AssetSelection.groups("ingestion").resolve(graph)
