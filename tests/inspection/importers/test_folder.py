"""Class folders: which folder is the class, which class is clean, and masks that become boxes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inspection.errors import ImportDataError
from inspection.importers.folder import class_folder, read_folder
from inspection.importers.importing import ImportOptions, import_set
from inspection.importers.labelled import Box
from inspection.ontology import DefectClass, Ontology
from inspection.settings import Settings
from tests.inspection.importers.sets import ANNOTATIONS, IMAGES, picture, query


def mask(path: Path, *marked: tuple[int, int, int, int], size: tuple[int, int] = (200, 100)) -> None:
    """Writes a mask with (x, y, width, height) marked."""
    pixels = np.zeros(size[::-1], np.uint8)
    for x, y, width, height in marked:
        pixels[y : y + height, x : x + width] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("dent/a.jpg", "dent"),
        ("dent/part 3/a.jpg", "dent"),
        ("train/dent/a.jpg", "dent"),
        ("set/Test/ok_front/a.jpg", "ok_front"),
        ("bottle/train/good/a.jpg", "good"),
        ("a.jpg", None),
        ("train/a.jpg", None),
    ],
)
def test_which_folder_is_the_class(path: str, label: str | None) -> None:
    assert class_folder(path) == label


def test_masks_become_boxes(module_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "Screw"
    picture(folder / "train/good/000.png", 1)
    picture(folder / "test/good/000.png", 2)
    picture(folder / "test/dent/000.png", 3)
    picture(folder / "test/dent/001.png", 4)
    picture(folder / "test/hole/000.png", 5)
    # Two rectangles that touch at a corner are one component, the third is another.
    mask(folder / "ground_truth/dent/000_mask.png", (10, 20, 5, 5), (15, 25, 5, 5), (199, 0, 1, 100))
    mask(folder / "ground_truth/hole/000.png", (50, 60, 30, 1))
    report = import_set(module_settings, read_folder(folder), ImportOptions())
    assert query(module_settings, "quality_vision", ANNOTATIONS) == [
        ("Screw/test/dent/000.png", "dent", {"x": 10, "y": 20, "width": 10, "height": 10}, 5),
        ("Screw/test/dent/000.png", "dent", {"x": 199, "y": 0, "width": 1, "height": 100}, 5),
        ("Screw/test/dent/001.png", "dent", None, 5),
        ("Screw/test/good/000.png", "good", None, 5),
        ("Screw/test/hole/000.png", "hole", {"x": 50, "y": 60, "width": 30, "height": 1}, 5),
        ("Screw/train/good/000.png", "good", None, 5),
    ]
    assert (report.images, report.annotated_images, report.annotated_clean) == (5, 3, 2)
    assert report.bad == {}
    assert report.ontology.defect_ids == ("DENT", "HOLE")


def test_bad_masks_are_counted(tmp_path: Path) -> None:
    for number, name in enumerate(
        ("test/dent/0.png", "test/dent/1.png", "test/dent/2.png", "test/dent/3.png")
    ):
        picture(tmp_path / name, number)
    picture(tmp_path / "train/dent/3.png", 9)
    mask(tmp_path / "ground_truth/dent/0_mask.png", (0, 0, 5, 5), size=(100, 200))
    mask(tmp_path / "ground_truth/dent/1_mask.png")
    (tmp_path / "ground_truth/dent/2_mask.png").write_bytes(b"no image")
    mask(tmp_path / "ground_truth/dent/3_mask.png", (0, 0, 5, 5))
    mask(tmp_path / "ground_truth/dent/4_mask.png", (0, 0, 5, 5))
    data = read_folder(tmp_path)
    assert data.bad == {
        "mask of another size than its image": 1,
        "mask without a marked pixel": 1,
        "unreadable mask": 1,
        "mask that fits several images": 1,
        "mask without an image": 1,
    }
    assert [[(a.category, a.box) for a in image.annotations] for image in data.images] == [
        [("dent", None)]
    ] * 5, "the label stays, without a box"


def test_a_truncated_mask_is_unreadable(tmp_path: Path) -> None:
    picture(tmp_path / "dent/0.png")
    mask(tmp_path / "ground_truth/dent/0.png", (3, 4, 5, 6))
    whole = (tmp_path / "ground_truth/dent/0.png").read_bytes()
    assert read_folder(tmp_path).images[0].annotations[0].box == Box(3, 4, 5, 6)
    (tmp_path / "ground_truth/dent/0.png").write_bytes(whole[:60])
    data = read_folder(tmp_path)
    assert data.images[0].annotations[0].box is None
    assert data.bad["unreadable mask"] == 1


def test_the_clean_class_may_have_any_name(module_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "cast"
    for number, name in enumerate(
        ("train/def_front/a.jpeg", "train/ok_front/b.jpeg", "test/ok_front/c.jpeg")
    ):
        picture(folder / name, number)
    picture(folder / "loose.jpeg", 7)
    data = read_folder(folder)
    report = import_set(module_settings, data, ImportOptions(clean=("OK-front",)))
    assert report.ontology.defect_ids == ("DEF_FRONT",)
    assert (report.annotated_images, report.annotated_clean, report.unlabelled) == (1, 2, 1)
    assert report.labels == {"ok_front": 2, "def_front": 1}
    plain = import_set(module_settings, data, ImportOptions())
    assert plain.ontology.defect_ids == ("DEF_FRONT", "OK_FRONT"), "names are taken as they are"
    assert plain.ontology.version != report.ontology.version
    with pytest.raises(ImportDataError, match="'good'; there are: def_front, ok_front"):
        import_set(module_settings, data, ImportOptions(clean=("good",)))


def test_an_ontology_knows_its_clean_class_itself(module_settings: Settings, tmp_path: Path) -> None:
    ontology = Ontology(
        ontology="cast",
        version="1",
        classes=(
            DefectClass(id="FINE", label="Fine", clean=True, aliases=("ok_front",)),
            DefectClass(id="BAD", label="Bad", aliases=("def_front",), severity_levels=("minor",)),
        ),
    )
    picture(tmp_path / "cast/ok_front/a.jpg", 1)
    picture(tmp_path / "cast/def_front/b.jpg", 2)
    data = read_folder(tmp_path / "cast")
    report = import_set(module_settings, data, ImportOptions(), ontology)
    assert (report.annotated_images, report.annotated_clean) == (1, 1)
    with pytest.raises(ImportDataError, match="aliases"):
        import_set(module_settings, data, ImportOptions(clean=("ok_front",)), ontology)


def test_other_kinds_of_images_are_told(module_settings: Settings, tmp_path: Path) -> None:
    picture(tmp_path / "set/dent/a.JPG", 1)
    picture(tmp_path / "set/dent/b.bmp", 2)
    picture(tmp_path / "set/.hidden/c.jpg", 3)
    picture(tmp_path / "set/dent/._a.jpg", 4)
    (tmp_path / "set/dent/link.jpg").symlink_to("nowhere.jpg")
    report = import_set(module_settings, read_folder(tmp_path / "set"), ImportOptions())
    assert report.bad == {
        "unreadable image file": 1,
        "missing image file": 1,
        "neither JPEG nor PNG": 1,
    }
    found = [row[0] for row in query(module_settings, "quality_vision", IMAGES)]
    assert found == ["set/dent/a.JPG", "set/dent/b.bmp", "set/dent/link.jpg"]


def test_a_name_that_is_no_text_is_counted(tmp_path: Path) -> None:
    picture(tmp_path / "dent/a.jpg")
    (tmp_path / "dent" / b"\xff.jpg".decode(errors="surrogateescape")).write_bytes(b"")
    data = read_folder(tmp_path)
    assert [image.file_name for image in data.images] == ["dent/a.jpg"]
    assert data.bad == {"file name that is no UTF-8": 1}


def test_what_holds_no_class_folder_says_why(tmp_path: Path) -> None:
    picture(tmp_path / "train/a.jpg")
    with pytest.raises(ImportDataError, match="folder of its class"):
        read_folder(tmp_path)
