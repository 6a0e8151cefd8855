"""Everything that one running service owns, put together and taken apart in one place."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from fastapi import Request
from pydantic import BaseModel, TypeAdapter, ValidationError

from inspection.camera_health import CameraHealth, CameraLimits, Key, Reference
from inspection.image_quality import ImageQuality
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store
from inspection.tuning import choose_lanes
from serving.forwarder import Forwarder
from serving.inspector import Inspector
from serving.kept import KeptImages
from serving.keys import KeyFollower
from serving.lanes import Lanes
from serving.metrics import CameraLines
from serving.models import ModelFollower
from serving.outbox import Outbox
from serving.shadow import ShadowLane
from serving.uploads import Uploads

log = logging.getLogger(__name__)

RECALLED = 4096
"""Verdicts that are read at the start: for a dozen cameras all that they remember."""


@dataclass(frozen=True)
class Station:
    """The parts of a service; `close` ends them."""

    settings: Settings
    keys: KeyFollower
    outbox: Outbox
    kept: KeptImages
    models: ModelFollower
    cameras: CameraHealth
    lanes: Lanes
    shadow: ShadowLane
    uploads: Uploads
    forwarder: Forwarder
    lines: CameraLines

    def close(self) -> None:
        """Ends the threads, work in progress first, and closes the outbox."""
        self.lanes.close()
        self.shadow.stop()
        self.keys.stop()
        self.models.stop()
        self.forwarder.stop()
        self.outbox.close()


def open_station(settings: Settings) -> Station:
    """Loads the production model, if there is one, and starts following and forwarding.

    Raises:
        SettingsError: a setting makes no sense on this machine.
        OutboxError: the outbox is damaged, or its disk does not let it be used.
    """
    keys = KeyFollower(settings)
    if keys.keyring.keys is None:
        log.warning("no API keys are set up (`vqi keys create`): only this machine is answered")
    outbox = open_outbox(settings)
    kept = KeptImages(
        settings.root / "kept", settings.kept_max_bytes, settings.kept_days, waits=outbox.waits_for_person
    )
    plan = choose_lanes(settings)
    store = open_store(settings.artifacts_url)
    models = ModelFollower(ModelRegistry(store), settings, plan)
    lines = CameraLines(settings.calibration)
    health = camera_health(settings.root / "cameras.json", settings.camera_limits)
    recall_pictures(health, outbox)
    secret = audit_secret(settings.root / "audit.secret")
    inspector = Inspector(models, outbox, kept, settings, secret, lines, health)
    lanes = Lanes(inspector, settings, plan.lanes)
    shadow = ShadowLane(ModelRegistry(store), outbox, settings, lanes.idle)
    uploads, forwarder = Uploads(settings.upload_seconds), Forwarder(outbox, settings)
    station = Station(settings, keys, outbox, kept, models, health, lanes, shadow, uploads, forwarder, lines)
    models.poll()
    models.start()
    shadow.start()
    keys.start()
    station.forwarder.start()
    return station


def open_outbox(settings: Settings) -> Outbox:
    """Opens the outbox of a home.

    Raises:
        OutboxError: as `Outbox`.
    """
    return Outbox(settings.root / "outbox.sqlite", settings.outbox_max_bytes)


def camera_health(file: Path, limits: CameraLimits) -> CameraHealth:
    """Begins with the references in a file, and keeps those there that are learnt.

    A file that cannot be read is told in the log, and the cameras learn again: no part waits for it.
    """
    references: dict[Key, Reference] = {}
    if file.exists():
        try:
            for known in _REFERENCES.validate_json(file.read_bytes()):
                references[known.camera_id, known.part_type] = known.reference
        except ValidationError as error:
            log.error("the cameras learn their references again: %s cannot be used: %s", file, error)

    def keep(found: Mapping[Key, Reference]) -> None:
        learnt = [KnownCamera(camera_id=c, part_type=p, reference=r) for (c, p), r in found.items()]
        temporary = file.with_suffix(".new")
        temporary.write_bytes(_REFERENCES.dump_json(learnt, indent=2))
        temporary.replace(file)

    return CameraHealth(limits, references, keep)


def recall_pictures(health: CameraHealth, outbox: Outbox) -> None:
    """Has the cameras' newest pictures of before this start known."""
    measures = {measure.name for measure in fields(ImageQuality)}
    for record in outbox.newest(RECALLED):
        # Another version may have measured something else.
        quality = ImageQuality(**record.image_quality) if record.image_quality.keys() == measures else None
        health.recall(
            (record.camera_id, record.part_type),
            record.part_serial or record.image_id,
            record.image_sha256,
            quality,
            record.camera_fault,
        )


class KnownCamera(BaseModel):
    """A reference in the file."""

    camera_id: str
    part_type: str | None
    reference: Reference


_REFERENCES = TypeAdapter(list[KnownCamera])


def audit_secret(path: Path) -> bytes:
    """Reads the secret of the audit draw, or makes one: who knew it could keep a part out of the audit."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_hex(32), encoding="ascii")
        temporary.replace(path)
    return bytes.fromhex(path.read_text(encoding="ascii").strip())


async def the_station(request: Request) -> Station:
    """Returns the station behind a request; a dependency of the routes, asynchronous to need no thread."""
    station: Station = request.app.state.station
    return station
