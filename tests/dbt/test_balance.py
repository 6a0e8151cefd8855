"""The balance of the classes as the models tell it, held against counting by hand in Python."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import pytest

from assets import class_balance
from inspection.balance import read_balance
from inspection.ontology import load_ontology
from inspection.settings import Settings
from tests.dbt.plant import dbt, query


@pytest.fixture(scope="module", params=[40, 0])
def floor(request: pytest.FixtureRequest, built: Settings) -> int:
    """The built plant, balanced to a floor."""
    floor = int(request.param)
    dbt(built, "run", "--select", "training_dataset class_balance", "--vars", f"minimum_per_class: {floor}")
    return floor


def test_balance_is_what_counting_gives(built: Settings, floor: int) -> None:
    ontology = load_ontology(built.ontology_file)
    dealt = query(
        built,
        "select label, split from releases.split_assignments inner join marts.fct_image_labels"
        " using (image_id)",
    )
    images = Counter(dealt)
    for found in read_balance(built.dsn("warehouse"))[:-1]:
        label = found.scope.removeprefix("class:")
        train = images[label, "train"]
        # At most the cap of 15,000, so nothing is thinned; what is never seen cannot be shown.
        shown = max(train, floor) if train and label != ontology.clean_class.id else train
        validation, test = images[label, "validation"], images[label, "test"]
        assert asdict(found) == {
            "scope": f"class:{label}",
            "raw": sum(images[label, side] for side in ("train", "validation", "test", "dropped")),
            "dropped": images[label, "dropped"],
            "thinned": 0,
            "balanced": shown + validation + test,
            "train": shown,
            "train_images": train,
            "validation": validation,
            "test": test,
        }


def test_classes_stand_in_the_order_of_the_ontology_and_add_up(built: Settings, floor: int) -> None:
    *classes, overall = read_balance(built.dsn("warehouse"))
    ontology = load_ontology(built.ontology_file)
    assert [each.scope for each in classes] == [f"class:{each.id}" for each in ontology.classes]
    assert overall.scope == "overall"
    for field in ("raw", "dropped", "thinned", "balanced", "train", "train_images", "validation", "test"):
        assert getattr(overall, field) == sum(getattr(each, field) for each in classes)


def test_images_are_repeated_evenly_and_the_same_each_time(built: Settings, floor: int) -> None:
    rows = "select image_id, label, repeats from marts.training_dataset where split = 'train' order by 1"
    before = query(built, rows)
    dbt(built, "run", "--select", "training_dataset", "--vars", f"minimum_per_class: {floor}")
    assert query(built, rows) == before
    by_label: dict[str, list[int]] = {}
    for _, label, repeats in before:
        by_label.setdefault(label, []).append(repeats)
    assert all(max(repeats) - min(repeats) <= 1 for repeats in by_label.values())


def test_the_check_shows_the_table_and_names_what_a_side_lacks(
    built: Settings, floor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_balance, "get_settings", lambda: built)
    told = class_balance.every_class_on_every_side()
    assert not told.passed
    assert "class:DIMENSIONAL_OOS in train, validation, test" in (told.description or "")
    records = told.metadata["balance"].records  # type: ignore[union-attr]
    assert [record.data["scope"] for record in records][-1] == "overall"
