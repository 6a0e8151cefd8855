"""Puts a taxonomy in force: under the home for programs, in the warehouse for dbt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from inspection.errors import SettingsError
from inspection.ontology import load_ontology
from inspection.settings import Settings
from inspection.warehouse import ensure_warehouse


@dataclass(frozen=True)
class Publication:
    """What was published, and whether the warehouse got it too."""

    ontology: str
    version: str
    in_warehouse: bool


def publish_ontology(settings: Settings, file: Path) -> Publication:
    """Checks a taxonomy and puts it in force; publishing what is in force already changes nothing.

    Raises:
        OntologyError: the file contradicts itself.
        SettingsError: ``VQI_ONTOLOGY`` names another file, which would stay in force; or there is a
            warehouse of one's own that does not answer.
    """
    file = file.expanduser().resolve()
    if settings.ontology is not None and settings.ontology_file != file:
        raise SettingsError(
            f"VQI_ONTOLOGY keeps {settings.ontology_file} in force: unset it to publish another"
        )
    found = load_ontology(file)
    text = file.read_text(encoding="utf-8")
    in_warehouse = _insert(settings, found.ontology, found.version, text)
    if settings.published_ontology != file:
        settings.root.mkdir(parents=True, exist_ok=True)
        settings.published_ontology.write_text(text, encoding="utf-8")
    return Publication(found.ontology, found.version, in_warehouse)


def _insert(settings: Settings, ontology: str, version: str, text: str) -> bool:
    if settings.uses_embedded("warehouse") and not settings.password_file.exists():
        return False
    dsn = settings.dsn("warehouse")
    try:
        connection = psycopg2.connect(dsn)
    except psycopg2.OperationalError as error:
        if settings.uses_embedded("warehouse"):
            return False
        raise SettingsError(f"the warehouse does not answer, check VQI_WAREHOUSE_DSN: {error}") from error
    connection.close()
    ensure_warehouse(dsn)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            insert into ontology.published (ontology, version, sha256, document)
            select %(ontology)s, %(version)s, %(sha256)s, %(document)s
            where %(sha256)s is distinct from (
                select sha256 from ontology.published order by publication_id desc limit 1
            )
            """,
            {"ontology": ontology, "version": version, "sha256": digest, "document": text},
        )
    connection.close()
    return True
