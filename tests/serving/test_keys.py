"""Who may call which route."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from inspection.errors import SettingsError
from serving.keys import KeyRole, check_host, hash_secret, load_keys, new_key
from serving.station import Station
from tests.serving.conftest import Client, connect
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE

ROLES: tuple[KeyRole, ...] = get_args(KeyRole)
SECRETS = {role: new_key(f"{role}-1", role) for role in ROLES}
MISSING = "00000000-0000-0000-0000-000000000000"
REVIEW = {"json": {"inspector_id": "anna", "decision": "PASS"}}
REASON = {"json": {"reason": "because"}}

# What each role may do; whoever may not gets 403.
ROUTES = [
    ("POST", ROUTE, {"params": METADATA, "content": GOOD, "headers": PNG}, {"line"}),
    ("GET", f"/api/v1/inspections/{MISSING}", {}, {"viewer", "inspector", "engineer"}),
    ("GET", "/api/v1/queue", {}, {"viewer", "inspector", "engineer"}),
    ("GET", f"/api/v1/inspections/{MISSING}/image", {}, {"viewer", "inspector", "engineer"}),
    ("GET", f"/api/v1/inspections/{MISSING}/heatmap", {}, {"viewer", "inspector", "engineer"}),
    ("GET", "/api/v1/parts/none", {}, {"line", "viewer", "inspector", "engineer"}),
    ("POST", f"/api/v1/inspections/{MISSING}/review", REVIEW, {"inspector"}),
    ("POST", f"/api/v1/inspections/{MISSING}/override", REVIEW, {"inspector"}),
    ("GET", "/api/v1/models", {}, {"viewer", "inspector", "engineer"}),
    ("POST", "/api/v1/models/none/approve", REASON, {"engineer"}),
    ("POST", "/api/v1/models/none/rollback", REASON, {"engineer"}),
    ("POST", "/api/v1/models/rollback", REASON, {"engineer"}),
    ("POST", "/api/v1/auto-pass/resume", REASON, {"engineer"}),
]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [key.model_dump() for _, key in SECRETS.values()]}))
    return path


@pytest.fixture
def guarded(station: Station, key_file: Path) -> Iterator[Client]:
    with connect(replace(station, keyring=load_keys(key_file))) as connected:
        yield connected


@pytest.mark.parametrize(
    ("method", "url", "options", "allowed"), ROUTES, ids=[f"{r[0]} {r[1]}" for r in ROUTES]
)
def test_each_role_on_each_route(
    guarded: Client, method: str, url: str, options: dict[str, object], allowed: set[str]
) -> None:
    headers = options.get("headers", {})
    for role in ROLES:
        given = options | {"headers": headers | {"Authorization": f"Bearer {SECRETS[role][0]}"}}  # type: ignore[operator]
        status = guarded(method, url, **given).status_code
        assert (status == 403) == (role not in allowed), f"{role}: {status}"
        assert status != 401
    for wrong in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {SECRETS['line'][0]}"}):
        answer = guarded(method, url, **(options | {"headers": headers | wrong}))  # type: ignore[operator]
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


def test_secrets_are_kept_as_hashes_only(key_file: Path) -> None:
    text = key_file.read_text()
    for secret, key in SECRETS.values():
        assert secret not in text
        assert key.sha256 == hash_secret(secret)
    assert len({secret for secret, _ in SECRETS.values()}) == len(ROLES)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"keys": []}', '{"keys": [{"name": "a", "role": "king", "sha256": "00"}]}'],
)
def test_a_key_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match="VQI_API_KEYS"):
        load_keys(path)


def test_a_missing_key_file_is_no_open_door(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="VQI_API_KEYS"):
        load_keys(tmp_path / "none.json")


def test_without_keys_only_this_machine_is_served(key_file: Path) -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        check_host(host, load_keys(None))
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.com"):
        with pytest.raises(SettingsError, match="without API keys"):
            check_host(host, load_keys(None))
        check_host(host, load_keys(key_file))


def test_without_keys_another_machine_is_turned_away(station: Station) -> None:
    with_client = Client(station)
    with_client._transport.client = ("192.168.1.5", 1234)
    with with_client.runner:
        answer = with_client("GET", "/api/v1/models")
    assert answer.status_code == 403
    assert "VQI_API_KEYS" in answer.json()["detail"]
