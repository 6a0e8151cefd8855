"""What runs where: the answer of `vqi status`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store


class Sources(BaseModel):
    """libpq URIs of the plant's databases."""

    model_config = ConfigDict(frozen=True)

    quality_vision: str
    qms: str
    erp: str


class Status(BaseModel):
    """Addresses and models; the keys of ``vqi status --json``.

    Attributes:
        station_url: None while there is no inspector station.
        production_model: bundle id, or None before the first approval.
    """

    model_config = ConfigDict(frozen=True)

    warehouse_dsn: str
    sources: Sources
    dagster_url: str
    service_url: str
    station_url: str | None = None
    dbt_docs_url: str
    production_model: str | None
    shadow_model: str | None


def read_status(settings: Settings) -> Status:
    """Returns where things are and which models serve.

    Raises:
        SettingsError: there is no database yet.
    """
    registry = ModelRegistry(open_store(settings.artifacts_url))
    return Status(
        warehouse_dsn=settings.dsn("warehouse"),
        sources=Sources(
            quality_vision=settings.dsn("quality_vision"), qms=settings.dsn("qms"), erp=settings.dsn("erp")
        ),
        dagster_url=f"http://127.0.0.1:{settings.dagster_port}",
        service_url=settings.service_url,
        dbt_docs_url=f"http://127.0.0.1:{settings.docs_port}",
        production_model=registry.production(),
        shadow_model=registry.shadow(),
    )
