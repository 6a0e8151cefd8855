"""Changes to training images: boxes go where the pixels go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from inspection.imaging import Preprocessing, to_tensor
from inspection.learning.augmentation import (
    View,
    changed,
    flipped,
    geometric,
    photometric,
    turning_room,
    visible_share,
    windowed,
)
from inspection.profiles import Augmentation

SIZE = (40, 60)
NO_BOXES = np.zeros((0, 4), np.float32)
FRAME = Preprocessing(height=SIZE[0], width=SIZE[1])


def view(left: int, top: int, right: int, bottom: int) -> View:
    """Returns a black picture with a white rectangle, and its box."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    return View(pixels, np.array([[left, top, right, bottom]], np.float32))


def bright(pixels: np.ndarray) -> list[int]:
    """Returns left, top, right, bottom of what is bright."""
    rows, columns = np.nonzero(pixels[:, :, 0] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("augmentation", [Augmentation(flip=0.5), Augmentation(brightness=0.5, noise=0.1)])
def test_without_geometric_changes_there_is_no_transform(augmentation: Augmentation) -> None:
    assert geometric(augmentation, SIZE) is None


@pytest.mark.parametrize(
    ("augmentation", "tolerance"),
    [
        (Augmentation(crop_scale=0.5), 1),
        (Augmentation(crop_scale=0.8), 1),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_the_box_follows_its_rectangle(augmentation: Augmentation, tolerance: float, seed: int) -> None:
    torch.manual_seed(seed)
    change = geometric(augmentation, SIZE)
    assert change is not None
    before = view(22, 14, 41, 29)

    after = changed(before, change)

    assert after.pixels.shape == before.pixels.shape
    assert after.pixels.dtype == np.uint8
    inside = np.clip(after.boxes[0], 0, [60, 40, 60, 40])
    assert inside == pytest.approx(bright(after.pixels), abs=tolerance + 1e-3)


def test_both_flips_by_hand() -> None:
    after = flipped(view(5, 10, 15, 30), 1.0)
    assert after.boxes.tolist() == [[45, 10, 55, 30]]  # 60 - 15, 40 - 30, 60 - 5, 40 - 10


@pytest.mark.parametrize("seed", range(8))
def test_the_box_follows_its_flipped_rectangle(seed: int) -> None:
    torch.manual_seed(seed)
    after = flipped(view(22, 11, 41, 29), 0.5)
    assert after.boxes[0].tolist() == bright(after.pixels)


def test_each_flip_comes_about_as_often_as_asked_for() -> None:
    torch.manual_seed(0)
    found = [tuple(flipped(view(0, 0, 5, 5), 0.25).boxes[0].tolist()) for _ in range(400)]
    sideways, upside_down = (sum(box[axis] > 0 for box in found) for axis in (0, 1))
    # 100 expected with a standard deviation of 8.7.
    assert 65 < sideways < 135
    assert 65 < upside_down < 135
    assert flipped(view(0, 0, 5, 5), 0.0).boxes.tolist() == [[0, 0, 5, 5]]


def test_a_box_that_was_rotated_holds_its_rectangle() -> None:
    torch.manual_seed(0)
    change = geometric(Augmentation(rotation_degrees=30), SIZE)
    assert change is not None
    for _ in range(10):
        after = changed(view(22, 14, 41, 29), change)
        left, top, right, bottom = bright(after.pixels)
        assert after.boxes[0, 0] <= left + 1
        assert after.boxes[0, 1] <= top + 1
        assert after.boxes[0, 2] >= right - 1
        assert after.boxes[0, 3] >= bottom - 1


@settings(max_examples=40, deadline=None)
@given(st.floats(-15, 15), st.integers(0, 50), st.integers(0, 30), st.integers(1, 20), st.integers(1, 15))
def test_a_rotated_box_is_the_smallest_around_its_rotated_rectangle(
    degrees: float, left: int, top: int, width: int, height: int
) -> None:
    turn = v2.RandomRotation((degrees, degrees))
    after = changed(view(left, top, left + width, top + height), turn).boxes[0]
    cosine, sine = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    wide, high = width * cosine + height * sine, width * sine + height * cosine
    # torchvision rounds the corners of a turned box to whole pixels.
    assert after[2] - after[0] == pytest.approx(wide, abs=1.01)
    assert after[3] - after[1] == pytest.approx(high, abs=1.01)


def test_a_box_that_was_cropped_away_lies_outside() -> None:
    cut = v2.RandomCrop((40, 20))
    torch.manual_seed(1)
    found = [changed(view(0, 0, 5, 5), cut) for _ in range(20)]
    shares = [float(visible_share(f.boxes, (40, 20))[0]) for f in found]
    shown = [f.pixels.any() for f in found]
    assert [share > 0 for share in shares] == shown
    assert 0 < sum(shown) < 20


@pytest.mark.parametrize("size", [(40, 60), (40, 40), (30, 90), (90, 30)])
@pytest.mark.parametrize("scale", [0.5, 0.8])
def test_a_crop_keeps_its_share_of_a_frame_of_any_shape(size: tuple[int, int], scale: float) -> None:
    change = geometric(Augmentation(crop_scale=scale), size)
    assert change is not None
    whole = np.array([[0, 0, size[1], size[0]]], np.float32)
    torch.manual_seed(0)
    shares = []
    for _ in range(40):
        after = changed(View(np.zeros((*size, 3), np.uint8), whole), change)
        width, height = after.boxes[0, 2:] - after.boxes[0, :2]
        shares.append(size[0] * size[1] / (width * height))
    assert min(shares) >= scale * 0.95  # whole pixels
    assert max(shares) <= 1.0001
    assert max(shares) - min(shares) > 0.05  # and it is not always the same crop


def test_no_boxes_stay_no_boxes() -> None:
    everything = Augmentation(rotation_degrees=15, crop_scale=0.8)
    plain = View(view(0, 0, 1, 1).pixels, NO_BOXES)
    after = changed(plain, geometric(everything, SIZE))
    assert after.boxes.shape == (0, 4)
    assert flipped(after, 1.0).boxes.shape == (0, 4)
    assert windowed(after, (10, 10)).boxes.shape == (0, 4)
    assert visible_share(NO_BOXES, SIZE).shape == (0,)


def test_the_original_is_left_alone() -> None:
    before = view(5, 10, 15, 30)
    pixels, boxes = before.pixels.copy(), before.boxes.copy()
    flipped(before, 1.0)
    for change in (Augmentation(rotation_degrees=20), Augmentation(crop_scale=0.7)):
        windowed(changed(before, geometric(change, SIZE)), (10, 10))
    windowed(before, (10, 10))
    assert np.array_equal(before.pixels, pixels)
    assert np.array_equal(before.boxes, boxes)


spans = st.tuples(st.integers(-70, 120), st.integers(1, 80))


@settings(max_examples=300, deadline=None)
@given(
    across=spans,
    down=spans,
    window=st.tuples(st.integers(1, 40), st.integers(1, 60)),
    seed=st.integers(0, 99),
)
def test_a_window_shows_as_much_of_its_box_as_fits(
    across: tuple[int, int], down: tuple[int, int], window: tuple[int, int], seed: int
) -> None:
    torch.manual_seed(seed)
    (left, width), (top, height) = across, down
    pixels = np.zeros((*SIZE, 3), np.uint8)
    box = np.array([[left, top, left + width, top + height]], np.float32)

    after = windowed(View(pixels, box), window)

    assert after.pixels.shape == (*window, 3)
    for axis, (begin, length) in enumerate([across, down]):
        # Of the box, what lies in the frame; of that, what a window can hold.
        in_frame = max(0, min(begin + length, SIZE[1 - axis]) - max(begin, 0))
        low, high = np.clip(after.boxes[0, [axis, axis + 2]], 0, window[1 - axis])
        assert high - low == min(in_frame, window[1 - axis])


def test_a_window_shows_the_pixels_that_its_boxes_speak_of() -> None:
    torch.manual_seed(0)
    before = view(22, 14, 30, 20)
    corners = set()
    for _ in range(20):
        after = windowed(before, (16, 16))
        assert after.boxes[0].tolist() == bright(after.pixels)
        corners.add(tuple(after.boxes[0]))
    assert len(corners) > 5  # and the box is not always at the same place


def test_each_of_many_boxes_gets_its_turn() -> None:
    torch.manual_seed(0)
    boxes = np.array([[0, 0, 4, 4], [56, 36, 60, 40]], np.float32)
    seen = np.zeros(2)
    for _ in range(30):
        after = windowed(View(np.zeros((*SIZE, 3), np.uint8), boxes), (8, 8))
        seen += visible_share(after.boxes, (8, 8)) == 1
    assert seen.sum() == 30
    assert seen.min() > 5


def test_without_boxes_the_window_may_lie_anywhere() -> None:
    torch.manual_seed(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.uint8)
    place = View(np.stack([rows, columns, rows], 2), NO_BOXES)
    corners = np.array([windowed(place, (10, 10)).pixels[0, 0, :2] for _ in range(400)])
    assert corners.min(0).tolist() == [0, 0]
    assert corners.max(0).tolist() == [30, 50]


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ([0, 0, 10, 10], 1.0),
        ([-5, 0, 5, 10], 0.5),
        ([-5, -5, 5, 5], 0.25),
        ([55, 35, 65, 45], 0.25),
        ([60, 0, 70, 10], 0.0),
        ([-20, -20, -10, -10], 0.0),
        ([5, 5, 5, 15], 0.0),  # no area
        ([0, 0, 60, 40], 1.0),
        ([-60, 0, 60, 40], 1.0),  # larger than the frame, which it fills
        ([-90, 0, 30, 40], 0.5),  # larger than the frame, of which it fills half
    ],
)
def test_the_visible_share_by_hand(box: list[float], share: float) -> None:
    assert visible_share(np.array([box], np.float32), SIZE).tolist() == pytest.approx([share])


def test_brightness_and_contrast_are_those_of_values_of_0_to_1() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, *SIZE, 3), np.uint8)
    augmentation = Augmentation(brightness=0.3, contrast=0.4)
    torch.manual_seed(5)
    found = photometric(torch.from_numpy(to_tensor(pixels, FRAME)), augmentation, FRAME)

    torch.manual_seed(5)
    brightness = 1 + (2 * torch.rand(4, 1, 1, 1) - 1) * 0.3
    contrast = 1 + (2 * torch.rand(4, 1, 1, 1) - 1) * 0.4
    values = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255 * brightness
    mean = values.mean((2, 3), keepdim=True)
    values = (values - mean) * contrast + mean
    norm = (torch.tensor(part).view(1, 3, 1, 1) for part in (FRAME.mean, FRAME.std))
    expected = (values - next(norm)) / next(norm)
    assert torch.allclose(found.double(), expected, atol=1e-4)
    assert not torch.allclose(found, torch.from_numpy(to_tensor(pixels, FRAME)), atol=0.1)


def test_noise_has_the_asked_deviation_on_values_of_0_to_1() -> None:
    torch.manual_seed(0)
    found = photometric(torch.zeros(2, 3, 200, 200), Augmentation(noise=0.02), FRAME)
    deviations = found.std((0, 2, 3)) * torch.tensor(FRAME.std)
    assert deviations.tolist() == pytest.approx([0.02] * 3, rel=0.02)
    assert found.mean().abs() < 0.01


@pytest.mark.parametrize("images", [0, 1, 3])
def test_without_photometric_changes_images_stay_as_they_are(images: int) -> None:
    batch = torch.rand(images, 3, 4, 5)
    assert torch.equal(photometric(batch, Augmentation(flip=1.0), FRAME), batch)
    shape = photometric(batch, Augmentation(brightness=0.1, contrast=0.1, noise=0.1), FRAME).shape
    assert shape == batch.shape


@pytest.mark.parametrize(
    ("degrees", "expected"),
    # 100 cos 30 + 200 sin 30 = 186.6 and 200 cos 30 + 100 sin 30 = 223.2; a frame has 150 rows.
    [(0, (100, 200)), (30, (187, 224)), (90, (200, 200))],
)
def test_a_turned_piece_covers_its_window(degrees: float, expected: tuple[int, int]) -> None:
    assert turning_room((100, 200), degrees, (1000, 1000)) == expected
    assert turning_room((100, 200), degrees, (150, 1000)) == (min(150, expected[0]), expected[1])


@pytest.mark.parametrize("seed", range(5))
def test_the_middle_of_a_turned_piece_has_no_empty_corner(seed: int) -> None:
    torch.manual_seed(seed)
    room = turning_room((40, 60), 20, (1000, 1000))
    white = View(np.full((*room, 3), 255, np.uint8), NO_BOXES)
    change = geometric(Augmentation(rotation_degrees=20), room)
    assert change is not None
    turned = changed(white, change).pixels
    top, left = (room[0] - 40) // 2 + 1, (room[1] - 60) // 2 + 1  # a pixel of rounding
    assert (turned[top : top + 38, left : left + 58] == 255).all()
