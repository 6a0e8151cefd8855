"""Running an exported model: the one wrapper around ONNX Runtime.

Evaluation and serving both judge with this, so that what is measured is what is served.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from inspection.errors import BundleError, SettingsError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from inspection.imaging import Preprocessing

Provider = Literal["cpu", "cuda", "tensorrt"]

_CUDA = "CUDAExecutionProvider"
PROVIDERS: dict[Provider, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": (_CUDA,),
    "tensorrt": ("TensorrtExecutionProvider", _CUDA),  # which takes what TensorRT has no kernel for
}
INPUT, OUTPUTS = "image", ("probabilities", "activation_maps")
BATCH = "batch"
"""Name of the input's first dimension, where the export leaves it open."""
CLASSES = "classes"
"""Key of the model's own metadata: its classes in order, as JSON."""
PREPROCESSING = "preprocessing"
"""Likewise: what it was trained to be shown, a `Preprocessing` as JSON."""

Array = NDArray[np.float32]


class OnnxModel:
    """A model in ONNX Runtime; `run` may be called from several threads.

    On a processor one call alone is quickest with all cores, and several calls are quickest with a core
    each: for that there is a second session, which `run` takes when it is told of the crowd.
    """

    def __init__(
        self,
        model: bytes,
        provider: Provider = "cpu",
        threads: int = 0,
        *,
        crowded_threads: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Builds the sessions.

        Args:
            model: contents of ``model.onnx``.
            provider: where it runs. There is no quiet move from one to the other.
            threads: threads of one call; 0 leaves the number to ONNX Runtime (one per core).
            crowded_threads: threads of one call while others run beside it; None means the same
                session for both. On a GPU calls take turns, whatever this says.
            batch_size: the only one that will be asked for, so that every shape in the graph is known
                before the first call; None leaves it open.

        Raises:
            SettingsError: the provider was asked for and is not to be had on this machine, or does not
                run all of the model.
            BundleError: the bytes are no model, or not one with the contract's input and outputs.
        """
        _check_provider(provider)
        self.provider = provider
        # Threads of a call that has the processor to itself spin from operator to operator: a sixth quicker
        # than to wake them each time. Calls beside each other would take the cores from one another.
        spinning = provider == "cpu" and crowded_threads != threads
        self._session = _session(model, provider, threads, batch_size, spinning=spinning)
        self._check_signature()
        self._crowded = self._session
        self._bound: BoundSession | None = None
        if provider != "cpu":
            self._bound = BoundSession(self._session, "cuda")
        elif crowded_threads is not None and crowded_threads != threads:
            self._crowded = _session(model, provider, crowded_threads, batch_size)

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

    def check_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Refuses to show the model other pixels than it was trained on: nothing else would tell.

        A model file that tells none is taken, as with `check_classes`.

        Raises:
            BundleError: the model wants another size, crop or normalisation.
        """
        told = json.loads(self._session.get_modelmeta().custom_metadata_map.get(PREPROCESSING, "{}"))
        ours = preprocessing.model_dump(mode="json")
        # By what it tells: a field that came later has the value there that it had without being one.
        if differing := [
            f"{name} {value} (bundle: {ours.get(name)})"
            for name, value in told.items()
            if ours.get(name) != value
        ]:
            raise BundleError(
                f"the model file wants another preprocessing than the bundle: {', '.join(differing)}: "
                "pack the model again"
            )

    def run(self, images: Array, *, crowded: bool = False) -> tuple[Array, Array]:
        """Judges a batch.

        Args:
            images: float32, [N, 3, H, W], from `imaging.to_tensor`.
            crowded: other parts are in work at this time.

        Returns:
            Calibrated probabilities, float32 [N, C], and activation maps, float32 [N, C, h, w]; both
            lie in [0, 1] and have the classes of the bundle in order.
        """
        if self._bound is not None:
            probabilities, maps = self._bound.run(images)
        else:
            session = self._crowded if crowded else self._session
            probabilities, maps = session.run(OUTPUTS, {INPUT: images})
        return np.asarray(probabilities, np.float32), np.asarray(maps, np.float32)

    def warm_up(self, height: int, width: int, classes: int, batch_sizes: tuple[int, ...] = (1,)) -> None:
        """Runs each shape once: the first call of a shape allocates and, on a GPU, searches kernels.

        Raises:
            BundleError: the model does not take such images, or does not give so many classes.
        """
        for batch, crowded in product(batch_sizes, (False, True)):
            try:
                images = np.zeros((batch, 3, height, width), np.float32)
                probabilities, maps = self.run(images, crowded=crowded)
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


class BoundSession:
    """Calls of a session whose input lies on its device already; they take turns.

    Without it each call would allocate on the device, and ONNX Runtime would wait for a copy of its own.
    """

    def __init__(self, session: InferenceSession, device: str) -> None:
        self._session = session
        self._device = device
        self._turn = threading.Lock()
        self._inputs: dict[tuple[int, ...], Any] = {}

    def run(self, images: Array) -> tuple[Array, Array]:
        """Judges a batch, as `OnnxModel.run`."""
        import onnxruntime as ort

        with self._turn:
            if images.shape in self._inputs:
                self._inputs[images.shape].update_inplace(images)
            else:
                placed = ort.OrtValue.ortvalue_from_numpy(images, self._device, 0)
                self._inputs[images.shape] = placed
            binding = self._session.io_binding()
            binding.bind_ortvalue_input(INPUT, self._inputs[images.shape])
            for name in OUTPUTS:
                binding.bind_output(name, "cpu")
            self._session.run_with_iobinding(binding)
            probabilities, maps = binding.copy_outputs_to_cpu()
        return probabilities, maps


def _check_provider(provider: Provider) -> None:
    import onnxruntime as ort

    if provider != "cpu":
        ort.preload_dlls()  # CUDA and cuDNN may come from their pip packages
    if PROVIDERS[provider][0] not in ort.get_available_providers():
        raise SettingsError(
            f"ONNX Runtime has no {provider} here: install its build for {provider}, or use cpu"
        )


def _session(
    model: bytes, provider: Provider, threads: int, batch_size: int | None, *, spinning: bool = False
) -> InferenceSession:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    # And never past the end of the call: the next part's decoding wants the core.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.log_severity_level = 3
    if batch_size is not None:
        options.add_free_dimension_override_by_name(BATCH, batch_size)
    wanted = PROVIDERS[provider]
    try:
        session = ort.InferenceSession(model, options, providers=list(wanted))
    except Exception as error:  # its exception classes share no base of their own
        raise BundleError(f"ONNX Runtime refuses the model: {error}") from error
    if session.get_providers()[0] != wanted[0]:
        raise SettingsError(f"ONNX Runtime could not start {provider}: check the driver, or use cpu")
    if elsewhere := nodes_elsewhere(session, wanted):
        raise SettingsError(
            f"{provider} does not run all of the model: {', '.join(elsewhere)} would run elsewhere; "
            "export the model with operators that it has, or use cpu"
        )
    return session


def nodes_elsewhere(session: InferenceSession, providers: Sequence[str]) -> list[str]:
    """Returns name and operator of the nodes that none of the providers runs."""
    return [
        f"{node.name} ({node.op_type})" if node.name else node.op_type
        for subgraph in session.get_provider_graph_assignment_info()
        if subgraph.ep_name not in providers
        for node in subgraph.get_nodes()
    ]
