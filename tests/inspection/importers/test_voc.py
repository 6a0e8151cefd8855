"""Pascal VOC folders: where things lie, what coordinates mean, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspection.errors import ImportDataError
from inspection.importers.importing import ImportOptions, import_set
from inspection.importers.labelled import Annotation, Box, BrokenBox, LabelledSet
from inspection.importers.voc import parse_xml, read_voc
from inspection.settings import Settings
from tests.inspection.importers.sets import ANNOTATIONS, IMAGES, picture, query, text, voc_xml


def marks(data: LabelledSet) -> dict[str, list[tuple[str, object]]]:
    return {image.file_name: [(a.category, a.box) for a in image.annotations] for image in data.images}


def bad(data: LabelledSet) -> dict[str, int]:
    return {reason: count for reason, count in data.bad.items() if count}


def test_nested_class_folders_and_no_clean_image(module_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "Steel"
    for number, (part, label) in enumerate(
        [("train", "rolled in"), ("train", "patches"), ("validation", "patches")]
    ):
        name = f"{label.replace(' ', '-')}_{number}"
        picture(folder / part / "images" / label / f"{name}.jpg", number)
        text(folder / part / "annotations" / f"{name}.xml", voc_xml(f"{name}.jpg", (label, 1, 11, 200, 40)))
    report = import_set(module_settings, read_voc(folder), ImportOptions())
    first, second, third = (
        "Steel/train/images/patches/patches_1.jpg",
        "Steel/train/images/rolled in/rolled-in_0.jpg",
        "Steel/validation/images/patches/patches_2.jpg",
    )
    assert query(module_settings, "quality_vision", IMAGES) == [
        (path, path.removeprefix("Steel/"), "steel", Path(path).stem, "machine-import", "cam-import")
        for path in (first, second, third)
    ]
    box = {"x": 0, "y": 10, "width": 200, "height": 30}  # the whole width, rows 11 to 40 counted from 1
    assert query(module_settings, "quality_vision", ANNOTATIONS) == [
        (first, "patches", box, 5),
        (second, "rolled in", box, 5),
        (third, "patches", box, 5),
    ]
    assert (report.images, report.annotated_images, report.annotated_clean, report.unlabelled) == (3, 3, 0, 0)
    assert report.bad == {}
    assert report.ontology.defect_ids == ("PATCHES", "ROLLED_IN")
    config = (module_settings.calibration / "camera_config.csv").read_text().splitlines()[1].split(",")
    assert config[4:6] == ["200", "100"]


def test_the_layout_of_the_challenge(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages/a.jpg")
    picture(tmp_path / "JPEGImages/b.jpg")
    picture(tmp_path / "SegmentationClass/a.png")
    text(tmp_path / "Annotations/a.xml", voc_xml("a.jpg", ("dent", 2, 3, 4, 8), ("hole", 1, 1, 1, 1)))
    data = read_voc(tmp_path)
    assert marks(data) == {
        "JPEGImages/a.jpg": [("dent", Box(1, 2, 3, 6)), ("hole", Box(0, 0, 1, 1))],
        "JPEGImages/b.jpg": [],
    }
    assert data.categories == ("dent", "hole")
    assert bad(data) == {}


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        ((1, 1, 200, 100), Box(0, 0, 200, 100)),
        ((0, 0, 10, 10), Box(0, 0, 10, 10)),
        ((5, 5, 5, 5), Box(4, 4, 1, 1)),
        ((1.5, 2.5, 3.5, 4.5), Box(0.5, 1.5, 3.0, 3.0)),
        ((9, 9, 2, 20), Box(8, 8, -6, 12)),
        ((-4, 1, 2, 20), Box(-5, 0, 7, 20)),
        (("", 1, 2, 3), BrokenBox("[None, '1', '2', '3']")),
        (("left", 1, 2, 3), BrokenBox("['left', '1', '2', '3']")),
        (("nan", 1, 2, 3), BrokenBox("['nan', '1', '2', '3']")),
    ],
)
def test_coordinates_count_from_one_and_include_the_last(
    tmp_path: Path, corners: tuple[object, object, object, object], box: Box | BrokenBox
) -> None:
    picture(tmp_path / "a.jpg")
    text(tmp_path / "a.xml", voc_xml("a.jpg", ("dent", *corners)))
    (found,) = read_voc(tmp_path).images[0].annotations
    assert found == Annotation("0", "dent", box)


def test_bad_input_is_counted_and_loaded(module_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in "abcdf":
        picture(folder / f"images/{name}.jpg", ord(name))
    (folder / "images/e.jpg").write_bytes(b"no image")
    text(folder / "a.xml", voc_xml("a.jpg", ("dent", 190, 1, 210, 9), ("dent", 9, 9, 2, 20)))
    text(folder / "b.xml", "<annotation><object>")
    text(folder / "c.xml", voc_xml("c.jpg", size="400 100"))
    text(folder / "e.xml", voc_xml("e.jpg", ("dent", 1, 1, 2, 2)))
    text(folder / "gone.xml", voc_xml("gone.jpg", ("dent", 1, 1, 2, 2)))
    text(folder / "nameless.xml", "<annotation><object/></annotation>")
    text(folder / "renamed.xml", voc_xml("f.jpg", ("dent", 1, 1, 2, 2)))
    text(folder / "other.xml", "<project/>")
    picture(folder / "other.jpg", 9)
    report = import_set(module_settings, read_voc(folder), ImportOptions(unannotated_is_clean=True))
    assert report.bad == {
        "unreadable image file": 1,
        "unreadable annotation file": 1,
        "size unlike the image file's": 1,
        "XML file that is no annotation": 1,
        "broken box": 1,
        "box outside its image": 2,  # that of e.jpg too, whose size nobody knows
        "missing image file": 2,
        "unknown category": 1,
        "neither JPEG nor PNG": 1,
    }
    assert [row[0] for row in query(module_settings, "quality_vision", IMAGES)] == [
        *(
            f"set/{name}"
            for name in ("gone.jpg", *(f"images/{n}.jpg" for n in "abcdef"), "nameless", "other.jpg")
        ),
    ]
    labels = query(module_settings, "quality_vision", ANNOTATIONS)
    assert [(row[0], row[1]) for row in labels] == [
        ("set/gone.jpg", "dent"),
        ("set/images/a.jpg", "dent"),
        ("set/images/a.jpg", "dent"),
        ("set/images/c.jpg", "no defect"),
        ("set/images/d.jpg", "no defect"),
        ("set/images/e.jpg", "dent"),
        ("set/images/f.jpg", "dent"),
        ("set/nameless", "object without a name"),
    ], "b.jpg and other.jpg have an annotation that nobody can read: they are not clean, and wait for one"
    assert (report.declared_clean, report.unlabelled) == (2, 2)


def test_of_several_images_the_nearest(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "test")):
        picture(tmp_path / part / "images/1.jpg", number)
        text(tmp_path / part / "xml/1.xml", voc_xml("1.jpg", (f"of {part}", 1, 1, 2, 2)))
    picture(tmp_path / "left/2.jpg", 2)
    picture(tmp_path / "right/2.jpg", 3)
    text(tmp_path / "2.xml", voc_xml("2.jpg", ("dent", 1, 1, 2, 2)))
    data = read_voc(tmp_path)
    assert {name: [label for label, _ in found] for name, found in marks(data).items()} == {
        "left/2.jpg": [],
        "right/2.jpg": [],
        "test/images/1.jpg": ["of test"],
        "train/images/1.jpg": ["of train"],
    }
    assert bad(data) == {"annotation file that fits several images": 1}
    unread = [image.file_name for image in data.images if image.annotation_unread]
    assert unread == ["left/2.jpg", "right/2.jpg"], "nobody may declare them clean"


def test_two_files_for_one_image_are_told(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    text(tmp_path / "one/a.xml", voc_xml("a.jpg", ("dent", 1, 1, 2, 2)))
    text(tmp_path / "two/a.xml", voc_xml("a.jpg", ("Dent", 1, 1, 2, 2)))
    data = read_voc(tmp_path)
    assert [(image.file_name, image.twin) for image in data.images] == [("a.jpg", ""), ("a.jpg", "1")]
    assert data.categories == ("Dent",), "a name in other letters is no other class"


BOMB = """<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<annotation><filename>&c;</filename></annotation>"""


@pytest.mark.parametrize(
    "content",
    [
        BOMB.encode(),
        ('<?xml version="1.0" encoding="utf-16"?>' + BOMB).encode("utf-16"),
        b"<!DOCTYPE annotation SYSTEM 'file:///etc/hostname'><annotation/>",
        b"<annotation>",
        b"",
        b'<?xml version="1.0" encoding="nonsense"?><annotation/>',
        b'<?xml version="1.0" encoding="shift_jis"?><annotation/>',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_xml_or_brings_a_document_type_is_not_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xml").write_bytes(content)
    assert parse_xml(tmp_path / "a.xml") is None


def test_other_encodings_are_read(tmp_path: Path) -> None:
    content = (
        '<?xml version="1.0" encoding="iso-8859-1"?><annotation><filename>Öl.jpg</filename></annotation>'
    )
    (tmp_path / "a.xml").write_bytes(content.encode("latin-1"))
    root = parse_xml(tmp_path / "a.xml")
    assert root is not None
    assert root.findtext("filename") == "Öl.jpg"


def test_what_is_no_voc_folder_says_why(tmp_path: Path) -> None:
    with pytest.raises(ImportDataError, match="cannot list"):
        read_voc(tmp_path / "nowhere")
    with pytest.raises(ImportDataError, match="no XML file"):
        read_voc(tmp_path)
    text(tmp_path / "a.xml", "<html/>")
    with pytest.raises(ImportDataError, match="no image below"):
        read_voc(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(ImportDataError, match="none of 1 images"):
        read_voc(tmp_path)
    picture(tmp_path / "a.jpg")
    with pytest.raises(ImportDataError, match="none of 1 XML files"):
        read_voc(tmp_path)
