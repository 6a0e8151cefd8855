"""A model bundle: everything that a verdict depends on, under the name of its own hash.

    models/<id>/model.onnx            input `image`, outputs `probabilities` and `activation_maps`
    models/<id>/model.fp16.onnx       the same in another precision, where that is offered; also int8
    models/<id>/weights.safetensors
    models/<id>/model_card.md
    models/<id>/gauge.json            only with a dimension gauge
    models/<id>/bundle.json           written last; holds the hash of each other file

``<id>`` is the SHA-256 of ``bundle.json``: nothing in a bundle can change without its name changing.
Promotion is not part of a bundle (see `inspection.registry`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inspection.errors import BundleError, StoreError
from inspection.gauge.gauge import Gauge
from inspection.imaging import Preprocessing
from inspection.ontology import Ontology
from inspection.store import LocalStore, ObjectStore

PREFIX = "models"
MANIFEST = "bundle.json"
MODEL, WEIGHTS, CARD = "model.onnx", "weights.safetensors", "model_card.md"
GAUGE = "gauge.json"
BOX_THRESHOLD = 0.5

Precision = Literal["fp16", "int8"]


def variant_file(precision: Precision) -> str:
    """Returns the name of the model in another precision."""
    return f"model.{precision}.onnx"


class Variant(BaseModel):
    """What is known of the model in another precision; its file is in the bundle only if it is offered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offered: bool
    reason: str


class BundleManifest(BaseModel):
    """What `bundle.json` says.

    Attributes:
        classes: model outputs in order; the ontology's defect classes in the ontology's order.
        thresholds: probability from which a class is reported, by class.
        temperature: slope of the calibration by class: probability = sigmoid(slope * logit + offset).
            It stands inside the ONNX graph already; it is told here for the record.
        offset: offset of the calibration by class.
        box_threshold: share of the peak from which a cell of an activation map belongs to the box.
        metrics: test metrics with bounds, from the exported ONNX on original bytes.
        gate: verdict of the deployment gate with its reasons.
        variants: the model in other precisions, by name.
        sha256: of each other file, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    classes: tuple[str, ...]
    thresholds: dict[str, float]
    temperature: dict[str, float]
    offset: dict[str, float]
    box_threshold: float = Field(default=BOX_THRESHOLD, gt=0, le=1)
    preprocessing: Preprocessing
    metrics: dict[str, Any]
    gate: dict[str, Any]
    variants: dict[Precision, Variant] = Field(default_factory=dict)
    profile: str
    architecture: str
    data_fingerprint: str
    split_release: str
    code_revision: str
    seed: int
    ontology: Ontology
    packages: dict[str, str]
    created_at: datetime
    sha256: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.classes != self.ontology.defect_ids:
            raise ValueError(
                f"classes {list(self.classes)} are not the ontology's {list(self.ontology.defect_ids)}"
            )
        for name in ("thresholds", "temperature", "offset"):
            if set(getattr(self, name)) != set(self.classes):
                raise ValueError(f"{name} must name each class exactly once")
        if not all(0 < threshold <= 1 for threshold in self.thresholds.values()):
            raise ValueError("a threshold lies above 0 and at most at 1")
        return self


@dataclass(frozen=True)
class Bundle:
    """A bundle that passed its checks; `gauge` is None for one without a dimension gauge."""

    id: str
    manifest: BundleManifest
    model: bytes
    variants: Mapping[Precision, bytes] = field(default_factory=dict)
    gauge: Gauge | None = None

    def in_precision(self, precision: Literal["fp32"] | Precision) -> bytes:
        """Returns the ONNX file in a precision.

        Raises:
            BundleError: the bundle does not offer it.
        """
        if precision == "fp32":
            return self.model
        if precision not in self.variants:
            told = self.manifest.variants.get(precision)
            reason = told.reason if told else "it was packed without one"
            raise BundleError(
                f"bundle {self.id[:12]} offers no {precision}: {reason}; set VQI_PRECISION=fp32"
            )
        return self.variants[precision]


def write_bundle(store: ObjectStore, manifest: BundleManifest, files: dict[str, bytes]) -> str:
    """Stores a bundle and returns its id.

    Args:
        store: where it goes, below ``models/``.
        manifest: without `sha256`, which is filled in here.
        files: contents by name; `MODEL`, `WEIGHTS` and `CARD` are required.

    Raises:
        BundleError: a required file is missing.
    """
    missing = {MODEL, WEIGHTS, CARD} - set(files)
    if missing:
        raise BundleError(f"a bundle needs {sorted(missing)} as well")
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    text = manifest.model_copy(update={"sha256": hashes}).model_dump_json(indent=2).encode()
    bundle_id = hashlib.sha256(text).hexdigest()
    for name, data in files.items():
        store.put(f"{PREFIX}/{bundle_id}/{name}", data)
    store.put(f"{PREFIX}/{bundle_id}/{MANIFEST}", text)
    return bundle_id


def load_bundle(store: ObjectStore, bundle_id: str) -> Bundle:
    """Reads a bundle and refuses it unless everything fits.

    Raises:
        BundleError: not complete, not the bytes that its name and hashes promise, or a model or gauge
            whose classes are not the manifest's.
    """
    return _checked(store, f"{PREFIX}/{bundle_id}/", bundle_id)


def load_bundle_folder(folder: Path) -> Bundle:
    """Reads a bundle from a plain folder named by its id, as `load_bundle` does."""
    return _checked(LocalStore(folder), "", folder.resolve().name)


def list_bundles(store: ObjectStore) -> list[str]:
    """Returns the ids of all complete bundles, sorted."""
    return [key.split("/")[1] for key in store.list(f"{PREFIX}/") if key.endswith(f"/{MANIFEST}")]


def read_manifest(store: ObjectStore, bundle_id: str) -> BundleManifest:
    """Reads and checks `bundle.json` alone; raises BundleError."""
    return _manifest(store, f"{PREFIX}/{bundle_id}/", bundle_id)


def _manifest(store: ObjectStore, prefix: str, bundle_id: str) -> BundleManifest:
    try:
        text = store.get(prefix + MANIFEST)
    except StoreError as error:
        raise BundleError(f"there is no complete bundle {bundle_id[:12]} in {store.url}") from error
    if hashlib.sha256(text).hexdigest() != bundle_id:
        raise BundleError(f"bundle {bundle_id[:12]}: bundle.json is not what its name promises")
    try:
        return BundleManifest.model_validate(json.loads(text))
    except (json.JSONDecodeError, ValidationError) as error:
        raise BundleError(f"bundle {bundle_id[:12]}: bundle.json does not fit: {error}") from error


def _checked(store: ObjectStore, prefix: str, bundle_id: str) -> Bundle:
    manifest = _manifest(store, prefix, bundle_id)
    contents: dict[str, bytes] = {}
    for name, expected in manifest.sha256.items():
        try:
            contents[name] = store.get(prefix + name)
        except StoreError as error:
            raise BundleError(f"bundle {bundle_id[:12]}: {name} is missing") from error
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise BundleError(f"bundle {bundle_id[:12]}: {name} is not the file that bundle.json tells")
    if MODEL not in contents:
        raise BundleError(f"bundle {bundle_id[:12]}: {MODEL} is missing")
    variants = {p: contents[variant_file(p)] for p in manifest.variants if variant_file(p) in contents}
    gauge = _gauge(contents[GAUGE], manifest, bundle_id) if GAUGE in contents else None
    return Bundle(bundle_id, manifest, contents[MODEL], variants, gauge)


def _gauge(text: bytes, manifest: BundleManifest, bundle_id: str) -> Gauge:
    try:
        gauge = Gauge.model_validate_json(text)
    except ValidationError as error:
        raise BundleError(f"bundle {bundle_id[:12]}: {GAUGE} does not fit: {error}") from error
    if strange := set(gauge.fit.classes) - set(manifest.classes):
        raise BundleError(f"bundle {bundle_id[:12]}: {GAUGE} judges {sorted(strange)}, the model does not")
    return gauge
