"""A COCO folder on its way into the source databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inspection.errors import ImportDataError
from inspection.importers.coco import read_coco
from inspection.importers.importing import ImportOptions, ImportReport, import_set
from inspection.importers.taxonomy import derive_ontology
from inspection.ontology import DefectClass, Ontology, load_ontology
from inspection.progress import listening
from inspection.settings import Settings
from tests.inspection.importers.sets import query

Document = dict[str, Any]


def image(number: int, **changes: object) -> Document:
    return {"id": number, "file_name": f"images/{number}.jpg", "width": 200, "height": 100, **changes}


def annotation(number: int, image_id: int, category: int = 1, bbox: object = (10, 20, 30, 40)) -> Document:
    box = list(bbox) if isinstance(bbox, tuple) else bbox
    return {"id": number, "image_id": image_id, "category_id": category, "bbox": box}


CATEGORIES = [{"id": 1, "name": "deep rust"}, {"id": 2, "name": "no defect"}]


def write(folder: Path, images: list[Document], annotations: list[Document]) -> Path:
    (folder / "images").mkdir(parents=True)
    for entry in images:
        (folder / entry["file_name"]).write_bytes(b"jpeg " + entry["file_name"].encode())
    document = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def import_coco(
    settings: Settings, folder: Path, ontology: Ontology | None = None, **options: Any
) -> ImportReport:
    return import_set(settings, read_coco(folder), ImportOptions(**options), ontology)


IMAGES = """select image_id::text, production_order_id, part_type, image_path,
    to_char(capture_timestamp at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
    from inspection.image_metadata order by image_path, image_id"""
ANNOTATIONS = """select m.image_path, a.defect_type, a.bounding_box, a.confidence
    from inspection.defect_annotations a join inspection.image_metadata m using (image_id) order by 1, 2, 3"""


def test_a_folder_takes_the_plants_road(settings: Settings, tmp_path: Path) -> None:
    images = [
        image(1, group="left", date_captured="2020-09-05T16:18:14"),
        image(2, group="left", no_defect_is_inferred=True, date_captured="2020-09-04T00:00:00+02:00"),
        image(3, group="right"),
        image(4),
    ]
    folder = write(tmp_path / "Rusty", images, [annotation(1, 1), annotation(2, 1), annotation(3, 3, 2)])
    told: list[tuple[str, int, int]] = []
    with listening(lambda task, done, total, _: told.append((task, done, total))):
        report = import_coco(settings, folder)
    rows = query(settings, "quality_vision", IMAGES)
    assert [row[1:] for row in rows] == [
        ("left", "rusty", "Rusty/images/1.jpg", "2020-09-05 16:18:14"),
        ("left", "rusty", "Rusty/images/2.jpg", "2020-09-03 22:00:00"),
        ("right", "rusty", "Rusty/images/3.jpg", "2020-09-05 16:18:15"),
        ("images/4.jpg", "rusty", "Rusty/images/4.jpg", "2020-09-05 16:18:16"),
    ]
    box = {"x": 10, "y": 20, "width": 30, "height": 40}
    assert query(settings, "quality_vision", ANNOTATIONS) == [
        ("Rusty/images/1.jpg", "deep rust", box, 5),
        ("Rusty/images/1.jpg", "deep rust", box, 5),
        ("Rusty/images/2.jpg", "no defect", None, 5),
        ("Rusty/images/3.jpg", "no defect", None, 5),
    ]
    orders = query(
        settings, "erp", "select production_order_id, line_id, quantity from erp.production_orders order by 1"
    )
    assert orders == [
        ("images/4.jpg", "line-import", 1),
        ("left", "line-import", 2),
        ("right", "line-import", 1),
    ]
    assert (report.images, report.annotations, report.groups) == (4, 4, 3)
    assert (report.annotated_images, report.annotated_clean) == (1, 1)
    assert (report.declared_clean, report.unlabelled) == (1, 1)
    assert report.labels == {"deep rust": 2, "no defect": 2}
    assert report.repeats == 0
    assert report.without_time == 2
    assert report.bad == {}
    assert told[-1] == ("import", 4, 4)
    assert (settings.images / "Rusty/images/1.jpg").samefile(folder / "images/1.jpg")
    assert load_ontology(settings.ontology_file) == report.ontology
    assert report.ontology.defect_ids == ("DEEP_RUST",)
    assert (settings.calibration / "camera_config.csv").exists()
    assert query(settings, "qms", "select class_id from qms.defect_taxonomy order by 1") == [
        ("DEEP_RUST",),
        ("NO_DEFECT",),
    ]


def test_a_cameras_frame_holds_all_of_its_images(settings: Settings, tmp_path: Path) -> None:
    sizes = [image(1), image(2, width=400), image(3, height=300), image(4, camera_id="other")]
    import_coco(settings, write(tmp_path / "set", sizes, [annotation(1, 1)]))
    lines = (settings.calibration / "camera_config.csv").read_text().splitlines()[1:]
    assert {line.split(",")[0]: line.split(",")[4:6] for line in lines} == {
        "cam-import": ["400", "300"],
        "other": ["200", "100"],
    }


def test_the_whole_set_may_be_declared_clean(settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "set", [image(1), image(2)], [annotation(1, 1)])
    report = import_coco(settings, folder, unannotated_is_clean=True)
    assert (report.declared_clean, report.unlabelled) == (1, 0)
    again = query(settings, "quality_vision", IMAGES)
    assert again[0][4] == "2000-01-01 00:00:01"
    import_coco(settings, folder)
    assert query(settings, "quality_vision", IMAGES) == again, "ids and times depend on names alone"


def test_bad_entries_are_counted_and_loaded(settings: Settings, tmp_path: Path) -> None:
    images = [image(1), image(2), image(3, file_name="images/1.jpg")]
    annotations = [
        annotation(1, 1, bbox=(190, 20, 30, 40)),
        annotation(2, 1, bbox=(10, 20, -3, 40)),
        annotation(3, 1, bbox="wide"),
        annotation(4, 1, category=9),
        annotation(5, 77),
        annotation(6, 3),
    ]
    folder = write(tmp_path / "set", images, annotations)
    (folder / "images/2.jpg").unlink()
    report = import_coco(settings, folder)
    assert report.bad == {
        "missing image file": 1,
        "image twice": 1,
        "box outside its image": 1,
        "broken box": 2,
        "unknown category": 1,
        "annotation of an unknown image": 1,
    }
    assert len(query(settings, "quality_vision", IMAGES)) == 3
    assert report.annotations == 5


def test_what_json_allows_and_a_table_does_not(settings: Settings, tmp_path: Path) -> None:
    annotations = [
        annotation(1, 1, bbox=[float("nan"), 20, 30, 40]),
        annotation(1, 1, bbox="zero \0 byte"),
        annotation(2, 1, bbox=None),
        {**annotation(3, 1), "image_id": [1]},
    ]
    report = import_coco(settings, write(tmp_path / "set", [image(1)], annotations))
    assert report.bad == {"broken box": 2, "annotation id twice": 1, "annotation of an unknown image": 1}
    assert [row[2] for row in query(settings, "quality_vision", ANNOTATIONS)] == [
        "'zero \\x00 byte'",
        "[nan, 20, 30, 40]",
        None,
    ]
    broken = write(tmp_path / "broken", [image(1, group="zero \0 byte")], [annotation(1, 1)])
    with pytest.raises(ImportDataError, match="zero byte"):
        import_coco(settings, broken)


def test_a_folder_inside_the_image_root_stays_in_place(settings: Settings, tmp_path: Path) -> None:
    folder = write(tmp_path / "nas" / "set", [image(1)], [annotation(1, 1)])
    inside = settings.model_copy(update={"image_root": tmp_path / "nas"})
    report = import_coco(inside, folder)
    assert report.in_place
    assert query(settings, "quality_vision", IMAGES)[0][3] == "set/images/1.jpg"
    assert not (settings.root / "images").exists()
    elsewhere = settings.model_copy(update={"image_root": tmp_path / "other"})
    with pytest.raises(ImportDataError, match="VQI_IMAGE_ROOT"):
        import_coco(elsewhere, folder)


def test_a_given_ontology_decides(settings: Settings, tmp_path: Path) -> None:
    ontology = Ontology(
        ontology="own",
        version="2",
        classes=(
            DefectClass(id="FINE", label="Fine", clean=True, aliases=("ok",)),
            DefectClass(id="RUST", label="Rust", aliases=("Deep-Rust",), severity_levels=("minor",)),
        ),
    )
    folder = write(tmp_path / "set", [image(1), image(2)], [annotation(1, 1), annotation(2, 2, 2)])
    report = import_coco(settings, folder, ontology=ontology)
    assert report.bad == {"unknown category": 1}
    assert report.ontology == ontology


def changed(**changes: object) -> Document:
    return {"images": [image(1)], "annotations": [], "categories": CATEGORIES, **changes}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no readable annotations.json"),
        ("{", "no valid JSON"),
        ("[]", "holds no object"),
        ("{}", "no list 'images'"),
        (json.dumps(changed(images=[])), "names no image"),
        (json.dumps(changed(annotations={})), "no list 'annotations'"),
        (json.dumps(changed(annotations=[3])), r"annotations\[0\]"),
        (json.dumps(changed(categories=[{"id": 1}])), "each category"),
        (json.dumps(changed(images=[{"id": 1}])), r"images\[0\] lacks 'file_name'"),
        (json.dumps(changed(images=[image(1), image(1)])), "repeats the id 1"),
        (json.dumps(changed(images=[image(1, file_name="../secret.jpg")])), "outside the folder"),
        (json.dumps(changed(images=[image(1, width="wide")])), r"images\[0\] invalid literal"),
        (json.dumps(changed(images=[image(1, date_captured="yesterday")])), r"images\[0\] Invalid isoformat"),
    ],
)
def test_what_is_no_coco_folder_says_why(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(ImportDataError, match=message):
        read_coco(tmp_path, "group")


@pytest.mark.parametrize("names", [[], ["no defect"], ["good", "OK"], ["a b", "a-b"], ["***"]])
def test_categories_that_make_no_taxonomy(names: list[str]) -> None:
    with pytest.raises(ImportDataError):
        derive_ontology("set", names)
