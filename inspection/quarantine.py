"""What the label models say of labels that no class claims, and of rows that have found one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspection.warehouse import transaction

_NEWEST_FREED_ANY = """
    select exists (
        select from ontology.freed_rows
        where publication_id = (select max(publication_id) from ontology.published)
    )
"""

_FREED = """
    with

    loaded as (
        select 'defect_annotations' as source_table, annotation_id::text as source_key
        from raw_quality_vision.defect_annotations
        union all
        select 'inspection_results' as source_table, result_id::text as source_key
        from raw_qms.inspection_results
    )

    select
        published.ontology || ' ' || published.version as publication,
        freed.source_table,
        count(*) as freed,
        count(*) filter (where quarantined.reason is null and loaded.source_key is not null) as moved,
        count(*) filter (where quarantined.reason = 'unknown_label') as waiting,
        count(*) filter (where quarantined.reason <> 'unknown_label') as set_aside_otherwise,
        count(*) filter (where quarantined.reason is null and loaded.source_key is null) as deleted
    from ontology.freed_rows as freed
    inner join ontology.published as published on freed.publication_id = published.publication_id
    left join loaded
        on freed.source_table = loaded.source_table and freed.source_key = loaded.source_key
    left join marts.quarantined_rows as quarantined
        on freed.source_table = quarantined.source_table and freed.source_key = quarantined.source_key
    where freed.publication_id = (select max(publication_id) from ontology.published)
    group by published.ontology, published.version, freed.source_table
    order by freed.source_table
"""

_UNMAPPED = """
    select source_table, raw_label, plant_id, occurrences, nearest_alias, nearest_class, similarity
    from marts.unmapped_labels
    order by occurrences desc, source_table, label, plant_id
"""


@dataclass(frozen=True)
class FreedRows:
    """What became of the rows of one table that the newest publication has a class for.

    Attributes:
        publication: its name and version.
        freed: rows that were set aside for an unknown label when it was published.
        moved: of these, have left quarantine.
        waiting: are set aside for an unknown label still.
        set_aside_otherwise: have a class now, and are set aside for another reason.
        deleted: are gone from the source.
    """

    publication: str
    source_table: str
    freed: int
    moved: int
    waiting: int
    set_aside_otherwise: int
    deleted: int


@dataclass(frozen=True)
class UnmappedLabel:
    """A label that no class claims, in one source table and plant.

    Attributes:
        raw_label: as it is typed most often.
        plant_id: None where the plant is not known.
        occurrences: annotations, or decisions' codes.
        nearest_alias: shares most trigrams with it; None where none shares any.
        similarity: shared trigrams over all trigrams of the two, 0 to 1.
    """

    source_table: str
    raw_label: str
    plant_id: str | None
    occurrences: int
    nearest_alias: str | None
    nearest_class: str | None
    similarity: float | None


def freed_rows(dsn: str) -> list[FreedRows]:
    """Returns what became of the rows that the newest publication has freed, by source table.

    Args:
        dsn: libpq URI of the warehouse, with the label models built.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(_NEWEST_FREED_ANY)
        if warehouse.fetchone() == (False,):
            return []  # and spares reading all keys
        warehouse.execute(_FREED)
        return [FreedRows(*row) for row in warehouse.fetchall()]


def tell_moved(found: Sequence[FreedRows]) -> str:
    """Returns in one line how many rows the newest publication has moved from quarantine."""
    if not found:
        return "the newest publication had a class for no row in quarantine"
    moved, waiting = sum(each.moved for each in found), sum(each.waiting for each in found)
    freed = sum(each.freed for each in found)
    told = f"{moved:,} of {freed:,} rows moved from quarantine since {found[0].publication} was published"
    return f"{told}; {waiting:,} wait until the labels are built" if waiting else told


def unmapped_labels(dsn: str) -> list[UnmappedLabel]:
    """Returns ``marts.unmapped_labels``, the most frequent first.

    Args:
        dsn: libpq URI of the warehouse, with the label models built.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(_UNMAPPED)
        return [UnmappedLabel(*row) for row in warehouse.fetchall()]
