"""Remembers what filled the embedded source databases, so that nothing overwrites them unasked.

The note also holds the settings that go with what was filled; the environment goes before them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from inspection.errors import InspectionError
from inspection.settings import PLANT_FILE, Settings, get_settings

SOURCES = ("quality_vision", "qms", "erp")
SIMULATED = "simulated"
IMPORTED = {"split_policy": "grouped", "profile": "imported"}
"""Groups of an imported set span its whole timeline, and its pictures are not the simulator's."""


def marker(settings: Settings) -> Path:
    """Returns the file that says what filled the source databases."""
    return settings.root / PLANT_FILE


def filled_by(settings: Settings) -> str | None:
    """Returns ``simulated`` or ``import:NAME``, or None while they are empty."""
    file = marker(settings)
    return str(json.loads(file.read_text(encoding="utf-8"))["filled_by"]) if file.exists() else None


def check_refill(settings: Settings, kind: str, *, replace: bool) -> None:
    """Refuses to overwrite source tables that something of another kind has filled.

    Args:
        settings: gives the home that keeps the note.
        kind: ``simulated`` or ``import:NAME``: what would fill them now.
        replace: the person said that they may be replaced.

    Raises:
        InspectionError: a source is a database of one's own, or holds somebody else's rows.
    """
    if own := [name for name in SOURCES if not settings.uses_embedded(name)]:
        variables = ", ".join(f"VQI_{name.upper()}_DSN" for name in own)
        raise InspectionError(f"this writes to the embedded databases only: unset {variables} first")
    before = filled_by(settings)
    if before not in (None, kind) and not replace:
        raise InspectionError(
            f"the source databases hold other rows ({before}): use another VQI_HOME, or --replace"
        )


def mark_filled(settings: Settings, kind: str, defaults: Mapping[str, str]) -> None:
    """Notes what has filled the source databases, and the settings that go with it from now on."""
    note = {"filled_by": kind, "settings": dict(defaults)}
    marker(settings).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    get_settings.cache_clear()  # this process has read the settings before
