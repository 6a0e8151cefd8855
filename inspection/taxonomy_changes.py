"""What a new version of a taxonomy changes, what that does to labels, and which changes are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspection.errors import OntologyError
from inspection.ontology import DefectClass, Ontology, normalise_label

SHOWN_LABELS = 5


@dataclass(frozen=True)
class LabelUse:
    """How often a label stands in the data as typed.

    Attributes:
        what: what holds the label, in the singular: ``annotation``.
        label: as typed.
        rows: how often.
    """

    what: str
    label: str
    rows: int


@dataclass(frozen=True)
class AliasChange:
    """An alias that means something else than before.

    Attributes:
        alias: as the file writes it.
        before: class that it meant; None for a new one.
        after: class that it means; None for one that was dropped.
        uses: how often the data hold it, by what holds it.
    """

    alias: str
    before: str | None
    after: str | None
    uses: Mapping[str, int]


@dataclass(frozen=True)
class TaxonomyChanges:
    """From the taxonomy in force to another.

    Attributes:
        new_classes: ids, in the order of the file; likewise `removed_classes`.
        aliases: that mean something else; a class's id is an alias of it.
    """

    new_classes: tuple[str, ...] = ()
    removed_classes: tuple[str, ...] = ()
    aliases: tuple[AliasChange, ...] = ()


def tell_counts(rows: Mapping[str, int]) -> str:
    """Returns counts by noun in words: ``1 annotation and 3 inspector codes``."""
    return " and ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in rows.items())


def find_changes(before: Ontology | None, after: Ontology, uses: Sequence[LabelUse]) -> TaxonomyChanges:
    """Compares two taxonomies.

    Args:
        before: in force until now; None where nothing is.
        after: to be in force.
        uses: labels of the data.
    """
    old, new = _spellings(before) if before else {}, _spellings(after)
    old_ids, new_ids = _ids(before) if before else (), _ids(after)
    counted: dict[str, Counter[str]] = {}
    for use in uses:
        counted.setdefault(normalise_label(use.label), Counter())[use.what] += use.rows
    aliases = []
    for key, spelling in (old | new).items():
        was, now = before.aliases.get(key) if before else None, after.aliases.get(key)
        if was != now:
            aliases.append(AliasChange(spelling, was, now, counted.get(key, {})))
    return TaxonomyChanges(
        new_classes=tuple(name for name in new_ids if name not in old_ids),
        removed_classes=tuple(name for name in old_ids if name not in new_ids),
        aliases=tuple(aliases),
    )


def refuse_loss(
    before: Ontology, after: Ontology, uses: Sequence[LabelUse], models: Mapping[str, str]
) -> None:
    """Refuses a taxonomy in which labels lose their class because it is gone, or turned clean or a defect.

    Labels that find another class of that kind are relabelled and not lost: that is how two classes are
    merged.

    Args:
        before: in force until now.
        after: to be in force.
        uses: labels of the data.
        models: id of the model that names a class, by class; told beside the count.

    Raises:
        OntologyError: a class that labels use would go; the message counts them.
    """
    lost = [
        _told(old, unsettled, models.get(old.id))
        for old in before.classes
        if not any(old.id == new.id and old.clean == new.clean for new in after.classes)
        and (unsettled := list(_unsettled(old.id, before, after, uses)))
    ]
    if lost:
        raise OntologyError("; ".join(lost))


def _told(old: DefectClass, unsettled: Sequence[LabelUse], model: str | None) -> str:
    labels = list(dict.fromkeys(normalise_label(use.label) for use in unsettled))
    named = ", ".join(labels[:SHOWN_LABELS]) + (", ..." if len(labels) > SHOWN_LABELS else "")
    rows: Counter[str] = Counter()
    for use in unsettled:
        rows[use.what] += use.rows
    besides = f", and the production model {model[:12]} names it" if model else ""
    heir = "the clean class" if old.clean else "another class of defects"
    fault = f"class {old.id} is used by {tell_counts(rows)}{besides}"
    return f"{fault}: keep it, or give its labels ({named}) to {heir}"


def _unsettled(
    class_id: str, before: Ontology, after: Ontology, uses: Sequence[LabelUse]
) -> Iterator[LabelUse]:
    for use in uses:
        if before.resolve(use.label) == class_id:
            new_id = after.resolve(use.label)
            if new_id is None or after[new_id].clean != before[class_id].clean:
                yield use


def _spellings(ontology: Ontology) -> dict[str, str]:
    return {normalise_label(name): name for c in ontology.classes for name in (c.id, *c.aliases)}


def _ids(ontology: Ontology) -> tuple[str, ...]:
    return tuple(c.id for c in ontology.classes)
