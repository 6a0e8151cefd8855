"""Which labels the data hold, as typed, and which rows in quarantine a new taxonomy has a class for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from inspection.ontology import Ontology
from inspection.taxonomy_changes import LabelUse

# As loaded: rows count that came after the models were built, or that are set aside for another reason.
_USES = {
    "annotation": (
        "raw_quality_vision.defect_annotations",
        "select defect_type, count(*) from raw_quality_vision.defect_annotations group by 1 order by 1",
    ),
    "inspector code": (
        "raw_qms.inspection_results",
        """
        select code, count(*)
        from raw_qms.inspection_results
        cross join lateral jsonb_array_elements_text(coalesce(defect_codes::jsonb, '[]')) as code
        group by code
        order by code
        """,
    ),
    "review": (
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


def _all_known(labels: Sequence[str], ontology: Ontology) -> bool:
    return all(ontology.resolve(label) is not None for label in labels)


def _exists(warehouse: cursor, table: str) -> bool:
    warehouse.execute("select to_regclass(%s) is not null", (table,))
    ((there,),) = warehouse.fetchall()
    return bool(there)


def _rows(warehouse: cursor, query: str) -> list[tuple[Any, ...]]:
    warehouse.execute(query)
    return warehouse.fetchall()
