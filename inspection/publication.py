"""Puts a taxonomy in force in the warehouse, where dbt reads it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from inspection.ontology import Ontology, load_ontology
from inspection.warehouse import ensure_warehouse, transaction


@dataclass(frozen=True)
class Publication:
    """A taxonomy in force.

    Attributes:
        ontology: what was published.
        sha256: of the file.
        new: False when this very file was in force already.
    """

    ontology: Ontology
    sha256: str
    new: bool


def publish(dsn: str, file: Path) -> Publication:
    """Makes a taxonomy file the newest publication, unless it is that already.

    Args:
        dsn: libpq URI of the warehouse.
        file: the taxonomy.

    Raises:
        OntologyError: the file is missing or contradicts itself.
    """
    ontology = load_ontology(file)
    text = file.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    ensure_warehouse(dsn)
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            insert into ontology.published (ontology, version, sha256, document)
            select %(ontology)s, %(version)s, %(sha256)s, %(document)s
            where %(sha256)s is distinct from (
                select sha256 from ontology.published order by publication_id desc limit 1
            )
            """,
            {"ontology": ontology.ontology, "version": ontology.version, "sha256": digest, "document": text},
        )
        new = warehouse.rowcount == 1
    return Publication(ontology, digest, new)
