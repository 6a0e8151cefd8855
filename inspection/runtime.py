"""Running an exported model: the one wrapper around ONNX Runtime.

Evaluation and serving both judge with this, so that what is measured is what is served.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inspection.errors import BundleError, SettingsError

Provider = Literal["cpu", "cuda"]

PROVIDERS: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
INPUT, OUTPUTS = "image", ("probabilities", "activation_maps")
CLASSES = "classes"
"""Key of the model's own metadata: its classes in order, as JSON."""

Array = NDArray[np.float32]


class OnnxModel:
    """A model in an ONNX Runtime session; `run` may be called from several threads."""

    def __init__(self, model: bytes, provider: Provider = "cpu", threads: int = 0) -> None:
        """Builds the session.

        Args:
            model: contents of ``model.onnx``.
            provider: where it runs. There is no quiet move from one to the other.
            threads: threads of one call; 0 leaves the number to ONNX Runtime (one per core).

        Raises:
            SettingsError: the provider was asked for and is not to be had on this machine.
            BundleError: the bytes are no model, or not one with the contract's input and outputs.
        """
        import onnxruntime as ort

        if provider == "cuda":
            ort.preload_dlls()  # CUDA and cuDNN may come from their pip packages
        if PROVIDERS[provider] not in ort.get_available_providers():
            raise SettingsError(
                f"ONNX Runtime has no {provider} here: install its build for {provider}, or use cpu"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin while they wait take the cores from decoding and from other requests.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(model, options, providers=[PROVIDERS[provider]])
        except Exception as error:  # its exception classes share no base of their own
            raise BundleError(f"ONNX Runtime refuses the model: {error}") from error
        if self._session.get_providers()[0] != PROVIDERS[provider]:
            raise SettingsError(f"ONNX Runtime could not start {provider}: check the driver, or use cpu")
        self.provider = provider
        self._check_signature()

    def check_classes(self, classes: Sequence[str]) -> None:
        """Refuses to take one class's number for another's: the model file tells its classes itself.

        A model that was not exported by this pipeline may tell none; its bundle's hash stands for it then.

        Raises:
            BundleError: the model has other classes, or has them in another order.
        """
        told = self._session.get_modelmeta().custom_metadata_map.get(CLASSES)
        if told is not None and json.loads(told) != list(classes):
            raise BundleError(
                f"the model file tells the classes {', '.join(json.loads(told))}, the bundle "
                f"{', '.join(classes)}: pack the model again"
            )

    def run(self, images: Array) -> tuple[Array, Array]:
        """Judges a batch.

        Args:
            images: float32, [N, 3, H, W], from `imaging.to_tensor`.

        Returns:
            Calibrated probabilities, float32 [N, C], and activation maps, float32 [N, C, h, w]; both
            lie in [0, 1] and have the classes of the bundle in order.
        """
        probabilities, maps = self._session.run(OUTPUTS, {INPUT: images})
        return np.asarray(probabilities, np.float32), np.asarray(maps, np.float32)

    def warm_up(self, height: int, width: int, classes: int, batch_sizes: tuple[int, ...] = (1,)) -> None:
        """Runs each shape once: the first call of a shape allocates and, on a GPU, searches kernels.

        Raises:
            BundleError: the model does not take such images, or does not give so many classes.
        """
        for batch in batch_sizes:
            try:
                probabilities, maps = self.run(np.zeros((batch, 3, height, width), np.float32))
            except Exception as error:  # ONNX Runtime's exception classes share no base of their own
                raise BundleError(f"the model does not run on {height}x{width} images: {error}") from error
            if probabilities.shape != (batch, classes) or maps.shape[:2] != (batch, classes):
                raise BundleError(
                    f"the model gives {probabilities.shape[1:]} probabilities and {maps.shape[1:]} maps "
                    f"for {classes} classes"
                )

    def _check_signature(self) -> None:
        inputs = [node.name for node in self._session.get_inputs()]
        outputs = {node.name for node in self._session.get_outputs()}
        if inputs != [INPUT] or not set(OUTPUTS) <= outputs:
            raise BundleError(
                f"the model has input {inputs} and outputs {sorted(outputs)}; "
                f"it must have input {INPUT!r} and outputs {list(OUTPUTS)}"
            )
