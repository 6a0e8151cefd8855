"""Which model the service judges with: follows the registry, and takes over only what passes its checks."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from inspection.bundle import Bundle, BundleManifest, load_bundle, load_bundle_folder
from inspection.errors import BundleError, InspectionError, OverloadError
from inspection.gauge.gauge import Gauge
from inspection.registry import ModelRegistry
from inspection.runtime import OnnxModel
from inspection.settings import Settings
from inspection.tuning import LanePlan
from serving import metrics

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
RETRY_SECONDS = 30.0  # a refused bundle may have been repaired, or its store been away
PACKAGED = Path(__file__).with_name("packaged")  # where a Bento carries its bundle


@dataclass(frozen=True)
class LiveModel:
    """A bundle in an inference session, warmed up."""

    id: str
    manifest: BundleManifest
    network: OnnxModel
    gauge: Gauge | None


@dataclass(frozen=True)
class Refusal:
    """A bundle that must not be served, and why."""

    id: str
    reason: str
    at: float


class ModelFollower(threading.Thread):
    """Keeps `current` and `auto_pass_paused` as the registry says.

    A new model is swapped in whole: a part is judged by the old one or the new one. When the new one is
    refused, or the object store is away, things stay as they are. The model that a rollback would bring
    back stays loaded, so that going back takes no loading.
    """

    def __init__(
        self, registry: ModelRegistry, settings: Settings, plan: LanePlan, packaged: Path = PACKAGED
    ) -> None:
        super().__init__(name="model-follower", daemon=True)
        self.registry = registry
        self.auto_pass_paused = False
        self.refusal: Refusal | None = None
        self._current: LiveModel | None = None
        self._earlier: LiveModel | None = None
        self._unfit: str | None = None
        self._settings = settings
        self._plan = plan
        self._packaged = packaged
        self._polling = threading.Lock()
        self._stopping = threading.Event()

    @property
    def ready(self) -> bool:
        """Tells whether there is a model to judge with."""
        return self._current is not None

    @property
    def current(self) -> LiveModel:
        """The model that judges.

        Raises:
            OverloadError: none has been loaded yet.
        """
        if self._current is None:
            if (refused := self.refusal) is not None:
                raise OverloadError(f"model {refused.id[:12]} cannot be used: {refused.reason}")
            raise OverloadError("no model is in production yet: approve one with `vqi approve MODEL`")
        return self._current

    def poll(self) -> None:
        """Looks once and does what there is to do; what goes wrong is logged, and the old state stays."""
        with self._polling:
            try:
                self.auto_pass_paused = self.registry.auto_pass_paused() is not None
                metrics.AUTO_PASS_PAUSED.set(self.auto_pass_paused)
                self._follow(self.registry.production())
            except InspectionError as error:
                log.error("cannot follow the model registry: %s", error)

    def run(self) -> None:
        """Polls until `stop`."""
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self.poll()
                self._stand_by()
            except Exception:
                # An object store has many ways to be away; this thread must outlive them all.
                log.exception("cannot follow the model registry; things stay as they are")

    def stop(self, timeout: float = 10) -> None:
        """Ends the thread."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout)

    def _follow(self, wanted: str | None) -> None:
        wanted = wanted or self._packaged_id()
        if wanted is None or (self._current is not None and self._current.id == wanted):
            metrics.MODEL_REFUSED.set(0)
            return
        refused = self.refusal
        if refused and refused.id == wanted and time.monotonic() - refused.at < RETRY_SECONDS:
            return
        before = self._current
        try:
            self._current = self._start(wanted)
        except BundleError as error:
            self.refusal = Refusal(wanted, str(error), time.monotonic())
            metrics.MODEL_REFUSED.set(1)
            serving = before.id[:12] if before else "no model"
            log.error("refused model %s, %s goes on serving: %s", wanted[:12], serving, error)
        else:
            self.refusal = None
            self._earlier = before
            metrics.MODEL_REFUSED.set(0)
            metrics.tell_model("production", wanted, before.id if before else None)
            log.info("model %s is in production", wanted[:12])

    def _stand_by(self) -> None:
        """Loads the model that a rollback would bring back, where it is not loaded: after a start."""
        with self._polling:
            wanted = self.registry.earlier()
            if self._current is None or wanted is None or wanted in (self._current.id, self._unfit):
                return
            if self._earlier is None or self._earlier.id != wanted:
                try:
                    self._earlier = self._start(wanted)
                except BundleError as error:
                    self._unfit = wanted
                    log.error("there is no way back to model %s: %s", wanted[:12], error)

    def _start(self, bundle_id: str) -> LiveModel:
        if self._earlier is not None and self._earlier.id == bundle_id:
            return self._earlier
        folder = self._packaged / bundle_id
        bundle = (
            load_bundle_folder(folder) if folder.is_dir() else load_bundle(self.registry.store, bundle_id)
        )
        return start_model(bundle, self._settings, self._plan)

    def _packaged_id(self) -> str | None:
        found = [folder.name for folder in self._packaged.iterdir()] if self._packaged.is_dir() else []
        return found[0] if found else None


def start_model(bundle: Bundle, settings: Settings, plan: LanePlan) -> LiveModel:
    """Builds the inference session of a checked bundle and warms it up.

    Raises:
        BundleError: ONNX Runtime refuses it, or its classes, preprocessing or outputs are not those of
            the manifest.
        SettingsError: the provider asked for is missing.
    """
    manifest = bundle.manifest
    network = OnnxModel(
        bundle.in_precision(settings.precision),
        settings.provider,
        plan.threads,
        crowded_threads=plan.crowded_threads if plan.lanes > 1 else None,
        batch_size=1,
    )
    network.check_classes(manifest.classes)
    network.check_preprocessing(manifest.preprocessing)
    network.warm_up(manifest.preprocessing.height, manifest.preprocessing.width, len(manifest.classes))
    return LiveModel(bundle.id, manifest, network, bundle.gauge)
