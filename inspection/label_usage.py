"""Which labels the data hold, as typed, and which rows leave quarantine when a taxonomy learns their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from inspection.ontology import Ontology
from inspection.taxonomy_changes import LabelUse
from inspection.warehouse import transaction

# As loaded: rows count that came after the models were built, or that are set aside for another reason.
_USES = {
    "annotations": (
        "raw_quality_vision.defect_annotations",
        "select defect_type, count(*) from raw_quality_vision.defect_annotations group by 1 order by 1",
    ),
    "codes of inspectors": (
        "raw_qms.inspection_results",
        """
        select code, count(*)
        from raw_qms.inspection_results
        cross join lateral jsonb_array_elements_text(coalesce(defect_codes::jsonb, '[]')) as code
        group by code
        order by code
        """,
    ),
    "reviews": (
        "inference.reviews",
        """
        select defect_class, count(*)
        from inference.reviews
        where defect_class is not null
        group by defect_class
        order by defect_class
        """,
    ),
}

_UNKNOWN = """
    select quarantined.source_table, quarantined.source_key, array[annotations.defect_type]
    from marts.quarantined_rows as quarantined
    inner join raw_quality_vision.defect_annotations as annotations
        on quarantined.source_key = annotations.annotation_id::text
    where quarantined.source_table = 'defect_annotations' and quarantined.reason = 'unknown_label'
    union all
    select
        quarantined.source_table,
        quarantined.source_key,
        array(select jsonb_array_elements_text(coalesce(results.defect_codes::jsonb, '[]')))
    from marts.quarantined_rows as quarantined
    inner join raw_qms.inspection_results as results
        on quarantined.source_key = results.result_id::text
    where quarantined.source_table = 'inspection_results' and quarantined.reason = 'unknown_label'
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


def used_labels(warehouse: cursor) -> list[LabelUse]:
    """Returns every label of the data with how often it is used; of tables that are not there yet, none."""
    return [
        LabelUse(what, label, rows)
        for what, (table, query) in _USES.items()
        if _exists(warehouse, table)
        for label, rows in _rows(warehouse, query)
    ]


def free_rows(
    warehouse: cursor, publication_id: int, before: Ontology | None, after: Ontology
) -> dict[str, int]:
    """Notes the rows in quarantine whose labels a publication knows and the one before did not.

    A decision of an inspector is among them when all of its codes are known. The rows leave quarantine
    when the models are built next.

    Args:
        warehouse: in the transaction that publishes.
        publication_id: of what is published.
        before: in force until now.
        after: what is published.

    Returns:
        How many, by source table.
    """
    if not _exists(warehouse, "marts.quarantined_rows"):
        return {}
    freed = [
        (publication_id, table, key)
        for table, key, labels in _rows(warehouse, _UNKNOWN)
        if _all_known(labels, after) and not (before and _all_known(labels, before))
    ]
    if freed:
        execute_values(
            warehouse,
            "insert into ontology.freed_rows (publication_id, source_table, source_key) values %s",
            freed,
        )
    tables = [table for _, table, _ in freed]
    return {table: tables.count(table) for table in dict.fromkeys(tables)}


def freed_rows(dsn: str) -> list[FreedRows]:
    """Returns what became of the rows that the newest publication has freed, by source table.

    Args:
        dsn: libpq URI of the warehouse, with the label models built.
    """
    with transaction(dsn) as warehouse:
        return [FreedRows(*row) for row in _rows(warehouse, _FREED)]


def _all_known(labels: Sequence[str], ontology: Ontology) -> bool:
    return all(ontology.resolve(label) is not None for label in labels)


def _exists(warehouse: cursor, table: str) -> bool:
    warehouse.execute("select to_regclass(%s) is not null", (table,))
    ((there,),) = warehouse.fetchall()
    return bool(there)


def _rows(warehouse: cursor, query: str) -> list[tuple[Any, ...]]:
    warehouse.execute(query)
    return warehouse.fetchall()
