"""Pictures of a training and of a test: one look, labelled axes, the count behind every rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspection.learning.results import EpochRecord
from inspection.metrics import TestMetrics, reliability_curve
from inspection.plotting import COLOURS, figure_of, png, style
from inspection.risk import RiskCoverage

Floats = NDArray[np.floating[Any]]


def training_curves(history: Sequence[EpochRecord], best_epoch: int) -> bytes:
    """Draws losses, validation AUROC, learning rate and speed by epoch; returns a PNG."""
    with figure_of(2, (9, 6.4), 2) as (figure, (losses, quality, rate, speed)):
        epochs = [record.epoch for record in history]
        losses.plot(
            epochs, [r.train_loss for r in history], COLOURS[0], marker="o", label="training (all terms)"
        )
        losses.plot(
            epochs, [r.validation_loss for r in history], COLOURS[1], marker="s", label="validation (labels)"
        )
        losses.axvline(best_epoch, color="grey", linestyle=":", label=f"kept: epoch {best_epoch}")
        losses.set(xlabel="epoch", ylabel="loss (nats)", title="Loss")
        losses.legend()
        values = [np.nan if r.validation_auroc is None else r.validation_auroc for r in history]
        quality.plot(epochs, values, COLOURS[2], marker="o")
        quality.set(xlabel="epoch", ylabel="AUROC, mean over classes", title="Validation")
        rate.plot(epochs, [r.learning_rate for r in history], COLOURS[0], marker="o")
        rate.set(xlabel="epoch", ylabel="learning rate at its end", title="Learning rate")
        speeds = [r.images_per_second for r in history]
        speed.plot(epochs, speeds, COLOURS[1], marker="o")
        top = 1.1 * max(speeds)
        speed.set(xlabel="epoch", ylabel="training images per second", title="Speed", ylim=(0, top))
        return png(figure)


def confusion(metrics: TestMetrics) -> bytes:
    """Draws the confusion matrix of the primary label; returns a PNG."""
    counts = np.array(metrics.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.2 + 0.75 * len(counts)
    with figure_of(1, (side + 1, side)) as (figure, (axes,)):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{count}\n{shares[row, column]:.0%}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        names = [name.replace("_", "\n") for name in metrics.labels]
        axes.set_xticks(range(len(names)), names, fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        title = f"Primary label, {metrics.images} test images (count, share of the row)"
        axes.set(xlabel="told by the model", ylabel="true", title=title)
        axes.grid(visible=False)
        return png(figure)


def reliability(
    probabilities: Floats, targets: Floats, weights: Floats, classes: Sequence[str], ece: float
) -> bytes:
    """Draws the true share by stated probability, at the line's own mix; returns a PNG.

    Args:
        probabilities: calibrated, [N, C].
        targets: 0 or 1, [N, C].
        weights: of the images, as in the calibration error, [N].
        classes: names, in order.
        ece: expected calibration error, told in the title.
    """
    with figure_of(1, (5, 4.2)) as (figure, (axes,)):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":")
        for number, name in enumerate(classes):
            curve = reliability_curve(probabilities[:, number], targets[:, number], weights)
            label = f"{name} (n={int(targets[:, number].sum())})"
            line = axes.plot(curve.stated, curve.share, **style(number), linewidth=1, label=label)
            sizes = 4 + 3 * np.sqrt(curve.images)
            axes.scatter(curve.stated, curve.share, s=sizes, color=line[0].get_color())
        title = f"Reliability at the line's mix (ECE {ece:.3f}; dot area: images)"
        axes.set(xlabel="stated probability", ylabel="true share", title=title, xlim=(0, 1), ylim=(0, 1))
        # Below: the curves leave no corner free.
        figure.legend(fontsize=7, loc="outside lower center", ncols=2)
        return png(figure)


def precision_recall(probabilities: Floats, targets: Floats, metrics: TestMetrics) -> bytes:
    """Draws precision against recall of each class, with the chosen threshold marked; returns a PNG."""
    with figure_of(1, (5, 4.2)) as (figure, (axes,)):
        for number, (name, found) in enumerate(metrics.per_class.items()):
            truth = targets[np.argsort(-probabilities[:, number], kind="stable"), number]
            if not truth.sum():
                continue
            hits = np.cumsum(truth)
            recall, precision = hits / hits[-1], hits / np.arange(1, len(hits) + 1)
            look = style(number)
            axes.plot(recall, precision, **look, linewidth=1.2, label=f"{name} (n={int(truth.sum())})")
            if found.recall.value is not None and found.precision.value is not None:
                axes.plot(found.recall.value, found.precision.value, "o", color=look["color"], markersize=6)
        title = "Precision and recall (dots: chosen thresholds)"
        axes.set(xlabel="recall", ylabel="precision", title=title, xlim=(0, 1.02), ylim=(0, 1.02))
        axes.legend(fontsize=7, loc="lower left")
        return png(figure)


def risk_coverage(curve: RiskCoverage, confidence_threshold: float, images: int) -> bytes:
    """Draws the share of wrong verdicts by the share decided automatically; returns a PNG.

    Args:
        curve: of the test set.
        confidence_threshold: of the profile; its point is marked.
        images: of the test set.
    """
    with figure_of(1, (5, 3.6)) as (figure, (axes,)):
        axes.step(curve.coverage, curve.risk, COLOURS[0], where="post", linewidth=1.4)
        automatic = [n for n, c in enumerate(curve.confidence) if c >= confidence_threshold]
        if automatic:
            x, y = curve.coverage[automatic[-1]], curve.risk[automatic[-1]]
            axes.plot(
                x,
                y,
                "o",
                color="black",
                markersize=8,
                label=f"at {confidence_threshold:g}: {y:.1%} wrong of {x:.1%}",
            )
            axes.legend(loc="upper left")
        axes.set(
            xlabel="share of the parts decided automatically",
            ylabel="wrong verdicts among them",
            title=f"Risk and coverage, {images} test images",
            xlim=(0, 1.02),
            ylim=(0, max(0.05, 1.15 * max(curve.risk))),
        )
        return png(figure)


def deviations(good: Sequence[float], labelled: Sequence[float]) -> bytes:
    """Draws the largest deviation of each part in tolerances, by label; returns a PNG."""
    with figure_of(1, (6.5, 3.4)) as (figure, (axes,)):
        edges = np.linspace(0, max([2.0, *good, *labelled]), 60)
        for number, (values, name) in enumerate(((good, "not so labelled"), (labelled, "out of tolerance"))):
            label = f"{name} ({len(values)} parts)"
            axes.hist(values, edges.tolist(), color=COLOURS[number], alpha=0.6, label=label)
        axes.axvline(1, color="grey", linestyle=":", label="tolerance")
        axes.set(
            xlabel="largest deviation of a dimension (tolerances)",
            ylabel="parts",
            yscale="log",
            title="Dimension gauge on training and validation parts",
        )
        axes.legend()
        return png(figure)
