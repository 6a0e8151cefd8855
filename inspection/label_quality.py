"""Whether the labels are good enough to learn from: measured values against limits from a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inspection.errors import SettingsError
from inspection.warehouse import transaction

DEFAULT_LIMITS = Path(__file__).with_name("label_limits.yaml")


class AgreementLimit(BaseModel):
    """Agreement that has to be exceeded, and what happens where it is not.

    Attributes:
        above: share of pairs of annotators, 0 to 1; a bare number in the file is this alone.
        stops_training: whether too little stops training, or the model profiles in which it does;
            otherwise it is a warning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    above: float = Field(ge=0, le=1)
    stops_training: bool | frozenset[str] = False

    @model_validator(mode="before")
    @classmethod
    def _bare_number(cls, value: object) -> object:
        return {"above": value} if isinstance(value, int | float) else value

    def stops(self, profile: str) -> bool:
        """Tells whether too little agreement stops training with a model profile."""
        if isinstance(self.stops_training, bool):
            return self.stops_training
        return profile in self.stops_training


class AgreementLimits(BaseModel):
    """Agreement of pairs of annotators that has to be exceeded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overall: AgreementLimit
    safety_critical: AgreementLimit
    clean: AgreementLimit
    pairs: dict[str, AgreementLimit] = Field(default_factory=dict)


class LabelLimits(BaseModel):
    """What the labels are held to.

    Attributes:
        agreement: of annotators.
        minimum_rows: images that a training set needs, by model profile.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    agreement: AgreementLimits
    minimum_rows: dict[str, int]


@dataclass(frozen=True)
class Agreement:
    """Agreement in one scope against its limit.

    Attributes:
        kind: which of `AgreementLimits` it is held against.
        scope: row of ``marts.label_agreement``.
        pairs: pairs of annotators behind the rate; 0 makes the check not applicable.
        rate: share that agrees, 0 to 1.
        kappa: agreement beyond chance, -1 to 1.
        low: lower end of the two-sided 95 % interval of `rate`; likewise `high`.
        limit: what `rate` has to exceed.
        stops_training: whether training must not begin with less.
    """

    kind: str
    scope: str
    pairs: int
    rate: float | None
    kappa: float | None
    low: float | None
    high: float | None
    limit: float
    stops_training: bool

    @property
    def status(self) -> str:
        """``passed``, ``failed``, or ``not applicable`` where nobody can agree or not."""
        if self.rate is None:
            return "not applicable"
        return "passed" if self.rate > self.limit else "failed"


def load_limits(path: Path) -> LabelLimits:
    """Reads limits from a YAML file.

    Raises:
        SettingsError: the file is missing or holds something else.
    """
    try:
        return LabelLimits.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}; set VQI_LABEL_LIMITS") from error
    except (ValidationError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} holds no label limits: {error}") from error


def measure_agreement(dsn: str, limits: AgreementLimits, profile: str) -> tuple[Agreement, ...]:
    """Holds ``marts.label_agreement`` against the limits, in the classes of the ontology in force.

    Args:
        dsn: libpq URI of the warehouse, with the label marts built.
        limits: by kind of class.
        profile: of the model that would be trained.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(
            "select defect_class, clean, safety_critical from marts.dim_defect_class order by class_position"
        )
        classes = warehouse.fetchall()
        warehouse.execute(
            "select scope, pairs, agreement_rate, kappa, agreement_low, agreement_high"
            " from marts.label_agreement"
        )
        measured = {scope: row for scope, *row in warehouse.fetchall()}
    wanted = [("overall", "overall", limits.overall), *_class_limits(classes, limits)]
    wanted += [("pairs", f"pair:{pair}", limit) for pair, limit in limits.pairs.items()]
    found = []
    for kind, scope, limit in wanted:
        pairs, rate, kappa, low, high = measured.get(scope, [0, None, None, None, None])
        stops = limit.stops(profile)
        found.append(Agreement(kind, scope, pairs, rate, kappa, low, high, limit.above, stops))
    return tuple(found)


def _class_limits(
    classes: list[tuple[str, bool, bool]], limits: AgreementLimits
) -> Iterator[tuple[str, str, AgreementLimit]]:
    for defect_class, clean, safety_critical in classes:
        if clean:
            yield "clean", f"class:{defect_class}", limits.clean
        elif safety_critical:
            yield "safety_critical", f"class:{defect_class}", limits.safety_critical
