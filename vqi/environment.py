"""The settings as environment variables, for programs that run in another folder."""

from __future__ import annotations

import json
from pathlib import Path

from inspection.settings import Settings


def variables(settings: Settings) -> dict[str, str]:
    """Returns the variables that give another process the same settings, with absolute paths.

    ``RAY_ADDRESS`` and ``VQI_NOTIFY`` are not among them: they are inherited as they are.
    """
    plain = settings.model_dump(
        exclude={"home", "artifacts", "image_root", "calibration_dir", "ontology", "api_keys"}
        | {"notify", "ray_address"},
        exclude_none=True,
        mode="json",
    )
    artifacts = settings.artifacts_url
    paths = {
        "home": settings.root,
        "artifacts": artifacts if "://" in artifacts else _absolute(Path(artifacts)),
        "image_root": settings.images,
        "calibration_dir": settings.calibration,
    }
    if settings.ontology is not None:
        paths["ontology"] = settings.ontology_file
    if settings.api_keys is not None:
        paths["api_keys"] = _absolute(settings.api_keys)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in plain.items()}
    return {f"VQI_{name.upper()}": str(value) for name, value in {**texts, **paths}.items()}


def service_host(settings: Settings) -> str:
    """Returns where the service listens: without API keys on this machine only."""
    return settings.host if settings.has_keys else "127.0.0.1"


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()
