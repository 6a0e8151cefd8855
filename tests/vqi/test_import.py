"""`vqi import` as a person runs it, on a real database: the report, the note of what fills the home."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspection.importers.importing import ImportOptions
from inspection.settings import Settings
from tests.inspection.importers.sets import picture, query, text, voc_xml
from vqi.demo_source import DemoSource
from vqi.main import main
from vqi.origin import filled_by


@pytest.fixture
def home(module_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("vqi.origin.SOURCES", ())  # databases of one's own are refused elsewhere
    monkeypatch.setattr("inspection.settings.get_settings", lambda: module_settings)
    return module_settings


def test_each_format_prints_the_same_report(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "parts"
    for number, seed in enumerate((1, 2, 2, 3)):
        picture(folder / f"images/p{number // 2}_{number}.jpg", seed)
    text(folder / "Annotations/p0_0.xml", voc_xml("p0_0.jpg", ("dent", 1, 1, 9, 9), ("fine", 1, 1, 9, 9)))
    text(folder / "Annotations/p0_1.xml", voc_xml("p0_1.jpg", ("fine", 5, 5, 2, 2)))
    text(folder / "Annotations/p1_2.xml", "<annotation>")
    text(folder / "labels/p0_0.txt", "0 0.1 0.1 0.1 0.1\n1 0.1 0.1 0.1 0.1\n")
    text(folder / "labels/p0_1.txt", "1 0.1 0.1 0.1 0.1\n")
    (folder / "labels/p1_2.txt").write_bytes(b"\xff")
    text(folder / "data.yaml", "names: [dent, fine]\n")
    group = ["--group", r"/(?P<group>p\d)_", "--clean", "fine", "--unannotated-is-clean"]
    assert main(["import", "voc", str(folder), *group, "--replace"]) == 0
    voc = capsys.readouterr().out
    assert voc.splitlines() == [
        "parts: 4 images in 2 groups, 4 marks",
        "1 with a defect, 1 annotated clean, 1 declared clean, 1 without a label",
        "  fine                                   2  NO_DEFECT",
        "  dent                                   1  DENT",
        "  no defect                              1  NO_DEFECT",
        "1 files repeat another's content: the leakage check will hold training until they share an order; "
        "--group-duplicates puts them into one",
        "not as it should be:",
        "  unreadable annotation file             1",
    ]
    assert main(["import", "yolo", str(folder), *group]) == 0
    assert capsys.readouterr().out == voc
    assert main(["import", "voc", str(folder), *group, "--group-duplicates"]) == 0
    shown = capsys.readouterr().out
    assert "4 images in 1 groups" in shown
    assert "1 files repeat another's content: they share an order now" in shown
    assert filled_by(home) == "import:parts"
    assert query(home, "qms", "select class_id from qms.defect_taxonomy order by 1") == [
        ("DENT",),
        ("NO_DEFECT",),
    ]


def test_other_rows_are_overwritten_only_on_demand(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        picture(tmp_path / name / "dent/1.jpg")
    assert main(["import", "folder", str(tmp_path / "one"), "--replace"]) == 0
    capsys.readouterr()
    assert main(["import", "folder", str(tmp_path / "two")]) == 1
    assert "--replace" in capsys.readouterr().err
    assert main(["import", "folder", str(tmp_path / "two"), "--replace"]) == 0
    assert capsys.readouterr().out.startswith("two: 1 images")


def test_the_demo_takes_each_format_with_its_options() -> None:
    options = ImportOptions(group="(?P<group>x)", clean=("fine",))
    for name in ("coco", "voc", "yolo", "folder"):
        source = DemoSource.parse(f"{name}:/data/a:b", options, Path("own.json"))
        assert (source.format_name, source.folder) == (name, Path("/data/a:b"))
        assert (source.options, source.ontology) == (options, Path("own.json"))
    plant = DemoSource.parse("simulated", ImportOptions(), images=60, difficulty="hard")
    assert (plant.format_name, plant.images, plant.difficulty) == (None, 60, "hard")
    with pytest.raises(ValueError, match="simulated plant"):
        DemoSource.parse("coco:/data", ImportOptions(), difficulty="hard")
