"""Running an exported model, and refusing what is none."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from inspection.errors import BundleError, SettingsError
from inspection.runtime import BoundSession, OnnxModel, nodes_elsewhere
from tests.serving.examples import CELLS, SIZE, tiny_model


def test_a_batch_comes_back_in_order() -> None:
    images = np.zeros((3, 3, SIZE, SIZE), np.float32)
    images[1, 0, :8, 8:16] = 1  # pure red in the cell of row 0, column 1

    probabilities, maps = OnnxModel(tiny_model(), threads=1).run(images)

    assert probabilities.shape == (3, 5)
    assert maps.shape == (3, 5, CELLS, CELLS)
    assert probabilities.dtype == maps.dtype == np.float32
    # By hand: logit 20 - 10 = 10 where the cell is red, -10 elsewhere.
    expected = 1 / (1 + np.exp(-10))
    assert probabilities[1, 0] == pytest.approx(expected, abs=1e-6)
    assert maps[1, 0, 0, 1] == pytest.approx(expected, abs=1e-6)
    assert probabilities[[0, 2]].max() == pytest.approx(1 - expected, abs=1e-6)


def test_a_missing_provider_is_an_error_and_no_quiet_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(SettingsError, match="cuda"):
        OnnxModel(tiny_model(), provider="cuda")


def test_a_provider_that_does_not_start_is_an_error() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this build of ONNX Runtime knows no CUDA")
    if onnxruntime.get_device() == "GPU" and _gpu_is_here():
        pytest.skip("CUDA works here")
    with pytest.raises(SettingsError, match="cuda"):
        OnnxModel(tiny_model(), provider="cuda")


def _gpu_is_here() -> bool:
    session = onnxruntime.InferenceSession(tiny_model(), providers=["CUDAExecutionProvider"])
    return bool(session.get_providers()[0] == "CUDAExecutionProvider")


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(BundleError, match="refuses"):
        OnnxModel(b"no model")


def test_a_model_without_the_contracts_outputs_is_refused() -> None:
    import onnx

    model = onnx.load_from_string(tiny_model())
    del model.graph.output[1]
    with pytest.raises(BundleError, match="activation_maps"):
        OnnxModel(model.SerializeToString())


def test_warm_up_finds_a_model_of_other_classes_or_shape() -> None:
    model = OnnxModel(tiny_model(classes=4))
    model.warm_up(SIZE, SIZE, classes=4, batch_sizes=(1, 2))
    with pytest.raises(BundleError, match="5 classes"):
        model.warm_up(SIZE, SIZE, classes=5)
    with pytest.raises(BundleError, match="32x64"):
        model.warm_up(32, SIZE, classes=4)


def test_a_crowd_is_judged_as_one_alone_is() -> None:
    images = np.random.default_rng(0).random((1, 3, SIZE, SIZE), np.float32)
    model = OnnxModel(tiny_model(), threads=2, crowded_threads=1, batch_size=1)
    for alone, crowded in zip(model.run(images), model.run(images, crowded=True), strict=True):
        np.testing.assert_array_equal(alone, crowded)


@pytest.mark.parametrize(
    ("crowded_threads", "alone", "crowded"), [(None, "1", "1"), (1, "1", "0"), (2, "0", "0")]
)
def test_threads_spin_only_for_who_is_alone_and_within_the_call(
    crowded_threads: int | None, alone: str, crowded: str
) -> None:
    model = OnnxModel(tiny_model(), threads=2, crowded_threads=crowded_threads)
    for session, expected in ((model._session, alone), (model._crowded, crowded)):
        told = session.get_session_options().get_session_config_entry
        assert told("session.intra_op.allow_spinning") == expected
        assert told("session.force_spinning_stop") == "1"


def test_a_fixed_batch_takes_no_other() -> None:
    with pytest.raises(BundleError, match="does not run"):
        OnnxModel(tiny_model(), batch_size=1).warm_up(SIZE, SIZE, classes=5, batch_sizes=(2,))


def test_what_is_bound_to_a_device_gives_the_same() -> None:
    session = onnxruntime.InferenceSession(tiny_model(), providers=["CPUExecutionProvider"])
    bound = BoundSession(session, "cpu")
    for seed, batch in enumerate((1, 2, 1)):
        images = np.random.default_rng(seed).random((batch, 3, SIZE, SIZE), np.float32)
        for found, expected in zip(bound.run(images), OnnxModel(tiny_model()).run(images), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_nodes_that_another_provider_runs_are_named() -> None:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = onnxruntime.InferenceSession(tiny_model(), options, providers=["CPUExecutionProvider"])
    assert nodes_elsewhere(session, ["CPUExecutionProvider"]) == []
    found = nodes_elsewhere(session, ["CUDAExecutionProvider"])
    assert sorted(found) == ["AveragePool", "Conv", "ReduceMax", "Sigmoid"]
