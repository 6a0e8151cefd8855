"""The unit of systemd and the container file, as far as they can be checked without running them."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

from tests.deploy.tools import DEPLOY, run

UNIT = DEPLOY / "systemd" / "vqi-service.service"
CONTAINER = DEPLOY / "container" / "Containerfile"


class Repeated(dict[str, str]):
    """Keeps every value of a key that a unit repeats, a line each."""

    def __setitem__(self, key: str, value: object) -> None:
        value = "\n".join(value) if isinstance(value, list) else str(value)
        super().__setitem__(key, f"{self[key]}\n{value}" if key in self else value)


def service() -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT, encoding="utf-8")
    return dict(parser["Service"])


def test_the_unit_starts_the_service_again_and_lets_it_finish() -> None:
    told = service()
    assert told["Restart"] == "always"
    assert int(told["TimeoutStopSec"]) >= 30  # an upload, its deadline, and the outbox
    assert told["KillMode"] == "mixed"  # the server ends its worker by itself, once that has answered


def test_the_unit_is_confined() -> None:
    told = service()
    for option in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "ProtectKernelModules", "DynamicUser"):
        assert told[option] == "yes", option
    assert told["ProtectSystem"] == "strict"
    assert told["CapabilityBoundingSet"] == ""
    assert re.fullmatch(r"\d+G", told["MemoryMax"])


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    # The paths of an edge box are not here.
    text = UNIT.read_text(encoding="utf-8")
    text = text.replace("/opt/vqi/venv/bin/python", sys.executable).replace("/opt/vqi/bento", str(tmp_path))
    unit = tmp_path / UNIT.name
    unit.write_text(text, encoding="utf-8")
    run("systemd-analyze", "verify", unit)
    run("systemd-analyze", "security", "--offline=true", "--threshold=25", unit)


def test_the_container_file_has_no_slip() -> None:
    run(str(Path(sys.executable).with_name("hadolint")), CONTAINER)


def test_the_container_is_not_root_and_keeps_its_state_apart() -> None:
    lines = CONTAINER.read_text(encoding="utf-8").splitlines()
    assert "USER 10001" in lines
    assert "VOLUME /var/lib/vqi" in lines
    assert sum(line.startswith("FROM ") for line in lines) == 2
