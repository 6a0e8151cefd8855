"""The page of a real small evaluation: it stands alone, tells what the records hold and what is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score, roc_auc_score

from inspection.artifacts import get_file, get_record
from inspection.cache import build_cache
from inspection.comparison import compare_verdicts
from inspection.dataset import TrainingData
from inspection.errors import InsufficientDataError, StoreError
from inspection.gate import GateResult, Verdict, judge_model
from inspection.label_noise import InspectorRates
from inspection.learning.baselines import BaselineResult
from inspection.learning.controls import train_linear_control
from inspection.learning.packaging import make_bundle
from inspection.learning.pipeline import evaluate_model, export_model, train_model
from inspection.learning.report.beside import Beside
from inspection.learning.report.details import EvaluationDetails, RivalResult
from inspection.learning.report.of_bundle import list_reports, page_of, report_of
from inspection.learning.report.page import (
    PageFacts,
    bar,
    bounds,
    chance,
    number,
    rate,
    render_page,
    share,
)
from inspection.learning.results import EvaluationReport, ExportResult, TrainingResult
from inspection.metrics import Rate
from inspection.predictions import read_predictions
from inspection.rival import Rival
from inspection.store import LocalStore
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.toy import FRAME, plant, profile

PROFILE = profile(training={"epochs": 2}, gate={"safety_critical_positives": 5, "hold_bound": False})


class Page(HTMLParser):
    """Collects the text, what is loaded, and tags that are left open."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.sources: list[str] = []
        self.stack: list[str] = []
        self.broken: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.broken.append(tag)

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] not in (["style"], ["title"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@dataclass(frozen=True)
class Run:
    """A model in production, and a second one that was compared with it and with a baseline."""

    store: LocalStore
    root: Path
    data: TrainingData
    export: str
    first: str
    second: str
    bundle: str
    baseline: str

    def report(self, record: str) -> EvaluationReport:
        return get_record(self.store, EvaluationReport, record)

    def details(self, record: str) -> EvaluationDetails:
        return get_record(self.store, EvaluationDetails, self.report(record).details)

    def page(self, record: str) -> Page:
        return Page(page_of(self.store, record).decode())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Run:
    folder = tmp_path_factory.mktemp("plant")
    root, store = folder / "images", LocalStore(folder / "store")
    data = plant(root, {"train": 45, "validation": 15, "test": 30})
    named = [
        replace(
            s,
            production_order_id=f"o-{s.image_id}",
            plant_id="north",
            label_source="consensus" if n % 4 else ("code" if s.labels else "inspector"),
        )
        for n, s in enumerate(data.samples)
    ]
    data = replace(data, samples=tuple(named))
    build_cache(store, data.samples, FRAME, root)
    training = train_model(store, data, ONTOLOGY, PROFILE)
    export = export_model(store, training, data, ONTOLOGY, root)
    first = evaluate_model(store, export, data, ONTOLOGY, root)
    bundle, _ = make_bundle(store, first, ONTOLOGY)
    baseline = train_linear_control(store, data, ONTOLOGY, PROFILE)
    beside = Beside(
        (baseline,),
        Rival(bundle, frozenset({"o-test-000", "o-test-001"}), None),
        InspectorRates(miss_rate=0.145, over_reject_rate=0.02, defective=200, clean=300),
    )
    second = evaluate_model(store, export, data, ONTOLOGY, root, beside)
    return Run(store, root, data, export, first, second, bundle, baseline)


def test_the_page_stands_alone_and_is_sound(run: Run) -> None:
    for record in (run.first, run.second):
        page = run.page(record)
        assert (page.broken, page.stack) == ([], [])
        assert page.sources
        assert all(source.startswith("data:image/") for source in page.sources)
        html = page_of(run.store, record).decode()
        assert "<script" not in html
        assert not re.search(r"https?://|url\(|@import", html)
        assert len(html) < 4_000_000


def test_the_verdict_stands_at_the_top_with_its_counts(run: Run) -> None:
    text, report = run.page(run.second).text, run.report(run.second)
    found = report.metrics
    assert text.index("Not passed") < text.index("In short")
    for counted in (found.precision, found.recall, found.false_reject_rate, found.per_class["RUST"].recall):
        assert f"({counted.successes}/{counted.total}" in text[: text.index("In short")]


def test_each_rate_of_record_is_told_with_bounds_and_counts(run: Run) -> None:
    text, found = run.page(run.second).text, run.report(run.second).metrics
    told = [found.accuracy, found.precision, found.recall, found.escape_rate, found.false_reject_rate]
    told += [found.to_people, found.automatic_error]
    told += [rate for one in found.per_class.values() for rate in (one.precision, one.recall)]
    for one in told:
        assert counts_of(one) in text
        if one.value is not None:
            assert share(one.value) in text
            assert bounds(one) in text
    for label in ("Dent", "Rust"):
        assert label in text
    assert "Rust is safety-critical" in text


def counts_of(found: Rate) -> str:
    return f"{found.successes} of {found.total}"


def test_what_it_was_compared_with_is_told(run: Run) -> None:
    text, details = run.page(run.second).text, run.details(run.second)
    verdicts = details.rival.verdicts
    assert verdicts is not None
    # The same model twice, on the parts that it is said not to have learnt.
    assert (verdicts.parts, verdicts.first_only, verdicts.second_only, verdicts.mid_p) == (28, 0, 0, 1)
    assert "Both models judged the same 28 parts" in text
    assert "Their verdicts are never different in that." in text
    (baseline,) = details.baselines
    assert baseline.macro_auroc == get_record(run.store, BaselineResult, run.baseline).macro_auroc
    assert f"linear on pixels {baseline.description}" in text
    assert details.cap is not None
    passed = [s for s in run.data.side("test") if s.label_source == "inspector"]
    assert details.cap.clean_rows == len(passed) > 0
    assert details.cap.hidden > 0
    assert f"{len(passed)} test images count as good by an inspector’s word alone" in text
    assert "Inspectors pass 14.5 % of the parts" in text


@pytest.mark.parametrize(
    ("first_only", "second_only", "words"),
    [
        (12, 2, "This model is better."),
        (2, 12, "The production model is better."),
        (3, 2, "That is no proof of a difference."),
    ],
)
def test_who_is_better_is_said_where_chance_is_ruled_out(
    run: Run, first_only: int, second_only: int, words: str
) -> None:
    counts = np.repeat([[True, False], [False, True]], [first_only, second_only], axis=0)
    verdicts = compare_verdicts(counts[:, 0], counts[:, 1])
    rival = RivalResult(bundle="b" * 64, verdicts=verdicts, reason=None)
    details = run.details(run.first).model_copy(update={"rival": rival})
    text = Page(render_page(facts(run, details))).text
    assert f"right {first_only} times and the production model {second_only} times" in text
    assert words in text


def facts(run: Run, details: EvaluationDetails) -> PageFacts:
    report = run.report(run.first)
    return PageFacts(
        export_id=report.export,
        training=get_record(run.store, TrainingResult, report.training),
        export=get_record(run.store, ExportResult, report.export),
        metrics=report.metrics,
        gate=judge_model(report.metrics, PROFILE.gate, ONTOLOGY.safety_critical_ids),
        details=details,
        ontology=ONTOLOGY,
        plots=dict.fromkeys(report.plots, b"png"),
        pictures={one.picture: b"jpeg" for one in details.mistakes},
        predictions=report.predictions,
        unreadable=3,
    )


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ("passed", "Passed The model reaches every limit"),
        ("failed", "Not passed The model misses at least one limit"),
        ("insufficient_evidence", "Not enough evidence No limit is missed, but too few"),
    ],
)
def test_each_verdict_is_told_in_words(run: Run, verdict: Verdict, told: str) -> None:
    of = facts(run, run.details(run.first))
    gate = GateResult(verdict=verdict, reasons=("it is so",), outcomes=(verdict,))
    text = Page(render_page(replace(of, gate=gate))).text
    assert told in text
    assert "3 more could not be read and are in no figure" in text


def test_what_people_wrote_stands_as_text(run: Run) -> None:
    of = facts(run, run.details(run.first))
    strange = ONTOLOGY.model_copy(
        update={"classes": tuple(c.model_copy(update={"label": "<b>x</b>"}) for c in ONTOLOGY.classes)}
    )
    assert "<b>x</b>" not in render_page(replace(of, ontology=strange))


def test_what_is_missing_is_said_to_be_not_applicable(run: Run) -> None:
    text = run.page(run.first).text
    assert "Not applicable: no model is in production." in text
    assert "Not applicable: none was trained on these data." in text
    assert "Not applicable: no decision of an inspector has been compared" in text


def test_scikit_learn_finds_the_metrics_of_record_in_the_stored_predictions(run: Run) -> None:
    report = run.report(run.second)
    kept = read_predictions(run.store, report.predictions)
    assert kept.image_ids == tuple(s.image_id for s in run.data.side("test"))
    assert kept.split_release == run.data.split_release
    truth = np.array([[c in names for c in kept.classes] for names in kept.labels])
    told = kept.probabilities >= list(kept.thresholds.values())
    found = report.metrics
    assert found.precision.value == pytest.approx(precision_score(truth, told, average="micro"))
    assert found.recall.value == pytest.approx(recall_score(truth, told, average="micro"))
    assert found.macro_auroc == pytest.approx(roc_auc_score(truth, kept.probabilities, average="macro"))
    failed = np.array([name == "FAIL" for name in kept.prediction])
    good = ~truth.any(1)
    assert found.false_reject_rate.value == pytest.approx(failed[good].mean())
    # The primary label: a safety-critical class first, which is the second one here.
    guess = np.where(told[:, 1], "RUST", np.where(told[:, 0], "DENT", "FINE"))
    assert found.accuracy.value == pytest.approx(accuracy_score(kept.label, guess))
    expected = confusion_matrix(kept.label, guess, labels=found.labels)
    assert np.array_equal(np.array(found.confusion), expected)


def test_the_details_agree_with_the_metrics_of_record(run: Run) -> None:
    report, details = run.report(run.second), run.details(run.second)
    found = report.metrics
    assert details.f1.value == pytest.approx(found.f1)
    assert details.precision_at_line.value == pytest.approx(found.precision.value)  # all weights are 1
    automatic = [n for n, c in enumerate(details.risk.confidence) if c >= 0.8]
    if automatic:
        assert details.risk.risk[automatic[-1]] == pytest.approx(found.automatic_error.value)
        assert details.risk.coverage[automatic[-1]] == pytest.approx(1 - (found.to_people.value or 0))
    for by in ("line", "plant", "labels by"):
        own = [one for one in details.slices if one.by == by]
        assert sum(one.images for one in own) == found.images
        assert sum(one.missed.rate.successes for one in own) == found.escape_rate.successes
        assert sum(one.false_alarms.rate.successes for one in own) == found.false_reject_rate.successes
    assert sum(one.found.rate.total for one in details.sizes) == 20
    assert details.pointing.total == 20
    wrong = found.escape_rate.successes + found.false_reject_rate.successes
    assert len(details.mistakes) == min(wrong, 12)
    assert all(get_file(run.store, one.picture) for one in details.mistakes)


def test_equal_evaluations_give_the_same_report(run: Run) -> None:
    assert evaluate_model(run.store, run.export, run.data, ONTOLOGY, run.root) == run.first


def test_the_report_of_a_bundle_is_the_one_it_was_judged_by_last(run: Run) -> None:
    assert report_of(run.store, run.bundle) == run.first
    assert set(list_reports(run.store)) == {run.first, run.second}
    again, _ = make_bundle(run.store, run.second, ONTOLOGY)
    assert again == run.bundle  # the same model with the same figures
    assert report_of(run.store, run.bundle) == run.second
    with pytest.raises(StoreError, match="materialize test_report"):
        report_of(run.store, "f" * 64)


def test_a_baseline_of_other_data_stops_the_evaluation(run: Run) -> None:
    other = replace(run.data, split_release="release-2")
    record = train_linear_control(run.store, other, ONTOLOGY, PROFILE)
    with pytest.raises(InsufficientDataError, match="made of other data"):
        evaluate_model(run.store, run.export, run.data, ONTOLOGY, run.root, Beside((record,)))


@pytest.mark.parametrize(
    ("found", "share_told", "bounds_told", "sentence"),
    [
        (Rate.of(27, 29), "93.1 %", "78.0 to 98.1 %", "93.1 % (27 of 29; 95 %: 78.0 to 98.1 %)"),
        (Rate.of(0, 0), "not applicable", "", "not applicable (nothing to count)"),
        (Rate.of(0, 5), "0.0 %", "0.0 to 43.4 %", "0.0 % (0 of 5; 95 %: 0.0 to 43.4 %)"),
    ],
)
def test_rates_in_words(found: Rate, share_told: str, bounds_told: str, sentence: str) -> None:
    assert (share(found.value), bounds(found), rate(found)) == (share_told, bounds_told, sentence)
    assert bool(bar(found)) == (found.value is not None)


def test_figures_in_words() -> None:
    assert [number(0.12345), number(None)] == ["0.123", "not applicable"]
    assert [chance(0.2), chance(0.0004), chance(None)] == ["0.200", "< 0.001", ""]
    assert "width:50.0%" in bar(Rate.of(5, 10))
