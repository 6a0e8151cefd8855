"""The worst mistakes: which, and what their pictures show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from inspection.artifacts import get_file
from inspection.dataset import Box
from inspection.errors import StoreError
from inspection.imaging import Preprocessing, load_frame
from inspection.learning.evaluation import predict_originals
from inspection.learning.report.details import Judged
from inspection.learning.report.mistakes import SIDE, draw, draw_mistakes, shown_class, worst
from inspection.runtime import OnnxModel
from inspection.store import LocalStore
from tests.inspection.learning.report.test_details import judged
from tests.inspection.learning.toy import sample, save_picture
from tests.serving.examples import GREY, SIZE, tiny_model

TINY = Preprocessing(height=SIZE, width=SIZE, mean=(0, 0, 0), std=(1, 1, 1))


def of(misses: int, alarms: int, right: int = 3) -> Judged:
    """Misses come first, each a little less sure than the one before; likewise false alarms."""
    samples = [sample(f"miss{n}", ("DENT",)) for n in range(misses)]
    samples += [sample(f"alarm{n}") for n in range(alarms)] + [sample(f"right{n}") for n in range(right)]
    p = [(0.01 + n / 100, 0.0) for n in range(misses)] + [(0.99 - n / 100, 0.0) for n in range(alarms)]
    return judged(samples, p + [(0.05, 0.0)] * right)


@pytest.mark.parametrize(
    ("misses", "alarms", "expected"),
    [
        (0, 0, []),
        (2, 1, ["miss0", "miss1", "alarm0"]),
        (0, 5, ["alarm0", "alarm1", "alarm2", "alarm3"]),
        (5, 0, ["miss0", "miss1", "miss2", "miss3"]),
        (5, 5, ["miss0", "miss1", "alarm0", "alarm1"]),
        (5, 1, ["miss0", "miss1", "miss2", "alarm0"]),
        (1, 5, ["miss0", "alarm0", "alarm1", "alarm2"]),
    ],
)
def test_the_most_confident_come_first_and_misses_before_alarms(
    misses: int, alarms: int, expected: list[str]
) -> None:
    found = of(misses, alarms)
    assert [found.samples[n].image_id for n in worst(found, count=4)] == expected


def test_the_map_is_of_what_was_missed_or_told() -> None:
    samples = [sample("a", ("RUST", "DENT")), sample("b"), sample("c", ("RUST",))]
    found = judged(samples, [(0.1, 0.15), (0.9, 0.3), (0.4, 0.05)])
    assert [shown_class(found, n) for n in range(3)] == [1, 0, 1]


def test_the_picture_shows_boxes_and_where_the_model_looked(tmp_path: Path) -> None:
    pixels = np.full((128, 128, 3), GREY, np.uint8)
    save_picture(tmp_path / "a.png", pixels)
    frame = load_frame((tmp_path / "a.png").read_bytes(), TINY)
    activation = np.zeros((8, 8), np.float32)
    activation[0, 7] = 0.02  # however weak, the highest is the brightest
    boxed = sample("a", ("DENT",), boxes=(Box("DENT", 32, 32, 64, 64),))

    both = cv2.imdecode(np.frombuffer(draw(frame, boxed, activation, []), np.uint8), cv2.IMREAD_GRAYSCALE)

    assert both.shape == (SIDE, 2 * SIDE)
    plain, heated = both[:, :SIDE], both[:, SIDE:]
    line = round(32 * SIDE / 128)
    assert plain[line, SIDE // 2] > 220  # the upper side of the box
    assert abs(int(plain[SIDE // 2, SIDE // 2]) - GREY[0]) < 12
    assert heated[20, SIDE - 20] > 180
    assert heated[SIDE - 20, 20] < 90
    empty = draw(frame, sample("a"), activation, [np.array([32.0, 32, 64, 64])])
    dashed = cv2.imdecode(np.frombuffer(empty, np.uint8), cv2.IMREAD_GRAYSCALE)[line, line : SIDE - line]
    assert (dashed > 200).mean() == pytest.approx(0.5, abs=0.2)


def test_wide_frames_stand_one_above_the_other(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.full((64, 128, 3), GREY, np.uint8))
    wide = TINY.model_copy(update={"width": 128})
    frame = load_frame((tmp_path / "a.png").read_bytes(), wide)
    both = cv2.imdecode(
        np.frombuffer(draw(frame, sample(), np.zeros((4, 8)), []), np.uint8), cv2.IMREAD_COLOR
    )
    assert both.shape == (SIDE, SIDE, 3)


def test_mistakes_are_drawn_from_the_originals(tmp_path: Path) -> None:
    model, store = OnnxModel(tiny_model(classes=2), threads=1), LocalStore(tmp_path / "store")
    for name in ("right", "missed", "alarm"):
        pixels = np.full((64, 64, 3), GREY, np.uint8)
        if name == "alarm":
            pixels[:8, :8] = (255, 0, 0)
        save_picture(tmp_path / f"{name}.png", pixels)
    samples = [sample("right"), sample("missed", ("RUST",)), sample("alarm")]
    found = Judged.of(predict_originals(model, samples, tmp_path, TINY), {"DENT": 0.5, "RUST": 0.5})

    missed, alarm = draw_mistakes(store, model, found, tmp_path, TINY)

    assert (missed.image_id, missed.labels, missed.told, missed.shown) == ("missed", ("RUST",), (), "RUST")
    assert (alarm.image_id, alarm.labels, alarm.told, alarm.shown) == ("alarm", (), ("DENT",), "DENT")
    assert alarm.confidence == pytest.approx(1 / (1 + np.exp(-10)))
    assert all(get_file(store, one.picture).startswith(b"\xff\xd8") for one in (missed, alarm))
    (tmp_path / "missed.png").unlink()
    with pytest.raises(StoreError, match="cannot be read any more"):
        draw_mistakes(store, model, found, tmp_path, TINY)
