"""The defect taxonomy as data: classes, aliases, severities, and how a typed label finds its class.

No class name stands in code. The clean class is the one marked ``"clean": true``; every other
class is a defect and, in the order of the file, an output of the model.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inspection.errors import OntologyError

DEFAULT_ONTOLOGY = Path(__file__).parent / "ontologies" / "machined_parts.json"


def normalise_label(text: str) -> str:
    """Returns the form in which labels are compared: case, blanks, ``_``, ``-`` and space are ignored.

    The dbt macro ``normalise_label`` does the same in SQL; a test holds the two together.
    """
    return "".join(text.split()).replace("_", "").replace("-", "").lower()


class DefectClass(BaseModel):
    """One class of the taxonomy.

    Attributes:
        severity_by_area: upper bounds of the share of the image area (0 to 1), one for each level
            but the last; ``None`` means equal steps over the levels.
        action_by_severity: recommended action by severity level; what it leaves out follows the
            default (REWORK, for ``critical`` SCRAP).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    label: str
    description: str = ""
    aliases: tuple[str, ...] = ()
    severity_levels: tuple[str, ...] = ()
    parent: str | None = None
    safety_critical: bool = False
    clean: bool = False
    measured: bool = False
    severity_by_area: tuple[float, ...] | None = None
    action_by_severity: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if not self.clean and not self.severity_levels:
            raise ValueError(f"class {self.id} needs at least one severity level")
        if self.severity_by_area is not None:
            if len(self.severity_by_area) != len(self.severity_levels) - 1:
                raise ValueError(f"class {self.id}: severity_by_area wants one bound fewer than levels")
            if list(self.severity_by_area) != sorted(self.severity_by_area):
                raise ValueError(f"class {self.id}: severity_by_area must ascend")
        unknown = set(self.action_by_severity) - set(self.severity_levels)
        if unknown:
            raise ValueError(f"class {self.id}: action_by_severity names unknown levels {sorted(unknown)}")
        if set(self.action_by_severity.values()) - {"REWORK", "SCRAP"}:
            raise ValueError(f"class {self.id}: an action is REWORK or SCRAP")
        return self

    def severity(self, area_share: float) -> str:
        """Returns the severity level of a defect that covers ``area_share`` (0 to 1) of the image."""
        levels = len(self.severity_levels)
        bounds = self.severity_by_area or tuple((step + 1) / levels for step in range(levels - 1))
        return self.severity_levels[sum(area_share > bound for bound in bounds)]

    def action(self, severity: str) -> str:
        """Returns REWORK or SCRAP for a defect of this class and severity."""
        return self.action_by_severity.get(severity, "SCRAP" if severity == "critical" else "REWORK")


class Ontology(BaseModel):
    """A whole taxonomy; construction fails when it contradicts itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ontology: str
    version: str
    classes: tuple[DefectClass, ...]

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        clean = [c.id for c in self.classes if c.clean]
        if len(clean) != 1:
            raise ValueError(f'exactly one class must have "clean": true, found {clean or "none"}')
        if len(self.classes) < 2:
            raise ValueError("a taxonomy needs at least one defect class beside the clean one")
        owner: dict[str, str] = {}
        for defect_class in self.classes:
            for name in (defect_class.id, *defect_class.aliases):
                if not normalise_label(name):
                    raise ValueError(f"class {defect_class.id}: {name!r} is no name: nothing of it counts")
                other = owner.setdefault(normalise_label(name), defect_class.id)
                if other != defect_class.id:
                    raise ValueError(f"alias {name!r} stands in both {other} and {defect_class.id}")
        if len({c.id for c in self.classes}) != len(self.classes):
            raise ValueError("a class id stands twice")
        return self

    @property
    def clean_class(self) -> DefectClass:
        """The class of a part without defects; it has no model output."""
        return next(c for c in self.classes if c.clean)

    @property
    def defect_classes(self) -> tuple[DefectClass, ...]:
        """The model's outputs, in order."""
        return tuple(c for c in self.classes if not c.clean)

    @property
    def defect_ids(self) -> tuple[str, ...]:
        """The ids of the model's outputs, in order."""
        return tuple(c.id for c in self.defect_classes)

    @property
    def safety_critical_ids(self) -> tuple[str, ...]:
        """The ids of the classes of which none may slip through."""
        return tuple(c.id for c in self.classes if c.safety_critical)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Class id by normalised alias; a class's own id is an alias of it."""
        return {normalise_label(n): c.id for c in self.classes for n in (c.id, *c.aliases)}

    def resolve(self, label: str) -> str | None:
        """Returns the class id that a typed label means, or None when no class claims it."""
        return self.aliases.get(normalise_label(label))

    def __getitem__(self, class_id: str) -> DefectClass:
        for defect_class in self.classes:
            if defect_class.id == class_id:
                return defect_class
        raise OntologyError(f"ontology {self.ontology} {self.version} has no class {class_id!r}")


def load_ontology(path: Path) -> Ontology:
    """Reads and checks a taxonomy file.

    Raises:
        OntologyError: the file is missing, is no JSON, or contradicts itself; the message names
            the place.
    """
    try:
        return parse_ontology(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OntologyError(f"cannot read the ontology {path}: {error.strerror}; set VQI_ONTOLOGY") from error
    except UnicodeDecodeError as error:
        raise OntologyError(f"{path}: no UTF-8 text: save it as UTF-8") from error
    except OntologyError as error:
        raise OntologyError(f"{path}: {error}") from error


def parse_ontology(text: str) -> Ontology:
    """Checks a taxonomy given as JSON text; raises OntologyError as `load_ontology` does."""
    try:
        return Ontology.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise OntologyError(f"no valid JSON: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise OntologyError(f"{place}: {reason}" if place else reason) from error
