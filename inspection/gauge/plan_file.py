"""Reading a measurement plan from its file."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from inspection.errors import SettingsError
from inspection.gauge.plan import Plan

DEFAULT_PLAN = Path(__file__).parent / "plans" / "machined_parts.yaml"


def load_plan(path: Path) -> Plan:
    """Reads a measurement plan, YAML or JSON.

    Raises:
        SettingsError: the file is missing or is no plan; the message names the place.
    """
    try:
        return Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(
            f"cannot read the measurement plan {path}: {error.strerror}; set VQI_GAUGE_PLAN"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{path}: {place}: {first['msg'].removeprefix('Value error, ')}") from error
