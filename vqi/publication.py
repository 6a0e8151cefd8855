"""Puts a taxonomy in force: under the home for programs, in the warehouse for dbt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg2

from inspection.bundle import read_manifest
from inspection.errors import ServiceError, SettingsError
from inspection.ontology import Ontology, load_ontology
from inspection.publication import Publication, publish
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store


@dataclass(frozen=True)
class Published:
    """What is in force now.

    Attributes:
        in_warehouse: what changed there; None while there is no warehouse, which then holds no labels.
        model: id of the production model that still names removed classes; None where none does.
    """

    ontology: Ontology
    in_warehouse: Publication | None
    model: str | None = None


def publish_ontology(settings: Settings, file: Path, *, replaces_labels: bool = False) -> Published:
    """Checks a taxonomy and puts it in force; publishing what is in force already changes nothing.

    Args:
        settings: give home, warehouse and object store.
        file: the taxonomy.
        replaces_labels: the labels that the warehouse holds are replaced as well, and need no class.

    Raises:
        OntologyError: the file contradicts itself, or changes what must not change.
        SettingsError: ``VQI_ONTOLOGY`` names another file, which would stay in force.
        ServiceError: there is a warehouse, and it does not answer.
    """
    file = file.expanduser().resolve()
    if settings.ontology is not None and settings.ontology_file != file:
        raise SettingsError(
            f"VQI_ONTOLOGY keeps {settings.ontology_file} in force: unset it to publish another"
        )
    ontology = load_ontology(file)
    models = production_classes(settings)
    publication = None
    if (dsn := find_warehouse(settings)) is not None:
        publication = publish(dsn, file, models=models, replaces_labels=replaces_labels)
    if settings.published_ontology != file:
        settings.root.mkdir(parents=True, exist_ok=True)
        settings.published_ontology.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    removed = publication.changes.removed_classes if publication else ()
    return Published(ontology, publication, next((models[name] for name in removed if name in models), None))


def production_classes(settings: Settings) -> dict[str, str]:
    """Returns the id of the production model by each class that it names; nothing without one.

    Raises:
        BundleError: its bundle is damaged.
    """
    store = open_store(settings.artifacts_url)
    model = ModelRegistry(store).production()
    return dict.fromkeys(read_manifest(store, model).classes, model) if model else {}


def find_warehouse(settings: Settings) -> str | None:
    """Returns the address of the warehouse, or None before the embedded one has been made.

    Raises:
        ServiceError: it does not answer.
    """
    embedded = settings.uses_embedded("warehouse")
    if embedded and not settings.password_file.exists():
        return None
    dsn = settings.dsn("warehouse")
    try:
        psycopg2.connect(dsn).close()
    except psycopg2.OperationalError as error:
        remedy = "run `vqi up`" if embedded else "check VQI_WAREHOUSE_DSN"
        raise ServiceError(
            f"the warehouse, which knows the labels that use the taxonomy, does not answer: {remedy}"
        ) from error
    return dsn
