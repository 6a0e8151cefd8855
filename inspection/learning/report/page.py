"""The test report as one HTML page: pictures and style inside, readable in print and without a network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from inspection.bootstrap import Estimate
from inspection.gate import GateResult, Verdict
from inspection.learning.report.details import EvaluationDetails
from inspection.learning.results import ExportResult, TrainingResult
from inspection.metrics import Rate, TestMetrics
from inspection.ontology import Ontology

TEMPLATE = "page.html.jinja"
NOTHING = "not applicable"
VERDICTS: dict[Verdict, str] = {
    "passed": "Passed",
    "failed": "Not passed",
    "insufficient_evidence": "Not enough evidence",
}
OUTCOMES: dict[Verdict, str] = {"passed": "holds", "failed": "missed", "insufficient_evidence": "too few"}


@dataclass(frozen=True)
class PageFacts:
    """All that the page tells.

    Attributes:
        export_id: names the model.
        plots: PNG by name; `pictures`: JPEG by key.
        predictions: key of the Parquet file.
        unreadable: test images that could not be read, and are in no figure.
    """

    export_id: str
    training: TrainingResult
    export: ExportResult
    metrics: TestMetrics
    gate: GateResult
    details: EvaluationDetails
    ontology: Ontology
    plots: Mapping[str, bytes]
    pictures: Mapping[str, bytes]
    predictions: str
    unreadable: int


def render_page(facts: PageFacts) -> str:
    """Returns the page; it names no other file and no address."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    labels = {c.id: c.label for c in facts.ontology.classes}
    environment.filters |= {
        "share": share,
        "rate": rate,
        "bounds": bounds,
        "counts": counts,
        "number": number,
        "limits": limits,
        "chance": chance,
        "named": lambda classes: ", ".join(labels[name] for name in classes),
        "bar": bar,
    }
    return environment.get_template(TEMPLATE).render(
        facts=facts,
        metrics=facts.metrics,
        details=facts.details,
        gate=facts.gate,
        training=facts.training,
        verdict=VERDICTS[facts.gate.verdict],
        limits=[
            (reason, OUTCOMES[outcome])
            for reason, outcome in zip(facts.gate.reasons, facts.gate.outcomes, strict=True)
        ],
        labels=labels,
        safety=facts.ontology.safety_critical_ids,
        slices=[(by, list(group)) for by, group in groupby(facts.details.slices, lambda one: one.by)],
        plots={name: data_uri(png, "png") for name, png in facts.plots.items()},
        pictures={key: data_uri(jpeg, "jpeg") for key, jpeg in facts.pictures.items()},
    )


def share(value: float | None) -> str:
    """Returns a share as per cent, with a decimal that small differences need."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def bounds(found: Rate | Estimate) -> str:
    """Returns the two-sided 95 % bounds as per cent; nothing where nothing was counted."""
    return (
        ""
        if found.low is None or found.high is None
        else f"{100 * found.low:.1f} to {100 * found.high:.1f} %"
    )


def counts(found: Rate) -> str:
    """Returns what a rate rests on."""
    return f"{found.successes} of {found.total}"


def rate(found: Rate) -> str:
    """Returns a rate with counts and bounds, for a sentence."""
    if found.value is None:
        return f"{NOTHING} (nothing to count)"
    return f"{share(found.value)} ({counts(found)}; 95 %: {bounds(found)})"


def number(value: float | None) -> str:
    """Returns a figure between 0 and 1 that is no share."""
    return NOTHING if value is None else f"{value:.3f}"


def limits(found: Estimate) -> str:
    """Returns the bounds of a figure that is no share."""
    return "" if found.low is None or found.high is None else f"{found.low:.3f} to {found.high:.3f}"


def chance(p: float | None) -> str:
    """Returns a p-value."""
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def bar(found: Rate) -> Markup:
    """Returns a rate as a bar whose bounds are a line, for a table cell."""
    if found.value is None or found.low is None or found.high is None:
        return Markup("")
    return Markup(
        '<span class="bar"><span class="fill" style="width:{:.1f}%"></span>'
        '<span class="whisker" style="left:{:.1f}%;width:{:.1f}%"></span></span>'
    ).format(100 * found.value, 100 * found.low, 100 * (found.high - found.low))


def data_uri(data: bytes, kind: str) -> str:
    """Returns a picture that stands inside the page."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
