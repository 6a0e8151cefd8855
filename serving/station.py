"""Everything that one running service owns, put together and taken apart in one place."""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store
from inspection.tuning import choose_lanes
from serving.forwarder import Forwarder
from serving.inspector import Inspector
from serving.keys import Keyring, load_keys
from serving.lanes import Lanes
from serving.metrics import CameraLines
from serving.models import ModelFollower
from serving.outbox import Outbox

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Station:
    """The parts of a service; `close` ends them."""

    settings: Settings
    keyring: Keyring
    outbox: Outbox
    models: ModelFollower
    lanes: Lanes
    forwarder: Forwarder
    cameras: CameraLines

    def close(self) -> None:
        """Ends the threads, work in progress first, and closes the outbox."""
        self.lanes.close()
        self.models.stop()
        self.forwarder.stop()
        self.outbox.close()


def open_station(settings: Settings) -> Station:
    """Loads the production model, if there is one, and starts following and forwarding.

    Raises:
        SettingsError: a setting makes no sense on this machine.
    """
    keyring = load_keys(settings.api_keys)
    if not keyring.keys:
        log.warning("no API keys are set up (VQI_API_KEYS): only this machine is answered")
    outbox = Outbox(settings.root / "outbox.sqlite")
    plan = choose_lanes(settings)
    models = ModelFollower(ModelRegistry(open_store(settings.artifacts_url)), settings, plan)
    cameras = CameraLines(settings.calibration)
    inspector = Inspector(models, outbox, settings, audit_secret(settings.root / "audit.secret"), cameras)
    lanes = Lanes(inspector, settings, plan.lanes)
    station = Station(settings, keyring, outbox, models, lanes, Forwarder(outbox, settings), cameras)
    models.poll()
    models.start()
    station.forwarder.start()
    return station


def audit_secret(path: Path) -> bytes:
    """Reads the secret of the audit draw, or makes one: who knew it could keep a part out of the audit."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_hex(32), encoding="ascii")
        temporary.replace(path)
    return bytes.fromhex(path.read_text(encoding="ascii").strip())


def the_station(request: Request) -> Station:
    """Returns the station behind a request; a dependency of the routes."""
    station: Station = request.app.state.station
    return station
