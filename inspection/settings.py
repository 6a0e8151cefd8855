"""The only reader of the environment. All else gets a typed `Settings`.

Everything has an embedded default under ``VQI_HOME`` (``.vqi`` in the working directory); a DSN
in the environment replaces the embedded database of the same name. What fills the embedded sources may
leave defaults of its own in ``plant.json`` there: an imported data set wants another split policy.
"""

from __future__ import annotations

import json
import platform
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SourceError

from inspection.alert_rules import AlertLimits
from inspection.camera_health import CameraLimits
from inspection.errors import SettingsError

DATABASES = ("quality_vision", "qms", "erp", "warehouse", "dagster")
PLANT_FILE = "plant.json"


def _anchored(path: Path) -> Path:
    # Libraries change the working directory of the process, dbt's among them: what is relative is so to
    # where the program was started.
    return path.expanduser().absolute()


AnchoredPath = Annotated[Path, AfterValidator(_anchored)]


class RateLimits(BaseModel):
    """Requests a minute that the service takes with one key, by its role.

    Attributes:
        line: a plant's cameras may share one key.
        wrong_key: without a valid key, from one address.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: int = Field(default=30_000, ge=1)
    inspector: int = Field(default=1200, ge=1)
    engineer: int = Field(default=1200, ge=1)
    viewer: int = Field(default=1200, ge=1)
    wrong_key: int = Field(default=60, ge=1)


class Settings(BaseSettings):
    """Where things are. Field ``x`` is the environment variable ``VQI_X``.

    Attributes:
        home: folder of all local state.
        quality_vision_dsn: libpq URI of a source database; likewise the four after it. ``None``
            means the embedded server; read them through `dsn`.
        artifacts: folder or ``s3://bucket/prefix`` of the object store.
        image_root: folder that ``image_path`` in the source is relative to (the NAS).
        ontology: taxonomy file; ``None`` means the one published under ``home``, or the default.
        api_keys: file of hashed API keys, which `vqi keys` writes; ``None`` means ``keys.json`` under `home`.
            Where there is none, the service binds to loopback only.
        rate_limits: requests a minute by role; as JSON in the environment, what it leaves out keeps its
            default.
        tls_certificate: PEM file, with the chain where there is one; `tls_key` is the file of its key. With
            them the service speaks HTTPS alone.
        notify: notification URLs, separated by blanks.
        profile: name of the model profile (see `inspection.profiles`).
        alerts: limits of the alert rules; as JSON in the environment, what it leaves out keeps its default.
        label_limits: file of what the labels are held to; ``None`` means the default of `label_limits_file`.
        gauge_plan: file that says where on a part each dimension is measured; ``None`` means the default
            of `gauge_plan_file`. One without parts switches the dimension gauge off.
        split_policy: how training, validation and test are dealt (see `inspection.splits`).
        split_window_days: how far back before its date a split release reaches.
        source_timeout_seconds: reading one table of the plant takes no longer, or is given up.
        precision: of the model in the service; one that its bundle does not offer is refused.
        provider: where the model runs in the service; a provider that is missing is an error.
        threads: threads that judge a part while no other is in work; 0 leaves the number to ONNX Runtime,
            None takes what `vqi tune` measured (see `inspection.tuning`). Likewise `crowded_threads` while
            others are in work.
        service_concurrency: parts that are worked on at a time, None as for `threads`; `service_queue` more
            may wait, and beyond those the service answers 503.
        deadline_ms: a part without a verdict after this time goes to a person.
        upload_seconds: a client that takes longer to send one image is cut off.
        confidence_threshold: below it a person looks at the part; routing only.
        camera_limits: when a camera is not believed; as JSON in the environment, what it leaves out keeps
            its default.
        station_id: name of this service in its records.
        kept_max_bytes: of the images that are kept of parts for people; those that people have decided on
            make room, and when the others fill it, images are not kept.
        kept_days: after which the image of a decided part is removed.
        part_window_seconds: verdicts on one part serial belong together unless there is a longer gap between
            them.
        outbox_max_bytes: of the file of verdicts and reviews; near it, and without anything left to remove,
            every part goes to a person, and beyond it the service answers 503.
        audit_share: share of automatically accepted and rejected parts that a person looks at.
        shadow_hours: how long a shadow runs before it may be promoted, and how far back it is compared.
        shadow_parts: that both models must have judged by then.
        shadow_tolerance: by which its error may be worse with 95 % confidence, as a share of all parts.
        promote_by_rule: a shadow that passes `inspection.promotion` takes over without a person.
        new_annotations_for_training: how many annotations since the last split release start a training.
    """

    model_config = SettingsConfigDict(env_prefix="VQI_", env_ignore_empty=True, frozen=True, extra="ignore")

    home: AnchoredPath = Field(default=Path(".vqi"), validate_default=True)

    quality_vision_dsn: str | None = None
    qms_dsn: str | None = None
    erp_dsn: str | None = None
    warehouse_dsn: str | None = None
    dagster_dsn: str | None = None

    artifacts: str | None = None
    image_root: AnchoredPath | None = None
    calibration_dir: AnchoredPath | None = None
    ontology: AnchoredPath | None = None
    api_keys: AnchoredPath | None = None
    rate_limits: RateLimits = RateLimits()
    tls_certificate: AnchoredPath | None = None
    tls_key: AnchoredPath | None = None
    notify: SecretStr = SecretStr("")
    profile: str = "demo"
    alerts: AlertLimits = AlertLimits()
    new_annotations_for_training: int = Field(default=500, ge=1)
    label_limits: AnchoredPath | None = None
    gauge_plan: AnchoredPath | None = None
    split_policy: Literal["chronological", "grouped"] = "chronological"
    split_window_days: int = Field(default=180, ge=1)
    source_timeout_seconds: float = Field(default=900, gt=0)
    ray_address: str | None = Field(default=None, validation_alias="RAY_ADDRESS")

    provider: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    threads: int | None = Field(default=None, ge=0)
    crowded_threads: int | None = Field(default=None, ge=1)
    service_concurrency: int | None = Field(default=None, ge=1)
    service_queue: int = Field(default=50, ge=0)
    deadline_ms: int = Field(default=5000, gt=0)
    upload_seconds: float = Field(default=10, gt=0)
    confidence_threshold: float = Field(default=0.8, ge=0, le=1)
    camera_limits: CameraLimits = CameraLimits()
    station_id: str = Field(default_factory=platform.node)
    audit_share: float = Field(default=0.05, gt=0, le=1)
    kept_max_bytes: int = Field(default=8 * 2**30, ge=0)
    kept_days: float = Field(default=30, ge=0)
    part_window_seconds: float = Field(default=600, gt=0)
    outbox_max_bytes: int = Field(default=2 * 2**30, ge=16 * 2**20)

    shadow_hours: float = Field(default=48, gt=0)
    shadow_parts: int = Field(default=1000, ge=1)
    shadow_tolerance: float = Field(default=0.02, ge=0, lt=1)
    promote_by_rule: bool = False

    host: str = "127.0.0.1"
    postgres_port: int = 54329
    dagster_port: int = 3070
    service_port: int = 3000
    docs_port: int = 3080

    @model_validator(mode="before")
    @classmethod
    def _of_the_plant(cls, values: dict[str, Any]) -> dict[str, Any]:
        file = Path(values.get("home") or cls.model_fields["home"].default).expanduser() / PLANT_FILE
        if not file.is_file():
            return values
        return {**json.loads(file.read_text(encoding="utf-8")).get("settings", {}), **values}

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("VQI_TLS_CERTIFICATE and VQI_TLS_KEY go together: set both or neither")
        return self

    @property
    def root(self) -> Path:
        """`home`, absolute."""
        return self.home.expanduser().resolve()

    @property
    def password_file(self) -> Path:
        """The embedded server's password, mode 0600."""
        return self.root / "postgres.password"

    def dsn(self, database: str) -> str:
        """Returns the libpq URI of one of `DATABASES`.

        Raises:
            SettingsError: no DSN is set and the embedded server has not been made yet.
        """
        if database not in DATABASES:
            raise SettingsError(f"no database called {database!r}; there are {', '.join(DATABASES)}")
        configured: str | None = getattr(self, f"{database}_dsn")
        return configured or self.embedded_dsn(database)

    def embedded_dsn(self, database: str) -> str:
        """Returns the libpq URI of a database on the embedded server."""
        try:
            password = self.password_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError as error:
            variable = f"VQI_{database.upper()}_DSN"
            raise SettingsError(
                f"no database server under {self.root}: run `vqi up`, or set {variable} to your own"
            ) from error
        return f"postgresql://vqi:{quote(password, safe='')}@127.0.0.1:{self.postgres_port}/{database}"

    def uses_embedded(self, database: str) -> bool:
        """Tells whether a database is on the embedded server."""
        return getattr(self, f"{database}_dsn") is None

    @property
    def keys_file(self) -> Path:
        """The API keys: the configured file, else the one that `vqi keys` makes under `home`."""
        return self.root / "keys.json" if self.api_keys is None else self.api_keys

    @property
    def has_keys(self) -> bool:
        """Tells whether the service asks for keys."""
        return self.api_keys is not None or self.keys_file.exists()

    @property
    def service_url(self) -> str:
        """Where the service answers on this machine."""
        scheme = "http" if self.tls_certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self.service_port}"

    @property
    def artifacts_url(self) -> str:
        """Folder or ``s3://`` URL of the object store."""
        return self.artifacts or str(self.root / "artifacts")

    @property
    def images(self) -> Path:
        """Folder of the original images."""
        return (self.image_root or self.root / "images").expanduser().resolve()

    @property
    def calibration(self) -> Path:
        """Folder of the calibration CSV files."""
        return (self.calibration_dir or self.root / "calibration").expanduser().resolve()

    @property
    def tuning_file(self) -> Path:
        """What `vqi tune` measured on this machine."""
        return self.root / "tuning.json"

    @property
    def published_ontology(self) -> Path:
        """Where `vqi ontology publish` puts the taxonomy in force."""
        return self.root / "ontology.json"

    @property
    def ontology_file(self) -> Path:
        """The taxonomy in force: the configured one, else the published one, else the default."""
        from inspection.ontology import DEFAULT_ONTOLOGY

        if self.ontology is not None:
            return self.ontology.expanduser().resolve()
        return self.published_ontology if self.published_ontology.exists() else DEFAULT_ONTOLOGY

    @property
    def label_limits_file(self) -> Path:
        """What the labels are held to: the configured file, else the default."""
        from inspection.label_quality import DEFAULT_LIMITS

        return DEFAULT_LIMITS if self.label_limits is None else self.label_limits.expanduser().resolve()

    @property
    def gauge_plan_file(self) -> Path:
        """Where dimensions are measured: the configured file, else the default."""
        from inspection.gauge.plan_file import DEFAULT_PLAN

        return DEFAULT_PLAN if self.gauge_plan is None else self.gauge_plan.expanduser().resolve()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Returns the process's settings, read from the environment once.

    Raises:
        SettingsError: a variable holds what its setting cannot be.
    """
    try:
        return Settings()
    except SourceError as error:
        raise SettingsError(f"the environment: {error}: it must be JSON") from error
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # of several settings, which the message names
            raise SettingsError(f"the environment: {first['msg']}") from error
        field, *inner = (str(part) for part in first["loc"])
        place = ".".join([f"VQI_{field.upper()}", *inner])
        raise SettingsError(f"the environment: {place}: {first['msg']}") from error
