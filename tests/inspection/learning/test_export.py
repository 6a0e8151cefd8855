"""The ONNX file gives what torch gives, and the comparison sees when it does not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from inspection.errors import BundleError
from inspection.imaging import Pixels, to_tensor
from inspection.learning.calibration import Calibration
from inspection.learning.data import Example
from inspection.learning.export import TOLERANCE, CalibratedNet, compare, export_onnx, in_torch
from inspection.learning.model import DefectNet
from inspection.learning.results import Parity
from inspection.learning.training import Training
from inspection.profiles import ModelProfile
from inspection.runtime import OnnxModel
from tests.inspection.learning.toy import CLASSES, FRAME

CALIBRATION = Calibration((0.8, 1.3), (0.2, -0.4))
THRESHOLDS = [0.5, 0.5]


@pytest.fixture(scope="module")
def network(trained: Training) -> CalibratedNet:
    return CalibratedNet(trained.model, CALIBRATION).eval()


@pytest.fixture(scope="module")
def exported(network: CalibratedNet) -> OnnxModel:
    return OnnxModel(export_onnx(network, FRAME, CLASSES), threads=1)


@pytest.fixture
def frames(validation_examples: list[Example]) -> list[Pixels]:
    return [example.pixels() for example in validation_examples]


def test_the_network_calibrates_what_it_pools(network: CalibratedNet, trained: Training) -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 3, 64, 96)
    with torch.inference_mode():
        probabilities, maps = network(images)
        cells = trained.model(images)
    slopes, offsets = (torch.tensor(part) for part in CALIBRATION)
    assert torch.allclose(probabilities, torch.sigmoid(slopes * cells.logsumexp((2, 3)) + offsets))
    expected = torch.sigmoid(slopes.view(1, 2, 1, 1) * cells + offsets.view(1, 2, 1, 1))
    assert torch.allclose(maps, expected)
    assert maps.shape == (3, 2, 4, 6)


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_onnx_gives_what_torch_gives(network: CalibratedNet, exported: OnnxModel, batch: int) -> None:
    torch.manual_seed(batch)
    images = torch.randn(batch, 3, 64, 96)
    with torch.inference_mode():
        expected = [part.numpy() for part in network(images)]
    found = exported.run(images.numpy())
    for one, another in zip(found, expected, strict=True):
        assert one.shape == another.shape
        assert np.abs(one - another).max() < 1e-5


def test_the_file_tells_its_classes(exported: OnnxModel) -> None:
    exported.check_classes(CLASSES)
    for other in (CLASSES[::-1], CLASSES[:1], (*CLASSES, "CRACK")):
        with pytest.raises(BundleError, match=f"tells the classes {', '.join(CLASSES)}, the bundle"):
            exported.check_classes(other)


def test_the_file_tells_its_preprocessing(exported: OnnxModel) -> None:
    exported.check_preprocessing(FRAME)
    for name, other in (("width", 32), ("crop", "part"), ("std", (1.0, 1.0, 1.0))):
        with pytest.raises(BundleError, match=f"another preprocessing than the bundle: {name}"):
            exported.check_preprocessing(FRAME.model_copy(update={name: other}))


def test_another_architecture_is_exported_too() -> None:
    torch.manual_seed(0)
    other = DefectNet(ModelProfile(architecture="resnet10t"), classes=2)
    network = CalibratedNet(other, CALIBRATION).eval()
    images = torch.randn(3, 3, 64, 96)
    with torch.inference_mode():
        expected = network(images)[0].numpy()
    found = OnnxModel(export_onnx(network, FRAME, CLASSES), threads=1).run(images.numpy())[0]
    assert np.abs(found - expected).max() < 1e-5


def test_the_same_model_passes(network: CalibratedNet, exported: OnnxModel, frames: list[Pixels]) -> None:
    parity = compare(in_torch(network), exported.run, iter(frames), FRAME, THRESHOLDS)
    assert parity.passed
    assert (parity.images, parity.flips, parity.tolerance) == (32, 0, TOLERANCE)
    assert 0 < parity.max_difference < 1e-5


def test_another_model_does_not_pass_and_its_flips_are_counted(
    network: CalibratedNet, exported: OnnxModel, frames: list[Pixels]
) -> None:
    lax = CalibratedNet(network.model, Calibration(CALIBRATION.slopes, (9.0, -9.0))).eval()
    limits = np.array(THRESHOLDS)
    tensors = to_tensor(np.stack(frames), FRAME)
    with torch.inference_mode():
        ours = lax(torch.from_numpy(tensors))[0].numpy()
    theirs = exported.run(tensors)[0]
    flips = int(((ours >= limits).any(1) != (theirs >= limits).any(1)).sum())

    parity = compare(in_torch(lax), exported.run, iter(frames), FRAME, THRESHOLDS)

    assert 0 < flips < 32
    assert parity.flips == flips
    assert parity.max_difference == pytest.approx(np.abs(ours - theirs).max(), abs=1e-5)
    assert not parity.passed


class OtherMaps(CalibratedNet):
    """Right probabilities, wrong places."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        probabilities, maps = super().forward(image)
        return probabilities, maps.flip(3)


def test_maps_that_differ_do_not_pass(
    network: CalibratedNet, exported: OnnxModel, frames: list[Pixels]
) -> None:
    other = OtherMaps(network.model, CALIBRATION).eval()
    parity = compare(in_torch(other), exported.run, iter(frames), FRAME, THRESHOLDS)
    assert parity.max_difference < 1e-5
    assert parity.max_cell_difference > 0.1
    assert not parity.passed


class NoNumbers(CalibratedNet):
    """Probabilities that are none."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        probabilities, maps = super().forward(image)
        return probabilities * torch.nan, maps


def test_numbers_that_are_none_do_not_pass(
    network: CalibratedNet, exported: OnnxModel, frames: list[Pixels]
) -> None:
    # Clean parts: each verdict is PASS, with and without numbers.
    broken = NoNumbers(network.model, CALIBRATION).eval()
    parity = compare(in_torch(broken), exported.run, iter(frames[::4]), FRAME, THRESHOLDS)
    assert (parity.flips, parity.max_difference) == (0, 1.0)
    assert not parity.passed


def test_nothing_compared_is_nothing_passed(network: CalibratedNet, exported: OnnxModel) -> None:
    nothing: Iterator[Pixels] = iter(())
    parity = compare(in_torch(network), exported.run, nothing, FRAME, THRESHOLDS)
    assert parity == Parity(
        images=0, max_difference=0.0, max_cell_difference=0.0, flips=0, tolerance=TOLERANCE
    )
    assert not parity.passed
