"""Pictures: the same bytes for the same seed, true boxes, parts that can be found."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inspection.outline import part_outline
from inspection.simulation.cameras import CAMERAS
from inspection.simulation.defects import KINDS
from inspection.simulation.parts import PART_TYPES
from inspection.simulation.rendering import ImageSpec, Rendering, photograph, photograph_all, render

WINDOW = 832, 416


def spec(index: int, *defects: str, **changes: object) -> ImageSpec:
    part, camera = PART_TYPES[index % len(PART_TYPES)], CAMERAS[index * 3 % len(CAMERAS)]
    return replace(ImageSpec(11, index, part.name, camera.camera_id, defects), **changes)  # type: ignore[arg-type]


@cache
def drawn(wanted: ImageSpec) -> Rendering:
    return render(wanted)


def test_the_same_seed_gives_the_same_bytes() -> None:
    wanted = spec(3, "crack", "pit")
    assert photograph(wanted).jpeg == photograph(wanted).jpeg
    assert photograph(wanted).jpeg != photograph(replace(wanted, seed=12)).jpeg
    assert photograph(wanted).jpeg != photograph(replace(wanted, index=4)).jpeg


def test_parallel_rendering_gives_the_bytes_of_serial_rendering_in_order() -> None:
    specs = [spec(index, KINDS[index % 5]) for index in range(6)]
    told: list[tuple[int, int]] = []
    serial = list(photograph_all(specs))
    parallel = list(photograph_all(specs, workers=2, progress=lambda done, of: told.append((done, of))))
    assert serial == parallel
    assert told == [(done, 6) for done in range(1, 7)]


def test_nothing_to_render() -> None:
    assert list(photograph_all([], workers=4)) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("index", range(5))
def test_a_box_surrounds_what_differs_from_the_clean_part(kind: str, index: int) -> None:
    wanted = spec(index, kind)
    bad, clean = drawn(wanted), drawn(spec(index))
    (defect,) = bad.defects
    x, y, width, height = defect.box
    assert defect.kind == kind
    assert x >= 0
    assert y >= 0
    assert width > 0
    assert height > 0
    assert x + width <= wanted.width
    assert y + height <= wanted.height
    # Averaged over 3x3 pixels: the JPEG-free difference of two pictures with the same sensor noise.
    change = cv2.blur(np.abs(bad.pixels.astype(int) - clean.pixels).max(axis=2).astype(np.float32), (3, 3))
    inside = np.zeros(change.shape, bool)
    # The softened rim and the bright lip of a defect lie a few pixels outside of its core.
    inside[max(0, y - 6) : y + height + 6, max(0, x - 6) : x + width + 6] = True
    assert (change[inside] > 6).sum() >= 15
    if kind != "dimension":  # where one part of an outline grows, its neighbours move
        assert change[~inside].max() < 6


@settings(max_examples=12, deadline=None)
@given(index=st.integers(0, 10_000), kinds=st.sets(st.sampled_from(KINDS), max_size=3))
def test_the_part_lies_within_the_window_around_its_outline(index: int, kinds: set[str]) -> None:
    bad = render(spec(index, *sorted(kinds)))
    outline = part_outline(np.ascontiguousarray(bad.pixels[..., ::-1]))
    assert outline is not None
    x, y, width, height = outline
    assert width <= WINDOW[0]
    assert height <= WINDOW[1]
    left, top = x + width / 2 - WINDOW[0] / 2, y + height / 2 - WINDOW[1] / 2
    for defect in bad.defects:
        box = defect.box
        assert left <= box.x
        assert box.x + box.width <= left + WINDOW[0]
        assert top <= box.y
        assert box.y + box.height <= top + WINDOW[1]


def test_a_large_picture_has_the_layout_of_the_small_one() -> None:
    small = drawn(spec(3, "scratch"))
    large = render(spec(3, "scratch", width=4096, height=3072))
    assert large.pixels.shape == (3072, 4096, 3)
    shrunk = cv2.resize(large.pixels, (1024, 768), interpolation=cv2.INTER_AREA)
    outlines = [part_outline(np.ascontiguousarray(p[..., ::-1])) for p in (small.pixels, shrunk)]
    assert outlines[0] is not None
    assert outlines[1] is not None
    np.testing.assert_allclose(outlines[0], outlines[1], atol=12)


def test_difficulty_hides_a_defect() -> None:
    def contrast(difficulty: float) -> float:
        clean, bad = (render(spec(2, *kinds, difficulty=difficulty)) for kinds in ((), ("pit",)))
        return float(np.abs(bad.pixels.astype(int) - clean.pixels).sum())

    assert contrast(0.0) > contrast(0.5) > contrast(1.0) > 0


@pytest.mark.slow
def test_a_linear_model_on_small_pictures_learns_nothing() -> None:
    rng = np.random.default_rng(0)
    bad = rng.random(240) < 0.4
    specs = [spec(i, *([str(rng.choice(KINDS))] if bad[i] else [])) for i in range(240)]
    small = np.stack([cv2.resize(render(s).pixels, (32, 32), interpolation=cv2.INTER_AREA) for s in specs])
    inputs = small.mean(axis=3).reshape(240, -1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    model.fit(inputs[:160], bad[:160])
    assert model.score(inputs[160:], bad[160:]) < (~bad[160:]).mean() + 0.08
