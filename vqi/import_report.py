"""What an import tells at its end, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from inspection.importers.importing import ImportReport


def lines(report: ImportReport) -> Iterator[str]:
    """Tells counts, labels with what they mean, repeated files, and what was bad, by reason."""
    yield (
        f"{report.name}: {report.images:,} images in {report.groups:,} groups, {report.annotations:,} marks"
    )
    yield (
        f"{report.annotated_images:,} with a defect, {report.annotated_clean:,} annotated clean, "
        f"{report.declared_clean:,} declared clean, {report.unlabelled:,} without a label"
    )
    for label, count in report.labels.items():
        meaning = report.ontology.resolve(label)
        yield f"  {label:32} {count:>7,}  {meaning or 'no class claims it: quarantine'}"
    if report.repeats and report.repeats_united:
        yield f"{report.repeats:,} files repeat another's content: they share an order now"
    elif report.repeats:
        yield (
            f"{report.repeats:,} files repeat another's content: the leakage check will hold training until "
            "they share an order; --group-duplicates puts them into one"
        )
    if report.bad:
        yield "not as it should be:"
    for reason, count in report.bad.items():
        yield f"  {reason:32} {count:>7,}"
