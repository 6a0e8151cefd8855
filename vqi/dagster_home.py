"""The Dagster instance: its folder and its configuration, made from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from inspection.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance


def dagster_folder(settings: Settings) -> Path:
    """Returns where the instance keeps its files."""
    return settings.root / "dagster"


def dagster_home(settings: Settings) -> Path:
    """Writes the instance's configuration and returns its folder.

    Run retries and run monitoring are off in Dagster until they are asked for; the file holds the
    database's password and is readable by its owner alone.
    """
    folder = dagster_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    configuration = {
        "storage": {"postgres": {"postgres_url": _sqlalchemy_url(settings.dsn("dagster"))}},
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(folder / "logs")},
        },
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(folder)},
        },
        "run_retries": {"enabled": True, "max_retries": 1},
        # A run whose process was killed would keep its pools for ever.
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,
            "free_slots_after_run_end_seconds": 30,
        },
        # One run of a source at a time, and no more at once than a small machine carries.
        "concurrency": {"runs": {"max_concurrent_runs": 2}, "pools": {"default_limit": 1}},
        "freshness": {"enabled": True},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # no letter box for a newsletter before a plant's first look
    }
    file = folder / "dagster.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
    return folder


def instance(settings: Settings) -> DagsterInstance:
    """Returns the Dagster instance of the home; use it as a context manager."""
    from dagster import DagsterInstance

    return DagsterInstance.from_config(str(dagster_home(settings)))


def _sqlalchemy_url(dsn: str) -> str:
    # SQLAlchemy 2.1 takes a bare postgresql:// for psycopg 3, which is not installed.
    return dsn.replace("postgresql://", "postgresql+psycopg2://", 1)
