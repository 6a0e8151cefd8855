"""Which pictures are not believed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from inspection.camera_health import (
    MOST_CAMERAS,
    CameraFault,
    CameraHealth,
    CameraLimits,
    Key,
    Reference,
    drifted,
    see,
)
from inspection.image_quality import ImageQuality

LIMITS = CameraLimits(reference_parts=3, recent_parts=2, remembered_images=2)
KEY = ("cam-1", "shaft")
SOUND = ImageQuality(sharpness=100, brightness=50, black_share=0, white_share=0)


def quality(**changes: float) -> ImageQuality:
    return ImageQuality(**{**vars(SOUND), **changes})


@pytest.mark.parametrize(
    ("changes", "reference", "fault"),
    [
        ({}, None, None),
        ({"black_share": 0.95}, None, "black"),
        ({"black_share": 0.94}, None, None),
        ({"white_share": 0.5}, None, "overexposed"),
        ({"white_share": 0.5, "black_share": 1}, None, "black"),
        ({"sharpness": 0.9}, None, "blurred"),
        ({"sharpness": 19}, None, None),  # nobody knows yet how sharp this camera is
        ({"sharpness": 19}, 100, "blurred"),
        ({"sharpness": 20}, 100, None),
        ({"sharpness": 0.9}, 2, "blurred"),
    ],
)
def test_one_picture(changes: dict[str, float], reference: float | None, fault: str | None) -> None:
    known = None if reference is None else Reference(sharpness=reference, brightness=50)
    assert see(quality(**changes), CameraLimits(), known) == fault


@pytest.mark.parametrize(
    ("sharpness", "brightness", "fault"),
    [
        (100, 50, None),
        (50, 50, None),
        (49, 50, "sharpness_drift"),
        (151, 50, "sharpness_drift"),
        (100, 24, "light_drift"),
        (100, 76, "light_drift"),
    ],
)
def test_drift(sharpness: float, brightness: float, fault: str | None) -> None:
    reference = Reference(sharpness=100, brightness=50)
    assert drifted(Reference(sharpness=sharpness, brightness=brightness), reference, 0.5) == fault


class Line:
    """A camera that shows one part after the other."""

    def __init__(self, references: Mapping[Key, Reference] | None = None) -> None:
        self.kept: list[Mapping[Key, Reference]] = []
        self.health = CameraHealth(LIMITS, references or {}, self.kept.append)
        self.parts = 0

    def __call__(
        self, key: Key = KEY, image: str | None = None, found: bool = True, **changes: float
    ) -> CameraFault | None:
        self.parts += 1
        image = image or f"image {self.parts}"
        return self.health.check(key, f"part {self.parts}", image, quality(**changes), part_found=found)


def test_a_camera_is_held_against_what_it_showed_first() -> None:
    line = Line()
    # Three make the reference, by their medians: 100 and 50.
    assert [line(sharpness=value, brightness=value / 2) for value in (100, 10, 400)] == [None] * 3
    assert line.kept == [{KEY: Reference(sharpness=100, brightness=50)}]
    assert line(sharpness=19) is CameraFault.BLURRED
    assert line(sharpness=40) is None  # one is no drift
    # The blurred one does not count: the median of 40 and 50 is 45, less than half of 100.
    assert line(sharpness=50) is CameraFault.SHARPNESS_DRIFT
    assert line(sharpness=90) is None  # of 50 and 90 it is 70
    (standing,) = line.health.standings()
    assert standing.recent == Reference(sharpness=70, brightness=50)
    assert standing.faults == {"blurred": 1, "sharpness_drift": 1}


def test_unhealthy_pictures_make_no_reference() -> None:
    line = Line()
    assert line(black_share=1) is CameraFault.BLACK
    assert line(found=False) is CameraFault.NO_PART
    assert [line(), line()] == [None, None]
    assert line.health.standings()[0].learnt == 2
    assert line.kept == []


def test_the_same_bytes_under_another_name_are_a_camera_that_stands_still() -> None:
    line = Line()
    assert line(image="a") is None
    assert line(image="a") is CameraFault.REPEATED_IMAGE
    assert line(("cam-2", None), image="a") is None  # another camera's
    check = line.health.check
    assert check(KEY, "part 1", "a", SOUND, part_found=True) is None  # the part itself, shown again
    assert [line(image="b"), line(image="c"), line(image="a")] == [None] * 3  # "a" is forgotten by now


def test_each_part_type_has_its_own_reference_and_all_are_forgotten_together() -> None:
    line = Line()
    plate = ("cam-1", "plate")
    for _ in range(3):
        line()
        line(plate, sharpness=10)
    assert line(plate, sharpness=10) is None
    assert line(sharpness=10) is CameraFault.BLURRED
    assert line.health.forget("cam-1") == 2
    assert line.kept[-1] == {}
    assert line(sharpness=10) is None
    assert line.health.forget("cam-9") is None


def test_known_references_hold_from_the_first_picture_on() -> None:
    line = Line({KEY: Reference(sharpness=100, brightness=50)})
    assert line(sharpness=10) is CameraFault.BLURRED


def test_a_restart_makes_no_camera_that_stands_still_or_drifts_believed_again() -> None:
    line = Line({KEY: Reference(sharpness=100, brightness=50)})
    recall = line.health.recall
    recall(KEY, "part a", "a", quality(sharpness=40), None)
    recall(
        KEY, "part b", "b", quality(sharpness=0), CameraFault.BLURRED
    )  # as in `check`, counts for no drift
    assert line(image="b") is CameraFault.REPEATED_IMAGE
    # With the 40 of before: the median of 40 and 50 is 45.
    assert line(sharpness=50) is CameraFault.SHARPNESS_DRIFT
    recall(("cam-2", None), "part c", "c", quality(), None)
    assert [standing.camera_id for standing in line.health.standings()] == ["cam-1"]  # 2 has no reference


def test_names_that_clients_make_up_do_not_fill_the_memory() -> None:
    line = Line()
    for number in range(MOST_CAMERAS + 5):
        line((f"cam-{number}", None))
    assert len(line.health.standings()) == MOST_CAMERAS
