"""What the pipeline consists of, as text. Run this module to renew the text."""

from __future__ import annotations

from pathlib import Path

from dagster import Definitions

SNAPSHOT = Path(__file__).with_name("snapshot.txt")


def describe(definitions: Definitions) -> str:
    """Returns the keys of assets and checks and the names of jobs, schedules and sensors, sorted."""
    repository = definitions.get_repository_def()
    checks = repository.asset_graph.asset_check_keys
    sections = {
        "assets": [spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()],
        "asset checks": [f"{key.asset_key.to_user_string()}: {key.name}" for key in checks],
        "jobs": [name for name in repository.job_names if not name.startswith("__")],
        "schedules": [schedule.name for schedule in repository.schedule_defs],
        "sensors": [sensor.name for sensor in repository.sensor_defs],
    }
    return "\n".join("\n".join([f"# {title}", *sorted(names), ""]) for title, names in sections.items())


if __name__ == "__main__":
    from definitions import defs

    SNAPSHOT.write_text(describe(defs), encoding="utf-8")
