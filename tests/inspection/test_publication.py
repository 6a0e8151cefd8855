"""Publishing a taxonomy over labels that use it: versions, refusals, and which rows it frees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspection.errors import OntologyError
from inspection.ontology import DEFAULT_ONTOLOGY
from inspection.publication import publish
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.dbt.plant import RawPlant, query

Edit = Callable[[dict[str, dict[str, Any]]], object]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the default taxonomy, edited, under a version; returns the file."""

    def written(version: str, edit: Edit = dict, indent: int | None = None) -> Path:
        document = json.loads(DEFAULT_ONTOLOGY.read_text(encoding="utf-8"))
        classes = {each["id"]: each for each in document["classes"]}
        edit(classes)
        file = tmp_path / f"{version}.json"
        text = json.dumps({**document, "version": version, "classes": list(classes.values())}, indent=indent)
        file.write_text(text, encoding="utf-8")
        return file

    return written


def add_alias(classes: dict[str, dict[str, Any]]) -> None:
    classes["SURFACE_SCRATCH"]["aliases"].append("kratzer")


def remove_crack(classes: dict[str, dict[str, Any]]) -> None:
    del classes["CRACK"]


def merge_crack(classes: dict[str, dict[str, Any]]) -> None:
    gone = classes.pop("CRACK")
    classes["SURFACE_PIT"]["aliases"] += [*gone["aliases"], gone["id"]]


def versions(settings: Settings) -> list[str]:
    return [v for (v,) in query(settings, "select version from ontology.published order by publication_id")]


def test_each_version_has_one_content(settings: Settings, write: Callable[..., Path]) -> None:
    dsn = settings.dsn("warehouse")
    assert publish(dsn, write("1")).new
    assert not publish(dsn, write("1")).new
    assert not publish(dsn, write("1", indent=4)).new  # laid out otherwise, it says the same
    with pytest.raises(OntologyError, match=r"1\.json: machined_parts 1 has been .*: raise its version"):
        publish(dsn, write("1", add_alias))
    assert publish(dsn, write("2", add_alias)).new
    with pytest.raises(OntologyError, match="raise its version"):
        publish(dsn, write("1", add_alias))
    assert versions(settings) == ["1", "2"]


def test_an_earlier_version_may_come_back(settings: Settings, write: Callable[..., Path]) -> None:
    dsn = settings.dsn("warehouse")
    for file in (write("1"), write("2", add_alias)):
        publish(dsn, file)
    back = publish(dsn, write("1"))
    assert back.new
    assert [(change.alias, change.after) for change in back.changes.aliases] == [("kratzer", None)]
    assert versions(settings) == ["1", "2", "1"]


def plant() -> RawPlant:
    raw = RawPlant()
    raw.order("PO-1")
    raw.image("here", "PO-1")
    for who in ("ann", "bob", "cid"):
        raw.annotation("here", who, "Hairline-Crack")
    raw.annotation("here", "dan", "crack")
    raw.annotation("here", "eve", "scratch")
    raw.result("here", "FAIL", ["crack", "scr"])
    raw.result(None, "FAIL", ["stress crack"])
    return raw


def test_a_class_that_labels_use_stays(settings: Settings, write: Callable[..., Path]) -> None:
    dsn = settings.dsn("warehouse")
    plant().load(settings)
    with pytest.raises(OntologyError) as caught:
        publish(dsn, write("2", remove_crack), models={"CRACK": "abc"})
    told = "class CRACK is used by 4 annotations and 2 inspector codes, and the production model abc"
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert versions(settings) == ["1.0.0"]

    merged = publish(dsn, write("2", merge_crack))
    assert merged.changes.removed_classes == ("CRACK",)
    moved = {change.alias: dict(change.uses) for change in merged.changes.aliases}
    assert moved["hairline_crack"] == {"annotation": 3}
    assert moved["CRACK"] == {"annotation": 1, "inspector code": 1}


def test_a_class_that_people_have_seen_stays(settings: Settings, write: Callable[..., Path]) -> None:
    dsn = settings.dsn("warehouse")
    publish(dsn, write("1"))
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            insert into inference.reviews (
                review_id, inspection_id, inspector_id, decision, defect_class, reviewed_at
            )
            values (gen_random_uuid(), gen_random_uuid(), 'ann', 'FAIL', 'CRACK', now())
            """
        )
    with pytest.raises(OntologyError, match="class CRACK is used by 1 review:"):
        publish(dsn, write("2", remove_crack))
    assert publish(dsn, write("2", merge_crack)).new


def test_labels_that_go_need_no_class(settings: Settings, write: Callable[..., Path]) -> None:
    plant().load(settings)
    assert publish(settings.dsn("warehouse"), write("2", remove_crack), replaces_labels=True).new


def test_an_unused_class_may_go(settings: Settings, write: Callable[..., Path]) -> None:
    plant().load(settings)
    done = publish(settings.dsn("warehouse"), write("2", lambda classes: classes.pop("BURR")))
    assert done.changes.removed_classes == ("BURR",)


def test_a_damaged_row_in_force_is_named(settings: Settings, write: Callable[..., Path]) -> None:
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "insert into ontology.published (ontology, version, sha256, document)"
            " values ('x', '1', '-', '{}')"
        )
    with pytest.raises(OntologyError, match=r"newest row of ontology\.published .*delete it"):
        publish(settings.dsn("warehouse"), write("1"))
