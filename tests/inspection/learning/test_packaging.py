"""The bundle of a judged model: complete, loadable, and with a card that tells what was measured."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from inspection.artifacts import get_record, put_file, put_record
from inspection.bundle import Bundle, load_bundle, read_manifest
from inspection.errors import BundleError, StoreError
from inspection.gate import GateResult
from inspection.learning.packaging import make_bundle
from inspection.learning.results import EvaluationReport, Variant, VariantsResult
from inspection.runtime import OnnxModel
from inspection.store import LocalStore
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.judged import WEIGHTS, parity, put_report
from tests.serving.examples import tiny_model


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def test_the_bundle_holds_the_files_whose_hashes_it_tells(store: LocalStore) -> None:
    bundle, _ = make_bundle(store, put_report(store), ONTOLOGY)

    folder = f"models/{bundle}/"
    names = {"model.onnx", "weights.safetensors", "model_card.md"}
    assert set(store.list(folder)) == {folder + name for name in (*names, "bundle.json")}
    assert hashlib.sha256(store.get(folder + "bundle.json")).hexdigest() == bundle
    told = read_manifest(store, bundle).sha256
    assert told == {name: hashlib.sha256(store.get(folder + name)).hexdigest() for name in names}
    assert store.get(folder + "weights.safetensors") == WEIGHTS

    loaded = load_bundle(store, bundle)
    assert loaded.model == tiny_model(classes=2)
    assert OnnxModel(loaded.model, threads=1)
    store.put(folder + "weights.safetensors", b"others")
    with pytest.raises(BundleError, match=r"weights\.safetensors is not the file"):
        load_bundle(store, bundle)


def test_the_bundle_tells_what_it_was_made_from(store: LocalStore) -> None:
    report = put_report(store, seed=11)
    bundle, gate = make_bundle(store, report, ONTOLOGY)
    manifest = load_bundle(store, bundle).manifest
    assert manifest.classes == ("DENT", "RUST")
    assert manifest.thresholds == {"DENT": 0.4, "RUST": 0.2}
    assert manifest.temperature == {"DENT": 1.5, "RUST": 0.5}
    assert manifest.offset == {"DENT": 0.25, "RUST": -0.25}
    assert manifest.metrics == get_record(store, EvaluationReport, report).metrics.model_dump(mode="json")
    assert manifest.gate == gate.model_dump(mode="json")
    assert (manifest.profile, manifest.architecture, manifest.seed) == ("toy", "inspection_small", 11)
    assert (manifest.data_fingerprint, manifest.split_release) == ("f" * 64, "release-1")
    assert (manifest.code_revision, manifest.packages) == ("abc123", {"torch": "2"})
    assert manifest.ontology == ONTOLOGY


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [({}, "passed"), ({"recall": (92, 100)}, "failed"), ({"rust": (4, 4)}, "insufficient_evidence")],
)
def test_the_card_holds_the_verdict_and_the_metrics(
    store: LocalStore, counts: dict[str, tuple[int, int]], verdict: str
) -> None:
    bundle, gate = make_bundle(store, put_report(store, **counts), ONTOLOGY)
    assert gate.verdict == verdict
    card = store.get(f"models/{bundle}/model_card.md").decode()
    assert f"Gate: **{verdict}**." in card
    for reason in gate.reasons:
        assert f"- {reason}\n" in card
    metrics = read_manifest(store, bundle).metrics
    for name in ("precision", "recall", "false_reject_rate"):
        rate = metrics[name]
        row = f"| {name.replace('_', ' ')} | {rate['value']:.4f} | {rate['low']:.4f} to {rate['high']:.4f} |"
        assert f"{row} {rate['successes']}/{rate['total']} |" in card
    assert "| accuracy | not applicable | | 0 |" in card
    assert "| precision of DENT, threshold 0.500 |" in card
    assert "400 training and 90 validation images" in card
    assert "split release release-1, data fingerprint " + "f" * 64 in card


def test_the_same_model_is_the_same_bundle(store: LocalStore) -> None:
    first, _ = make_bundle(store, put_report(store), ONTOLOGY)
    assert make_bundle(store, put_report(store), ONTOLOGY)[0] == first
    assert make_bundle(store, put_report(store, seed=8), ONTOLOGY)[0] != first


def test_only_what_passed_is_offered(store: LocalStore) -> None:
    report = put_report(store)
    passed, failed = (GateResult(verdict=verdict, reasons=("a reason",)) for verdict in ("passed", "failed"))
    half, integers, other = (put_file(store, "onnx", ".onnx", data) for data in (b"half", b"int8", b"third"))

    def pack(*variants: Variant) -> Bundle:
        result = put_record(store, VariantsResult(report=report, variants=variants))
        return load_bundle(store, make_bundle(store, report, ONTOLOGY, result)[0])

    good = Variant(precision="fp16", model=half, parity=parity(), gate=passed)
    turned = Variant(precision="int8", model=integers, parity=parity(flips=3), gate=passed)
    closed = Variant(precision="int8", model=other, parity=parity(), gate=failed)

    bundle = pack(good, turned)
    assert (bundle.in_precision("fp32"), bundle.in_precision("fp16")) == (bundle.model, b"half")
    reason = "3 of 18 verdicts differ from the model's"
    with pytest.raises(BundleError, match=f"offers no int8: {reason}.*VQI_PRECISION=fp32"):
        bundle.in_precision("int8")
    card = store.get(f"models/{bundle.id}/model_card.md").decode()
    assert "In fp16: offered; 0 of 18" in card
    assert f"In int8: not offered; {reason}" in card
    with pytest.raises(BundleError, match=r"offers no int8: .*the gate says failed"):
        pack(good, closed).in_precision("int8")
    with pytest.raises(BundleError, match="offers no fp16: it was packed without one"):
        pack().in_precision("fp16")


def test_variants_of_another_model_are_refused(store: LocalStore) -> None:
    others = put_record(store, VariantsResult(report="0" * 64, variants=()))
    with pytest.raises(BundleError, match="variants are of another report"):
        make_bundle(store, put_report(store), ONTOLOGY, others)


def test_what_is_missing_or_does_not_fit_is_refused(store: LocalStore) -> None:
    report = put_report(store)
    with pytest.raises(StoreError):
        make_bundle(store, "0" * 64, ONTOLOGY)
    fine, dent, rust = ONTOLOGY.classes
    turned = ONTOLOGY.model_copy(update={"classes": (fine, rust, dent)})
    with pytest.raises(BundleError, match=r"tells DENT, RUST.*has RUST, DENT"):
        make_bundle(store, report, turned)
