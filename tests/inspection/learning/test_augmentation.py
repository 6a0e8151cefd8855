"""Changes to training images: boxes go where the pixels go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2

from inspection.imaging import Preprocessing, to_tensor
from inspection.learning.augmentation import (
    Matrix,
    cropped,
    flipped,
    geometric,
    moved,
    normalised,
    photometric,
    seen,
    turned,
    visible_share,
    windowed,
)
from inspection.profiles import Augmentation

SIZE = (40, 60)  # rows and columns
NO_BOXES = np.zeros((0, 4), np.float32)
FRAME = Preprocessing(height=SIZE[0], width=SIZE[1])


class View(NamedTuple):
    """Pixels and boxes."""

    pixels: np.ndarray
    boxes: np.ndarray


def changed(view: View, change: Matrix, size: tuple[int, int] = SIZE) -> View:
    return View(seen(view.pixels, change, size), moved(view.boxes, change))


def drawn(before: View, augmentation: Augmentation) -> View:
    """Returns a view as a random change leaves it."""
    change = geometric(augmentation, SIZE)
    assert change is not None
    return changed(before, change.draw())


def cut(view: View, window: tuple[int, int]) -> View:
    """Returns a random piece of a view."""
    return changed(view, windowed(view.boxes, SIZE, window), window)


def view(left: int, top: int, right: int, bottom: int) -> View:
    """Returns a black picture with a white rectangle, and its box."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    return View(pixels, np.array([[left, top, right, bottom]], np.float32))


def picture() -> np.ndarray:
    """Returns hills of brightness, without edges."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    hills = [np.sin(rows / 6) + np.cos(columns / 9), np.cos((rows + columns) / 11), np.sin(columns / 7)]
    return np.stack([127 + 60 * hill for hill in hills], axis=2).astype(np.uint8)


def bright(pixels: np.ndarray) -> list[int]:
    """Returns left, top, right, bottom of what is bright."""
    rows, columns = np.nonzero(pixels[:, :, 0] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(brightness=0.5, noise=0.1)])
def test_without_geometric_changes_there_is_no_transform(augmentation: Augmentation) -> None:
    assert geometric(augmentation, SIZE) is None


@pytest.mark.parametrize("scale", [0.5, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_the_box_follows_its_rectangle(scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    before = view(22, 14, 41, 29)

    after = drawn(before, Augmentation(crop_scale=scale))

    assert after.pixels.shape == before.pixels.shape
    assert after.pixels.dtype == np.uint8
    inside = np.clip(after.boxes[0], 0, [60, 40, 60, 40])
    assert inside == pytest.approx(bright(after.pixels), abs=1)


def torchvisions(seen: View, change: Callable[[Any], Any]) -> View:
    """Does to pixels and boxes what torchvision's functions do."""
    image = tv_tensors.Image(torch.from_numpy(seen.pixels).permute(2, 0, 1))
    boxes = tv_tensors.BoundingBoxes(
        torch.from_numpy(seen.boxes), format="XYXY", canvas_size=SIZE, clamping_mode=None
    )
    return View(change(image).permute(1, 2, 0).numpy(), change(boxes).as_subclass(torch.Tensor).numpy())


@pytest.mark.parametrize("degrees", [-37.0, -8.0, 0.0, 3.5, 15.0, 90.0])
def test_a_frame_is_turned_as_torchvision_turns_it(degrees: float) -> None:
    smooth = View(picture(), view(22, 14, 41, 29).boxes)
    bilinear = v2.InterpolationMode.BILINEAR
    expected = torchvisions(smooth, lambda what: v2.functional.rotate(what, degrees, bilinear))

    found = changed(smooth, turned(degrees, SIZE))

    inner = (slice(4, -4), slice(4, -4))  # the edge to black is drawn another way
    difference = np.abs(found.pixels[inner].astype(int) - expected.pixels[inner])
    assert np.percentile(difference, 90) <= 1
    assert found.boxes == pytest.approx(expected.boxes, abs=1.01)  # torchvision's are of whole pixels


@pytest.mark.parametrize("cut", [(0, 0, 60, 40), (7, 5, 45, 30), (20, 10, 40, 30)])
def test_a_piece_is_enlarged_as_torchvision_enlarges_it(cut: tuple[int, int, int, int]) -> None:
    smooth, (left, top, width, height) = View(picture(), view(22, 14, 41, 29).boxes), cut
    expected = torchvisions(
        smooth, lambda what: v2.functional.resized_crop(what, top, left, height, width, SIZE)
    )

    found = changed(smooth, cropped(left, top, width, height, SIZE))

    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(found.pixels[inner].astype(int) - expected.pixels[inner]).max() <= 2
    assert found.boxes == pytest.approx(expected.boxes, abs=0.01)


def test_a_crop_of_a_turned_frame_is_one_after_the_other() -> None:
    before = View(picture(), view(22, 14, 41, 29).boxes)
    turn, piece = turned(10, SIZE), cropped(14, 10, 30, 20, SIZE)
    twice, once = changed(changed(before, turn), piece), changed(before, piece @ turn)
    assert np.abs(once.pixels.astype(int) - twice.pixels).max() <= 3
    # Two boxes around one another are at least as large.
    assert (once.boxes[0, :2] >= twice.boxes[0, :2] - 1e-3).all()
    assert (once.boxes[0, 2:] <= twice.boxes[0, 2:] + 1e-3).all()


def test_the_draws_are_torchvisions() -> None:
    change = geometric(Augmentation(rotation_degrees=15, crop_scale=0.8), SIZE)
    assert change is not None
    for seed in range(5):
        torch.manual_seed(seed)
        found = change.draw()
        torch.manual_seed(seed)
        angle = v2.RandomRotation(15).make_params([])["angle"]
        ratio = (3 / 4 * 60 / 40, 4 / 3 * 60 / 40)
        crop = v2.RandomResizedCrop(SIZE, (0.8, 1.0), ratio).make_params([torch.zeros(3, *SIZE)])
        cut = cropped(crop["left"], crop["top"], crop["width"], crop["height"], SIZE)
        assert found == pytest.approx(cut @ turned(angle, SIZE))


def test_both_flips_by_hand() -> None:
    after = changed(view(5, 10, 15, 30), flipped(True, True, SIZE))
    assert after.boxes.tolist() == [[45, 10, 55, 30]]  # 60 - 15, 40 - 30, 60 - 5, 40 - 10


@pytest.mark.parametrize("sideways", [True, False])
@pytest.mark.parametrize("upside_down", [True, False])
def test_a_flip_turns_pixels_and_box_and_changes_neither(sideways: bool, upside_down: bool) -> None:
    before = View(picture(), view(22, 11, 41, 29).boxes)
    expected = before.pixels[:: -1 if upside_down else 1, :: -1 if sideways else 1]
    change = flipped(sideways, upside_down, SIZE)
    assert np.array_equal(seen(before.pixels, change, SIZE), expected)
    after = changed(view(22, 11, 41, 29), change)
    assert after.boxes[0].tolist() == bright(after.pixels)


def test_each_flip_comes_about_as_often_as_asked_for() -> None:
    torch.manual_seed(0)
    change = geometric(Augmentation(flip=0.25), SIZE)
    assert change is not None
    found = np.array([moved(view(0, 0, 5, 5).boxes, change.draw())[0] for _ in range(400)])
    sideways, upside_down = (found[:, :2] > 0).sum(0)
    # 100 expected with a standard deviation of 8.7.
    assert 65 < sideways < 135
    assert 65 < upside_down < 135


def test_a_box_that_was_rotated_holds_its_rectangle() -> None:
    torch.manual_seed(0)
    for _ in range(10):
        after = drawn(view(22, 14, 41, 29), Augmentation(rotation_degrees=30))
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
    after = changed(view(left, top, left + width, top + height), turned(degrees, SIZE)).boxes[0]
    cosine, sine = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    assert after[2] - after[0] == pytest.approx(width * cosine + height * sine, abs=1e-3)
    assert after[3] - after[1] == pytest.approx(width * sine + height * cosine, abs=1e-3)


def test_a_box_that_was_cropped_away_lies_outside() -> None:
    cuts = [cropped(left, 0, 20, 40, (40, 20)) for left in range(0, 20, 2)]
    found = [changed(view(0, 0, 5, 5), cut, (40, 20)) for cut in cuts]
    shares = [float(visible_share(f.boxes, (40, 20))[0]) for f in found]
    assert shares == pytest.approx([1, 0.6, 0.2, 0, 0, 0, 0, 0, 0, 0])  # of five columns
    assert [share > 0 for share in shares] == [f.pixels.any() for f in found]


@pytest.mark.parametrize("size", [(40, 60), (40, 40), (30, 90), (90, 30)])
@pytest.mark.parametrize("scale", [0.5, 0.8])
def test_a_crop_keeps_its_share_of_a_frame_of_any_shape(size: tuple[int, int], scale: float) -> None:
    change = geometric(Augmentation(crop_scale=scale), size)
    assert change is not None
    whole = np.array([[0, 0, size[1], size[0]]], np.float32)
    torch.manual_seed(0)
    shares = []
    for _ in range(40):
        after = changed(View(np.zeros((*size, 3), np.uint8), whole), change.draw(), size)
        width, height = after.boxes[0, 2:] - after.boxes[0, :2]
        shares.append(size[0] * size[1] / (width * height))
    assert min(shares) >= scale * 0.95  # whole pixels
    assert max(shares) <= 1.0001
    assert max(shares) - min(shares) > 0.05  # and it is not always the same crop


def test_no_boxes_stay_no_boxes() -> None:
    everything = Augmentation(rotation_degrees=15, crop_scale=0.8, flip=0.5)
    plain = View(view(0, 0, 1, 1).pixels, NO_BOXES)
    assert drawn(plain, everything).boxes.shape == (0, 4)
    assert cut(plain, (10, 10)).boxes.shape == (0, 4)
    assert visible_share(NO_BOXES, SIZE).shape == (0,)


def test_the_original_is_left_alone() -> None:
    before = view(5, 10, 15, 30)
    pixels, boxes = before.pixels.copy(), before.boxes.copy()
    drawn(before, Augmentation(rotation_degrees=20, crop_scale=0.7, flip=1.0))
    cut(before, (10, 10))
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

    after = cut(View(pixels, box), window)

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
        after = cut(before, (16, 16))
        assert after.boxes[0].tolist() == bright(after.pixels)
        corners.add(tuple(after.boxes[0]))
    assert len(corners) > 5  # and the box is not always at the same place


def test_each_of_many_boxes_gets_its_turn() -> None:
    torch.manual_seed(0)
    boxes = np.array([[0, 0, 4, 4], [56, 36, 60, 40]], np.float32)
    seen = np.zeros(2)
    for _ in range(30):
        after = cut(View(np.zeros((*SIZE, 3), np.uint8), boxes), (8, 8))
        seen += visible_share(after.boxes, (8, 8)) == 1
    assert seen.sum() == 30
    assert seen.min() > 5


def test_without_boxes_the_window_may_lie_anywhere() -> None:
    torch.manual_seed(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.uint8)
    place = View(np.stack([rows, columns, rows], 2), NO_BOXES)
    corners = np.array([cut(place, (10, 10)).pixels[0, 0, :2] for _ in range(400)])
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
    found = photometric(torch.from_numpy(pixels), augmentation, FRAME)

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
    grey = torch.full((2, 200, 200, 3), 128, dtype=torch.uint8)
    found = photometric(grey, Augmentation(noise=0.02), FRAME) - normalised(grey, FRAME)
    deviations = found.std((0, 2, 3)) * torch.tensor(FRAME.std)
    assert deviations.tolist() == pytest.approx([0.02] * 3, rel=0.02)
    assert found.mean().abs() < 0.01


@pytest.mark.parametrize("images", [0, 1, 3])
def test_without_photometric_changes_images_are_those_of_to_tensor(images: int) -> None:
    settings = Preprocessing(height=4, width=5, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    pixels = np.random.default_rng(0).integers(0, 256, (images, 4, 5, 3), np.uint8)
    batch, expected = torch.from_numpy(pixels), torch.from_numpy(to_tensor(pixels, settings))
    assert torch.allclose(normalised(batch, settings), expected, atol=1e-6)
    assert torch.equal(photometric(batch, Augmentation(flip=1.0), settings), normalised(batch, settings))
    if images:
        assert normalised(batch, settings).is_contiguous(memory_format=torch.channels_last)
    everything = Augmentation(brightness=0.1, contrast=0.1, noise=0.1)
    assert photometric(batch, everything, settings).shape == (images, 3, 4, 5)
