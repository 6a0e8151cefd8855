"""Images are kept for people, within a bound, and only what people have decided on goes."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from prometheus_client import REGISTRY

from inspection.heatmap import Activations
from inspection.imaging import Window
from serving import kept as module
from serving.kept import KeptImage, KeptImages
from tests.serving.examples import GOOD, encode, picture

JPEG = encode(picture(), ".jpg")
IMAGE = b"\xff\xd8\xff" + b"\0" * 997  # a thousand bytes
DAY = 86400
FOUND = Activations(("A",), np.full((1, 2, 2), 0.5, np.float32), Window(0, 0, 4, 4))


def everyone(_: UUID) -> bool:
    return True


def ids(*numbers: int) -> list[UUID]:
    return [UUID(int=number) for number in numbers]


@pytest.fixture
def open_folder(tmp_path: Path) -> Callable[..., KeptImages]:
    def open_(
        max_bytes: int = 10_000, days: float = 30, waits: Callable[[UUID], bool] = everyone
    ) -> KeptImages:
        return KeptImages(tmp_path / "kept", max_bytes, days, waits)

    return open_


def image(kept: KeptImages, inspection_id: UUID, sent: bytes = IMAGE) -> KeptImage | None:
    return kept.image(inspection_id, hashlib.sha256(sent).hexdigest())


def not_kept() -> float:
    return REGISTRY.get_sample_value("vqi_images_not_kept_total") or 0.0


def names(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "kept").iterdir()}


def test_an_image_comes_back_to_the_byte(tmp_path: Path, open_folder: Callable[..., KeptImages]) -> None:
    kept = open_folder(100_000)
    first, second, missing = ids(1, 2, 3)
    assert kept.keep(first, GOOD)
    assert kept.keep(second, JPEG, FOUND)
    assert image(kept, first, GOOD) == (GOOD, "image/png")
    assert image(kept, second, JPEG) == (JPEG, "image/jpeg")
    assert kept.activations(first) is None
    found = kept.activations(second)
    assert found is not None
    assert np.array_equal(found.maps, FOUND.maps)
    assert (first in kept, second in kept, missing in kept) == (True, True, False)
    assert image(kept, missing) is None
    assert names(tmp_path) == {f"{first}.png", f"{second}.jpg", f"{second}.npz"}
    assert REGISTRY.get_sample_value("vqi_kept_bytes") == sum(
        path.stat().st_size for path in (tmp_path / "kept").iterdir()
    )


def test_the_first_image_of_an_inspection_stays(open_folder: Callable[..., KeptImages]) -> None:
    kept = open_folder(100_000)
    (one,) = ids(1)
    assert kept.keep(one, GOOD)
    assert kept.keep(one, JPEG)
    assert image(kept, one, GOOD) == (GOOD, "image/png")


def test_what_is_no_image_is_not_kept(tmp_path: Path, open_folder: Callable[..., KeptImages]) -> None:
    before = not_kept()
    assert not open_folder().keep(*ids(1), b"<html><script>")
    assert not_kept() == before + 1
    assert names(tmp_path) == set()


def test_decided_images_make_room_the_oldest_decision_first(open_folder: Callable[..., KeptImages]) -> None:
    kept = open_folder(3000)
    first, second, third, fourth, fifth = ids(1, 2, 3, 4, 5)
    for one in (first, second, third):
        assert kept.keep(one, IMAGE)
    kept.decide(second)
    kept.decide(first)
    kept.decide(second)  # by a second inspector
    assert kept.keep(fourth, IMAGE)
    assert (second in kept, first in kept) == (False, True)
    assert image(kept, second) is None
    assert kept.keep(fifth, IMAGE)
    assert [one in kept for one in (first, third, fourth, fifth)] == [False, True, True, True]


def test_undecided_images_are_never_removed(
    open_folder: Callable[..., KeptImages], caplog: pytest.LogCaptureFixture
) -> None:
    kept = open_folder(2500)
    first, second, third, fourth = ids(1, 2, 3, 4)
    kept.keep(first, IMAGE)
    kept.keep(second, IMAGE)
    before = not_kept()
    for late in (third, fourth):
        assert not kept.keep(late, IMAGE)
        assert late not in kept
    assert not_kept() == before + 2
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1  # not once for each part
    assert "2 that wait take 2000 bytes" in told[0].message
    assert "VQI_KEPT_MAX_BYTES" in told[0].message
    assert image(kept, first)
    assert image(kept, second)

    kept.decide(first)
    assert kept.keep(third, IMAGE)
    assert "kept again" in caplog.messages[-1]


def test_one_image_larger_than_the_bound_is_not_kept(open_folder: Callable[..., KeptImages]) -> None:
    assert not open_folder(999).keep(*ids(1), IMAGE)


def test_the_disk_keeps_room_for_the_outbox(
    open_folder: Callable[..., KeptImages], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = open_folder()
    first, second = ids(1, 2)
    assert kept.keep(first, IMAGE)
    monkeypatch.setattr(module, "SPARE", shutil.disk_usage(tmp_path).total)
    assert not kept.keep(second, IMAGE)
    assert first in kept


def test_a_disk_that_fails_is_told_and_leaves_nothing(
    tmp_path: Path, open_folder: Callable[..., KeptImages], caplog: pytest.LogCaptureFixture
) -> None:
    kept = open_folder()
    first, second = ids(1, 2)
    (tmp_path / "kept" / f"{first}.jpg.part").mkdir()  # in the way
    before = not_kept()
    assert not kept.keep(first, IMAGE, FOUND)
    assert not_kept() == before + 1
    assert first not in kept
    assert str(first) in caplog.text
    assert kept.activations(first) is None
    assert kept.keep(second, IMAGE)


def test_decided_images_go_after_their_days(open_folder: Callable[..., KeptImages], tmp_path: Path) -> None:
    kept = open_folder(days=3)
    old, young, waiting, last = ids(1, 2, 3, 4)
    for one in (old, young, waiting):
        kept.keep(one, IMAGE, FOUND)
    for one in (old, young):
        kept.decide(one)
    for one, days in ((old, 3.1), (young, 2.9), (waiting, 99)):
        moment = time.time() - days * DAY
        os.utime(tmp_path / "kept" / f"{one}.jpg", (moment, moment))

    again = open_folder(days=3, waits=lambda one: one == waiting)
    assert [one in again for one in (old, young, waiting)] == [False, True, True]
    assert names(tmp_path) == {f"{one}{end}" for one in (young, waiting) for end in (".jpg", ".npz")}
    at_once = open_folder(days=0, waits=lambda one: one == waiting)
    assert at_once.keep(last, IMAGE)
    at_once.decide(last)
    assert at_once.keep(young, IMAGE)
    assert [one in at_once for one in (young, waiting, last)] == [True, True, False]


def test_a_start_finds_what_is_there(open_folder: Callable[..., KeptImages], tmp_path: Path) -> None:
    kept = open_folder()
    first, second, third, fourth = ids(1, 2, 3, 4)
    for number, one in enumerate((third, first, second)):
        kept.keep(one, IMAGE)
        kept.decide(one)
        moment = time.time() - 100 + number
        os.utime(tmp_path / "kept" / f"{one}.jpg", (moment, moment))
    # Killed in the midst of writing, or cut from power; and what somebody else has put there.
    (tmp_path / "kept" / f"{uuid4()}.jpg").touch()
    (tmp_path / "kept" / f"{fourth}.npz").write_bytes(FOUND.to_bytes())
    (tmp_path / "kept" / f"{fourth}.jpg.part").write_bytes(IMAGE[:100])
    (tmp_path / "kept" / "notes.txt").write_text("mine")

    again = open_folder(3000, waits=lambda _: False)
    assert names(tmp_path) == {f"{first}.jpg", f"{second}.jpg", f"{third}.jpg", "notes.txt"}
    assert REGISTRY.get_sample_value("vqi_kept_bytes") == 3000
    assert again.keep(fourth, IMAGE)
    assert [one in again for one in (third, first, second)] == [False, True, True]


def test_what_a_power_cut_has_damaged_is_not_told(
    tmp_path: Path, open_folder: Callable[..., KeptImages], caplog: pytest.LogCaptureFixture
) -> None:
    kept = open_folder(100_000)
    (one,) = ids(1)
    kept.keep(one, JPEG, FOUND)
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(path.read_bytes()[:-100] + b"\0" * 100)
    assert image(kept, one, JPEG) is None
    assert kept.activations(one) is None
    assert caplog.text.count("is damaged") == 2
