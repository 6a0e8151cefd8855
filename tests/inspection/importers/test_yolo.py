"""YOLO data sets: the two usual layouts, boxes and polygons, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspection.errors import ImportDataError
from inspection.importers.importing import ImportOptions, import_set
from inspection.importers.labelled import Box, BrokenBox, LabelledSet
from inspection.importers.yolo import label_file, read_yolo
from inspection.settings import Settings
from tests.inspection.importers.sets import ANNOTATIONS, IMAGES, picture, query, text

NAMES = "names: [dent, deep hole]\n"


def one_line(folder: Path, line: str) -> Box | BrokenBox | None:
    """Returns the box of the only label of the only image, of 200 x 100 pixels."""
    picture(folder / "images/a.jpg")
    text(folder / "labels/a.txt", line)
    text(folder / "data.yaml", NAMES)
    (annotation,) = read_yolo(folder).images[0].annotations
    return annotation.box


def bad(data: LabelledSet) -> dict[str, int]:
    return {reason: count for reason, count in data.bad.items() if count}


@pytest.mark.parametrize("layout", ["{part}/images", "images/{part}"])
@pytest.mark.parametrize("names", [NAMES, "names: {0: dent, 1: deep hole}\n"])
def test_both_layouts(module_settings: Settings, tmp_path: Path, layout: str, names: str) -> None:
    folder = tmp_path / "Set"
    places = {part: layout.format(part=part) for part in ("train", "valid")}
    picture(folder / places["train"] / "a.png", 1)
    picture(folder / places["train"] / "b.png", 2)
    picture(folder / places["valid"] / "c.jpg", 3)
    labels = {part: place.replace("images", "labels") for part, place in places.items()}
    text(folder / labels["train"] / "a.txt", "1 0.5 0.5 0.1 0.2\n0 0.25 0.5 0.5 1.0\n")
    text(folder / labels["train"] / "b.txt", "\n")
    text(folder / "data.yaml", f"train: ../{places['train']}\nval: ../{places['valid']}\nnc: 2\n{names}")
    report = import_set(module_settings, read_yolo(folder), ImportOptions())
    paths = sorted(f"Set/{places[part]}/{name}" for part, name in
                   (("train", "a.png"), ("train", "b.png"), ("valid", "c.jpg")))  # fmt: skip
    assert [row[0] for row in query(module_settings, "quality_vision", IMAGES)] == paths
    assert query(module_settings, "quality_vision", ANNOTATIONS) == [
        (paths[0], "deep hole", {"x": 90, "y": 40, "width": 20, "height": 20}, 5),
        (paths[0], "dent", {"x": 0, "y": 0, "width": 100, "height": 100}, 5),
    ]
    assert (report.annotated_images, report.unlabelled, report.bad) == (1, 2, {})
    assert report.ontology.defect_ids == ("DENT", "DEEP_HOLE")


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("0 0.5 0.5 1 1", Box(0, 0, 200, 100)),
        ("0 0.1 0.2 0.3 0.2 0.3 0.5", Box(20, 20, 40, 30)),
        ("0 0.3 0.5 0.1 0.2 0.2 0.9 0.1 0.4", Box(20, 20, 40, 70)),
        ("0 0.049999 0.5 0.1 1", Box(0, 0, 20, 100)),
        ("0 0.98 0.5 0.1 1", Box(186, 0, 20, 100)),
        ("0 0.01 0.5 0.1 1", Box(-8, 0, 20, 100)),
        ("0 0.5 0.5 0 0.2", Box(100, 40, 0, 20)),
        ("0 0.5 0.5 0.1", BrokenBox("['0.5', '0.5', '0.1']")),
        ("0 0.5 0.5 0.1 0.2 0.9", BrokenBox("['0.5', '0.5', '0.1', '0.2', '0.9']")),
        ("0 a b c d", BrokenBox("['a', 'b', 'c', 'd']")),
        ("0 nan 0.5 0.1 0.2", BrokenBox("['nan', '0.5', '0.1', '0.2']")),
        ("0", BrokenBox("[]")),
    ],
)
def test_shares_become_pixels(tmp_path: Path, line: str, box: Box | BrokenBox) -> None:
    assert one_line(tmp_path, line) == box


def test_bad_input_is_counted_and_loaded(module_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in "abc":
        picture(folder / f"images/{name}.jpg", ord(name))
    picture(folder / "previews/c.jpg")
    (folder / "images/d.jpg").write_bytes(b"no image")
    text(folder / "labels/a.txt", "7 0.5 0.5 0.1 0.2\nx 0.5 0.5 0.1 0.2\n0 0.5\n0 0.98 0.5 0.1 0.2\n")
    (folder / "labels/b.txt").write_bytes(b"\xff\xfe0 0.5")
    text(folder / "labels/d.txt", "0 0.5 0.5 0.1 0.2")
    text(folder / "labels/gone.txt", "0 0.5 0.5 0.1 0.2")
    text(folder / "data.yaml", f"train: images\nval: images/val\n{NAMES}")
    report = import_set(module_settings, read_yolo(folder), ImportOptions(unannotated_is_clean=True))
    assert report.bad == {
        "path of data.yaml that is not there": 1,
        "unreadable image file": 1,
        "label file without an image": 1,
        "image outside the paths of data.yaml": 1,
        "unreadable annotation file": 1,
        "unknown category": 2,
        "broken box": 2,
        "box outside its image": 1,
    }
    found = query(module_settings, "quality_vision", ANNOTATIONS)
    assert sorted((row[0], row[1]) for row in found) == [
        ("set/images/a.jpg", "class 7"),
        ("set/images/a.jpg", "class x"),
        ("set/images/a.jpg", "dent"),
        ("set/images/a.jpg", "dent"),
        ("set/images/c.jpg", "no defect"),
        ("set/images/d.jpg", "dent"),
    ], "b.jpg has labels that nobody can read, and is not clean"
    assert (report.images, report.declared_clean, report.unlabelled) == (4, 1, 1)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("", ["extra/c.jpg", "images/a.jpg", "images/b.jpg"]),
        ("train: images\n", ["images/a.jpg", "images/b.jpg"]),
        ("train: [images, extra]\n", ["extra/c.jpg", "images/a.jpg", "images/b.jpg"]),
        ("path: ../elsewhere/set\ntrain: extra\n", ["extra/c.jpg"]),
        ("path: images\ntrain: .\n", ["images/a.jpg", "images/b.jpg"]),
        ("train: list.txt\n", ["extra/c.jpg", "images/b.jpg"]),
    ],
)
def test_which_images_belong(tmp_path: Path, document: str, expected: list[str]) -> None:
    for number, name in enumerate(("images/a.jpg", "images/b.jpg", "extra/c.jpg")):
        picture(tmp_path / name, number)
    text(tmp_path / "list.txt", "./images/b.jpg\n\nextra/c.jpg\nimages/gone.jpg\n../../etc/passwd\n")
    text(tmp_path / "data.yaml", document + NAMES)
    data = read_yolo(tmp_path)
    assert [image.file_name for image in data.images] == expected
    listed = {"image of a list that is not there": 2} if "list" in document else {}
    outside = {"image outside the paths of data.yaml": 3 - len(expected)} if len(expected) < 3 else {}
    assert bad(data) == listed | outside


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/a.jpg", "labels/a.txt"),
        ("images/train/images/a.b.png", "images/train/labels/a.b.txt"),
        ("train/a.jpg", "train/a.txt"),
        ("images", "images.txt"),
    ],
)
def test_where_labels_stand(image: str, labels: str) -> None:
    assert label_file(image) == labels


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "no readable data.yaml"),
        ("a: [", "no YAML"),
        ("[]", "holds no mapping"),
        ("nc: 2", "names is no list"),
        ("names: []", "names is no list"),
        ("names: [dent, no]", r"names\[1\] is False"),
        ("names: {a: dent}", r"names\['a'\]"),
        (NAMES + "train: nowhere", "no image in the folders"),
        (NAMES + "train: /", "no image in the folders"),
        (NAMES + "train: images/a.jpg", "no list of images"),
    ],
)
def test_what_is_no_yolo_folder_says_why(tmp_path: Path, document: str | None, message: str) -> None:
    picture(tmp_path / "images/a.jpg")
    if document is not None:
        text(tmp_path / "data.yaml", document)
    with pytest.raises(ImportDataError, match=message):
        read_yolo(tmp_path)
