"""The taxonomy of the quality management system beside the published one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspection.ontology import Ontology, parse_ontology
from inspection.warehouse import transaction

TABLE = "raw_qms.defect_taxonomy"

_PUBLISHED = "select document::text from ontology.published order by publication_id desc limit 1"

_QMS = """
    select
        class_id,
        label,
        nullif(parent, ''),
        array(select jsonb_array_elements_text(coalesce(aliases::jsonb, '[]'))),
        array(select jsonb_array_elements_text(coalesce(severity_levels::jsonb, '[]')))
    from raw_qms.defect_taxonomy
    order by class_id
"""


@dataclass(frozen=True)
class QmsClass:
    """One row of ``qms.defect_taxonomy``."""

    id: str
    label: str
    parent: str | None
    aliases: Sequence[str]
    severity_levels: Sequence[str]


@dataclass(frozen=True)
class Difference:
    """Something that the two do not say alike.

    Attributes:
        what: ``class``, ``label``, ``parent``, ``severity levels`` or ``alias``.
        published: what the published taxonomy says; None where it says nothing.
        qms: what the quality management system says.
    """

    defect_class: str
    what: str
    published: str | None
    qms: str | None


def find_differences(published: Ontology, qms: Sequence[QmsClass]) -> list[Difference]:
    """Compares the published taxonomy with the rows of the quality management system.

    Aliases count where the published taxonomy lacks one, or gives it another class: labels that people
    take from the system would go wrong. Further ones in the published taxonomy are its purpose.
    """
    ours, theirs = {c.id: c for c in published.classes}, {c.id: c for c in qms}
    missing = [Difference(name, "class", name, None) for name in ours if name not in theirs]
    unknown = [Difference(name, "class", None, name) for name in theirs if name not in ours]
    return [
        *missing,
        *unknown,
        *(found for name, each in theirs.items() if name in ours for found in _class(published, each)),
    ]


def compare_taxonomies(dsn: str) -> list[Difference] | None:
    """Compares the newest publication with the rows as loaded.

    Args:
        dsn: libpq URI of the warehouse, with a taxonomy published.

    Returns:
        The differences, or None where the quality management system has no taxonomy.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute("select to_regclass(%s) is not null", (TABLE,))
        if warehouse.fetchone() == (False,):
            return None
        warehouse.execute(_QMS)
        qms = [QmsClass(*row) for row in warehouse.fetchall()]
        warehouse.execute(_PUBLISHED)
        ((document,),) = warehouse.fetchall()
    return find_differences(parse_ontology(document), qms) if qms else None


def _class(published: Ontology, qms: QmsClass) -> Iterator[Difference]:
    ours = published[qms.id]
    for what, one, other in (
        ("label", ours.label, qms.label),
        ("parent", ours.parent, qms.parent),
        ("severity levels", ", ".join(ours.severity_levels), ", ".join(qms.severity_levels)),
    ):
        if one != other:
            yield Difference(qms.id, what, one, other)
    for alias in qms.aliases:
        if (meant := published.resolve(alias)) != qms.id:
            yield Difference(qms.id, "alias", f"{alias}: {meant}" if meant else None, alias)
