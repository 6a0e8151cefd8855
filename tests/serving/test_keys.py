"""The file of keys, and that a running service follows it."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest

from inspection.errors import SettingsError
from inspection.settings import Settings
from serving.guard import check_host
from serving.keys import KeyFollower, KeyRole, create_key, hash_secret, load_keys, revoke_key

ROLES: tuple[KeyRole, ...] = get_args(KeyRole)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Settings(home=tmp_path / "home").keys_file


def names(file: Path) -> list[str]:
    keys = load_keys(file, required=True).keys
    assert keys is not None
    return [key.name for key in keys]


def test_the_file_keeps_hashes_only_and_is_its_owners_alone(file: Path) -> None:
    secrets = {role: create_key(file, f"{role}-1", role) for role in ROLES}
    assert len(set(secrets.values())) == len(ROLES)
    keyring = load_keys(file, required=True)
    for role, secret in secrets.items():
        assert len(secret) >= 43  # 256 bits
        assert secret not in file.read_text()
        key = keyring.identify(secret)
        assert key is not None
        assert (key.name, key.role, key.sha256) == (f"{role}-1", role, hash_secret(secret))
    assert keyring.identify("nonsense") is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(found.name for found in file.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_the_service_can_read_what_the_administrator_writes(file: Path) -> None:
    file.parent.mkdir()
    if os.geteuid() == 0:
        os.chown(file.parent, 12345, 12345)
    create_key(file, "line-a", "line")
    assert file.stat().st_uid == file.parent.stat().st_uid


def test_many_hands_lose_no_key(file: Path) -> None:
    wanted = {f"key-{number}" for number in range(24)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: create_key(file, name, "line"), wanted))
    assert set(names(file)) == wanted


def test_a_revoked_key_is_gone_and_the_last_one_leaves_a_shut_door(file: Path) -> None:
    secret = create_key(file, "a", "line")
    create_key(file, "b", "viewer")
    assert revoke_key(file, "a") == 1
    assert load_keys(file, required=True).identify(secret) is None
    assert revoke_key(file, "b") == 0
    assert load_keys(file, required=False).keys == ()
    assert load_keys(file.with_name("none.json"), required=False).keys is None


@pytest.mark.parametrize("name", ["", "a" * 65, "a\nb", "a\x7f"])
def test_names_that_are_none_are_refused(file: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be called"):
        create_key(file, name, "line")
    assert not file.exists()


def test_misuse_says_what_to_do(file: Path) -> None:
    create_key(file, "a", "line")
    before = file.read_bytes()
    with pytest.raises(SettingsError, match="take another name"):
        create_key(file, "a", "viewer")
    with pytest.raises(SettingsError, match="vqi keys list"):
        revoke_key(file, "b")
    assert file.read_bytes() == before
    below = file / "below.json"  # a file is no folder
    with pytest.raises(SettingsError, match="cannot be written"):
        create_key(below, "a", "line")


KEY = {"name": "a", "role": "line", "sha256": "0" * 64}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\x00",
        json.dumps({"keys": [KEY | {"role": "king"}]}),
        json.dumps({"keys": [KEY | {"sha256": "00"}]}),
        json.dumps({"keys": [KEY | {"secret": "x"}]}),
        json.dumps({"keys": [KEY, KEY]}),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(SettingsError, match="VQI_API_KEYS") as told:
        load_keys(file, required=False)
    assert "\n" not in str(told.value)
    with pytest.raises(SettingsError):
        create_key(file, "b", "line")
    assert file.read_text() == text


def test_a_missing_file_that_is_configured_is_no_open_door(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, api_keys=tmp_path / "none.json")
    with pytest.raises(SettingsError, match="vqi keys create"):
        KeyFollower(settings)


def test_without_keys_only_this_machine_is_served(file: Path) -> None:
    keyless = load_keys(file, required=False)
    for host in ("127.0.0.1", "::1", "localhost"):
        check_host(host, keyless)
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.com"):
        with pytest.raises(SettingsError, match="without API keys"):
            check_host(host, keyless)
    create_key(file, "a", "line")
    revoke_key(file, "a")
    check_host("0.0.0.0", load_keys(file, required=False))


# A running service


@pytest.fixture
def follower(file: Path) -> Iterator[KeyFollower]:
    following = KeyFollower(Settings(home=file.parent))
    yield following
    following.stop()


def test_it_follows_the_file(file: Path, follower: KeyFollower) -> None:
    assert follower.keyring.keys is None
    secret = create_key(file, "a", "line")
    follower.poll()
    assert follower.keyring.identify(secret) is not None
    revoke_key(file, "a")
    follower.poll()
    assert follower.keyring.keys == ()


@pytest.mark.parametrize("trouble", ["broken", "gone", "a folder"])
def test_trouble_with_the_file_changes_nothing_and_is_told_once(
    file: Path, follower: KeyFollower, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = create_key(file, "a", "line")
    content = file.read_bytes()
    follower.poll()
    file.unlink()
    if trouble == "broken":
        file.write_text('{"keys": [')
    elif trouble == "a folder":
        file.mkdir()
    follower.poll()
    follower.poll()
    assert follower.keyring.identify(secret) is not None
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert str(file) in told[0].getMessage()

    if trouble == "a folder":
        file.rmdir()
    file.write_bytes(content)
    create_key(file, "b", "line")
    follower.poll()
    assert follower.keyring.keys is not None
    assert [key.name for key in follower.keyring.keys] == ["a", "b"]
