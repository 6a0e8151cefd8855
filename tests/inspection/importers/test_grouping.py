"""Production orders from paths, and from equal content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from inspection.errors import ImportDataError
from inspection.importers.folder import read_folder
from inspection.importers.grouping import (
    contradictions,
    find_repeats,
    group_by_path,
    repeats_across_orders,
    unite_repeats,
)
from inspection.importers.importing import ImportOptions, import_set
from inspection.importers.labelled import Annotation, LabelledImage, LabelledSet
from inspection.importers.readers import read_labelled
from inspection.importers.taxonomy import derive_ontology
from inspection.settings import Settings
from tests.inspection.importers.sets import picture, query

ORDERS = "select production_order_id, quantity from erp.production_orders order by 1"


def some(*names: str) -> LabelledSet:
    images = tuple(LabelledImage(name, 10, 10, group=name) for name in names)
    return LabelledSet(Path("set"), ("dent",), images, {})


def test_exposures_of_one_part_are_one_order(module_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "exposures"
    for part in (1, 12):
        for exposure in range(6):
            picture(folder / f"dent/part_{part}_exp{exposure}.jpg", part * 10 + exposure)
    picture(folder / "dent/spare.jpg", 1000)
    data = read_labelled("folder", folder, r"part_(?P<group>\d+)_")
    report = import_set(module_settings, data, ImportOptions())
    assert query(module_settings, "erp", ORDERS) == [("1", 6), ("12", 6), ("dent/spare.jpg", 1)]
    assert (report.groups, report.bad) == (3, {"path without the group": 1})
    assert import_set(module_settings, read_folder(folder), ImportOptions()).groups == 13


def test_the_pattern_sees_the_folders() -> None:
    data = group_by_path(some("a/part1/x.jpg", "a/part1/y.jpg", "b/part1/x.jpg"), r"(?P<group>\w/part\d)/")
    assert [image.group for image in data.images] == ["a/part1", "a/part1", "b/part1"]
    assert data.bad == {"path without the group": 0}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "no regular expression"), (r"part(\d+)", r"\(\?P<group>"), (r"lot(?P<group>\d+)", "'a/part1.jpg'"),
     (r"part(?P<group>x*)", "matches no path")],
)  # fmt: skip
def test_a_pattern_that_groups_nothing_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ImportDataError, match=message):
        group_by_path(some("a/part1.jpg"), pattern)


def test_equal_content_is_told_and_can_share_an_order(module_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    for name, seed in {
        "train/dent/1.jpg": 1, "test/dent/1_copy.jpg": 1, "test/good/1_again.jpg": 1,
        "train/good/2.jpg": 2, "train/good/3.jpg": 3, "test/good/3_copy.jpg": 3,
    }.items():  # fmt: skip
        picture(folder / name, seed)
    data = read_folder(folder)
    report = import_set(module_settings, data, ImportOptions())
    assert (report.repeats, report.repeats_united, report.groups) == (3, False, 6)
    assert report.bad == {"content under different labels": 1}, "1 is good and has a dent"
    united = import_set(module_settings, data, ImportOptions(group_duplicates=True))
    assert (united.repeats, united.repeats_united, united.groups) == (3, True, 3)
    assert query(module_settings, "erp", ORDERS) == [
        ("test/dent/1_copy.jpg", 3),
        ("test/good/3_copy.jpg", 2),
        ("train/good/2.jpg", 1),
    ]


def test_copies_in_one_order_are_no_news(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"same")
    (tmp_path / "d.jpg").write_bytes(b"SAME")
    (tmp_path / "e.jpg").write_bytes(b"longer")
    repeats = find_repeats(tmp_path, ["a.jpg", "b.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "gone.jpg"])
    assert repeats == (("a.jpg", "b.jpg", "c.jpg"),)
    one = [LabelledImage(name, 1, 1, group="g") for name in ("a.jpg", "b.jpg", "c.jpg")]
    assert repeats_across_orders(one, repeats) == 0
    two = [*one[:2], LabelledImage("c.jpg", 1, 1, group="h")]
    assert repeats_across_orders(two, repeats) == 2


def test_labels_contradict_by_class_and_not_by_word() -> None:
    words = {"a.jpg": ["dent", "Dent"], "b.jpg": ["DENT"], "c.jpg": [], "d.jpg": ["hole"], "e.jpg": ["ok"]}
    images = [
        LabelledImage(name, 1, 1, group=name, annotations=tuple(Annotation(word, word) for word in found))
        for name, found in words.items()
    ]
    taxonomy = derive_ontology("set", ["dent", "hole"])
    assert contradictions(images, [("a.jpg", "b.jpg", "c.jpg")], taxonomy) == 0
    assert contradictions(images, [("a.jpg", "b.jpg", "c.jpg"), ("d.jpg", "e.jpg")], taxonomy) == 1
    assert contradictions(images, [], taxonomy) == 0


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_united_orders_are_the_connected_ones(pairs: list[tuple[int, int]]) -> None:
    """Each image has (order, content); SciPy says which orders hang together."""
    images = [LabelledImage(f"{n}.jpg", 1, 1, group=f"g{order}") for n, (order, _) in enumerate(pairs)]
    contents = {
        content: [f"{n}.jpg" for n, pair in enumerate(pairs) if pair[1] == content] for _, content in pairs
    }
    repeats = [names for names in contents.values() if len(names) > 1]
    united = [image.group for image in unite_repeats(images, repeats)]
    orders, found = np.array(pairs).T
    links = coo_array((np.ones(len(pairs)), (orders, 7 + found)), shape=(14, 14))
    _, component = connected_components(links, directed=False)
    expected = component[orders]
    for i, group in enumerate(united):
        assert [other == group for other in united] == [bool(c == expected[i]) for c in expected]
        first = next(image.group for image, other in zip(images, united, strict=True) if other == group)
        assert group == first
    assert repeats_across_orders(unite_repeats(images, repeats), repeats) == 0
