"""`vqi simulate line` against the real service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inspection.simulation import hostile_requests
from inspection.simulation.hostile import Hostile
from inspection.simulation.line_report import CameraFigures, HostileFigures, LineFigures
from serving.process import REPOSITORY
from tests.serving.examples import GOOD, SCRATCHED
from tests.serving.plant import Plant
from vqi.line_page import LinePage
from vqi.main import main

KINDS = {hostile.kind: hostile for hostile in hostile_requests.hostile_kinds()}


REFERENCE = (REPOSITORY / "docs" / "reference" / "line-report.md").read_text(encoding="utf-8")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, image in enumerate((GOOD, SCRATCHED, GOOD)):
        (folder / f"part-{number}.png").write_bytes(image)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(autouse=True)
def here(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspection.settings.get_settings", lambda: plant.settings)


def simulate(pictures: Path, *options: str) -> int:
    return main(["simulate", "line", "--images", str(pictures), "--rate", "40", "--seconds", "1.5", *options])


def test_a_line_with_hostile_traffic(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "line.json"
    assert simulate(pictures, "--cameras", "2", "--hostile", "0.35", "--json", str(file)) == 0
    told = LinePage.model_validate_json(file.read_bytes())
    figures = told.figures
    assert (told.asked_rate, told.asked_cameras, told.hostile_share) == (40, 2, 0.35)
    assert figures.parts == figures.answered == sum(found.parts for found in figures.histogram) == 60
    assert {camera.camera_id: camera.parts for camera in figures.cameras} == {"cam-1": 40, "cam-2": 20}
    # By hand: 35 of 100 are hostile, so 32 beside 60 parts, and each kind comes at least once.
    assert sum(kind.sent for kind in figures.hostile) == 32
    assert {kind.kind for kind in figures.hostile} == set(KINDS)
    assert sum(kind.wrong for kind in figures.hostile) == 0
    shown = capsys.readouterr().out
    assert "60 parts answered" in shown
    assert "█" in shown
    for words in ("cam-1", "PNG bomb", "P50 / P95 / P99 / max"):
        assert words in shown


def test_a_wrong_answer_is_told_and_fails(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def expecting_too_much(_: str | None) -> tuple[Hostile, ...]:
        return KINDS["no image"], replace(KINDS["empty body"], right=frozenset({"200"}))

    monkeypatch.setattr(hostile_requests, "hostile_kinds", expecting_too_much)
    file = tmp_path / "line.json"
    assert simulate(pictures, "--hostile", "0.2", "--json", str(file)) == 1
    error = capsys.readouterr().err
    assert "empty body (400 " in error
    assert "no image" not in error
    assert LinePage.model_validate_json(file.read_bytes()).figures.answered == 60


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--images", "nowhere"], 2, "nowhere"),
        (["--images", "."], 1, "no image"),
        (["--hostile", "1"], 2, "hostile"),
        (["--cameras", "0"], 2, "cameras"),
    ],
)
def test_bad_options(
    options: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "line", *options]) == code
    shown = capsys.readouterr().err
    assert words in shown
    assert shown.count("\n") == 1


def test_the_reference_tells_each_key_and_each_kind() -> None:
    for model in (LinePage, LineFigures, CameraFigures, HostileFigures):
        assert [name for name in model.model_fields if f"`{name}`" not in REFERENCE] == []
    assert [kind for kind in KINDS if kind.split(" as ")[0] not in REFERENCE] == []
