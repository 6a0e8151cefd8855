"""Puts a taxonomy in force in the warehouse, where dbt reads it; refuses what labels would not survive."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from psycopg2.extensions import cursor

from inspection.errors import OntologyError
from inspection.label_usage import free_rows, used_labels
from inspection.ontology import Ontology, load_ontology, parse_ontology
from inspection.taxonomy_changes import TaxonomyChanges, find_changes, refuse_loss
from inspection.warehouse import ensure_warehouse, transaction

_IN_FORCE = "select document::text from ontology.published order by publication_id desc limit 1"

_OTHER_OF_THIS_VERSION = """
    select exists (
        select from ontology.published
        where ontology = %(ontology)s and version = %(version)s and document <> %(document)s::jsonb
    )
"""

_PUBLISH = """
    insert into ontology.published (ontology, version, sha256, document)
    values (%(ontology)s, %(version)s, %(sha256)s, %(document)s)
    returning publication_id
"""


@dataclass(frozen=True)
class Publication:
    """A taxonomy in force.

    Attributes:
        ontology: what was published.
        sha256: of the file.
        new: False when its content was in force already.
        changes: against what was in force before.
        freed: rows that leave quarantine when the models are built next, by source table.
    """

    ontology: Ontology
    sha256: str
    new: bool
    changes: TaxonomyChanges = field(default_factory=TaxonomyChanges)
    freed: Mapping[str, int] = field(default_factory=dict)


def publish(
    dsn: str, file: Path, *, models: Mapping[str, str] | None = None, replaces_labels: bool = False
) -> Publication:
    """Makes a taxonomy file the newest publication, unless its content is in force already.

    The exact content of an earlier version may be published again: that is how one goes back.

    Args:
        dsn: libpq URI of the warehouse.
        file: the taxonomy.
        models: id of the model that names a class, by class; told when a class is refused.
        replaces_labels: the labels that the warehouse holds are replaced as well, and need no class.

    Raises:
        OntologyError: the file is missing or contradicts itself; another content has been published
            under its version; a class that labels use would go; or what is in force is damaged.
    """
    ontology = load_ontology(file)
    text = file.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    row = {"ontology": ontology.ontology, "version": ontology.version, "sha256": digest, "document": text}
    ensure_warehouse(dsn)
    with transaction(dsn) as warehouse:
        # Two who publish at a time would not see what the other changes.
        warehouse.execute("lock table ontology.published in share row exclusive mode")
        before = _in_force(warehouse)
        if before == ontology:
            return Publication(ontology, digest, new=False)
        warehouse.execute(_OTHER_OF_THIS_VERSION, row)
        if warehouse.fetchone() == (True,):
            raise OntologyError(
                f"{file}: {ontology.ontology} {ontology.version} has been published with other content: "
                "raise its version"
            )
        uses = used_labels(warehouse)
        if before is not None and not replaces_labels:
            try:
                refuse_loss(before, ontology, uses, models or {})
            except OntologyError as error:
                raise OntologyError(f"{file}: {error}") from error
        warehouse.execute(_PUBLISH, row)
        ((publication_id,),) = warehouse.fetchall()
        freed = free_rows(warehouse, publication_id, before, ontology)
    return Publication(ontology, digest, True, find_changes(before, ontology, uses), freed)


@dataclass(frozen=True)
class PublishedVersion:
    """One row of the history."""

    ontology: str
    version: str
    at: datetime


def publications(dsn: str) -> list[PublishedVersion]:
    """Returns what has been published, oldest first; the last is in force."""
    ensure_warehouse(dsn)
    with transaction(dsn) as warehouse:
        warehouse.execute(
            "select ontology, version, published_at from ontology.published order by publication_id"
        )
        return [PublishedVersion(*row) for row in warehouse.fetchall()]


def _in_force(warehouse: cursor) -> Ontology | None:
    warehouse.execute(_IN_FORCE)
    found = warehouse.fetchone()
    try:
        return parse_ontology(found[0]) if found else None
    except OntologyError as error:
        raise OntologyError(
            f"the newest row of ontology.published is no taxonomy, delete it first: {error}"
        ) from error
