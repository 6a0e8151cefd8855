"""The file stays within its bound, and says so before it refuses; nothing that must stay is removed."""

from __future__ import annotations

import logging
import os
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from inspection.errors import OutboxError
from inspection.settings import Settings
from serving import outbox_file
from serving.outbox import Outbox
from serving.process import REPOSITORY, serve_command
from serving.records import PredictionRecord
from tests.conftest import free_port
from tests.serving.plant import environment
from tests.serving.test_outbox import for_person, prediction, queued, review

BOUND = 16 * 2**20
LARGE = "x" * 400_000


def large(number: int, **changes: object) -> PredictionRecord:
    """Returns a record of which the bound holds some thirty."""
    return prediction(number, image_id=LARGE, **changes)


def there(outbox: Outbox, numbers: range) -> list[int]:
    return [number for number in numbers if outbox.find(uuid.UUID(int=number)) is not None]


def send(outbox: Outbox) -> None:
    for kind in ("predictions", "reviews"):
        outbox.mark_sent(kind, [one.sequence for one in outbox.unsent(kind, 1000)])


def fill(outbox: Outbox, first: int) -> int:
    """Adds large records from a number on, until one is refused; returns that one's number."""
    for number in range(first, first + 100):
        try:
            outbox.add(large(number))
        except OutboxError:
            return number
    raise AssertionError("the outbox has no bound")


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*") if "shm" not in file.name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    opened = Outbox(path, BOUND)
    yield opened
    opened.close()


def test_the_oldest_that_are_sent_go_first(
    outbox: Outbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_file, "PRUNED", 2)
    for number in range(12):
        # A clock that is set back: the later a record is written, the older it says it is.
        outbox.add(large(number, predicted_at=datetime(2026, 1, 31 - number, tzinfo=UTC)))
    send(outbox)
    assert there(outbox, range(12)) == list(range(12))  # room is not short
    removed = 0
    for number in range(12, 60):
        outbox.add(large(number))
        send(outbox)
        left = there(outbox, range(number + 1))
        assert left == list(range(left[0], number + 1))
        removed = left[0]
        assert not outbox.full
    assert removed > 20
    assert size(path) <= BOUND


def test_what_waits_for_a_person_stays_until_it_is_decided(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_file, "PRUNED", 2)
    for number in range(4):
        outbox.add(for_person(number))
    outbox.add_review(review(1, inspection=1))
    send(outbox)
    outbox.add_review(review(2, inspection=2))  # which the warehouse does not have
    for number in range(4, 60):
        outbox.add(large(number))
        outbox.mark_sent("predictions", [one.sequence for one in outbox.unsent("predictions", 10)])
    assert there(outbox, range(4)) == [0, 2, 3]
    assert outbox.reviews(uuid.UUID(int=1)) == []
    assert len(outbox.reviews(uuid.UUID(int=2))) == 1
    assert queued(outbox, 10) == [0, 3]

    send(outbox)
    for number in range(60, 100):
        outbox.add(large(number))
        send(outbox)
    assert there(outbox, range(4)) == [0, 3]
    assert outbox.reviews(uuid.UUID(int=2)) == []


def test_a_record_that_the_warehouse_refuses_stays(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_file, "PRUNED", 2)
    outbox.add(prediction(1))
    outbox.mark_refused("predictions", 1, "no such thing")
    for number in range(2, 60):
        outbox.add(large(number))
        send(outbox)
    assert there(outbox, range(20)) == [1]


def test_it_tells_that_it_is_full_before_it_refuses(
    outbox: Outbox, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    number = 0
    while not outbox.full:
        outbox.add(large(number))
        number += 1
    told = f"{number - 1} records are not in the warehouse, 0 parts wait for people"
    assert told in caplog.text  # when the last was about to be added
    assert REGISTRY.get_sample_value("vqi_outbox_full") == 1

    failed = REGISTRY.get_sample_value("vqi_outbox_failed_writes_total") or 0
    refused = fill(outbox, number)
    assert refused > number
    assert REGISTRY.get_sample_value("vqi_outbox_failed_writes_total") == failed + 1
    assert there(outbox, range(refused + 1)) == list(range(refused))
    assert outbox.count_unsent() == refused
    assert size(path) <= BOUND + 2 * len(LARGE)

    outbox.add_review(review(1, inspection=0))  # a decision is taken all the same
    send(outbox)
    assert not outbox.full
    assert "the outbox has room again" in caplog.text
    assert REGISTRY.get_sample_value("vqi_outbox_full") == 0
    outbox.add(large(refused))


def test_a_lowered_bound_is_kept_from_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_file, "PRUNED", 2)
    first = Outbox(path, 2 * BOUND)
    for number in range(50):
        first.add(large(number))
    send(first)
    first.close()
    again = Outbox(path, BOUND)
    left = there(again, range(50))
    assert 20 < len(left) < 40
    assert left[-1] == 49
    again.add(large(50))
    again.close()


def test_a_file_of_an_earlier_version_waits_only_for_what_is_undecided(path: Path) -> None:
    first = Outbox(path)
    first.add(for_person(1))
    first.add(for_person(2))
    first.add_review(review(1, inspection=1))
    first._file.db.execute("update predictions set for_person = 1")  # which a review did not change
    first.close()
    again = Outbox(path)
    assert queued(again, 10) == [2]
    again.close()


def test_a_disk_that_takes_nothing_loses_nothing(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    outbox.add(prediction(1))
    outbox._file.db.execute("pragma max_page_count = 1")  # SQLite: no fewer than there are
    for number in range(2, 10):
        with pytest.raises(OutboxError, match="database or disk is full"):
            outbox.add(large(number))
    assert caplog.text.count("takes no records") == 1
    assert there(outbox, range(10)) == [1]

    outbox._file.db.execute("pragma max_page_count = 1000000")
    outbox.add(large(2))
    assert there(outbox, range(10)) == [1, 2]
    assert "takes records again" in caplog.text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48M", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("reserve", [outbox_file.RESERVE, -(2**40)], ids=["noticed", "without looking"])
def test_a_full_disk_refuses_and_goes_on_when_there_is_room(
    small_disk: Path, reserve: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_file, "RESERVE", reserve)
    outbox = Outbox(small_disk / "outbox.sqlite")
    outbox.add(large(0))
    disk = os.statvfs(small_disk)
    with (small_disk / "another").open("wb") as other:
        os.posix_fallocate(other.fileno(), 0, disk.f_bavail * disk.f_frsize)
    refused = fill(outbox, 1)
    assert outbox.full == (reserve > 0)
    assert there(outbox, range(refused + 1)) == list(range(refused))
    (small_disk / "another").unlink()
    outbox.add(large(refused))
    assert there(outbox, range(refused + 1)) == list(range(refused + 1))
    outbox.close()


def test_its_own_growth_leaves_the_disk_room_to_mark_and_remove(small_disk: Path) -> None:
    outbox = Outbox(small_disk / "outbox.sqlite")
    refused = fill(outbox, 0)
    assert outbox.full
    send(outbox)
    assert not outbox.full
    outbox.add(large(refused))
    outbox.close()


@pytest.mark.parametrize("damage", ["a page", "the head"])
def test_a_damaged_file_is_told_and_not_replaced(path: Path, damage: str) -> None:
    first = Outbox(path)
    for number in range(200):
        first.add(prediction(number, image_id="x" * 2000))
    first.close()
    content = bytearray(path.read_bytes())
    begin = 0 if damage == "the head" else len(content) // 2 // 4096 * 4096
    content[begin : begin + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(OutboxError, match=r"is damaged \(.*repair-the-outbox") as caught:
        Outbox(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").mkdir()
    with pytest.raises(OutboxError, match=r"cannot be used .*see that its disk is there"):
        Outbox(tmp_path / "outbox.sqlite")


def test_the_service_does_not_start_on_a_damaged_outbox(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, service_port=free_port())
    (tmp_path / "outbox.sqlite").write_bytes(b"no database" * 1000)
    started = subprocess.run(
        serve_command(settings),
        cwd=REPOSITORY,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert started.returncode == 1
    (line,) = (line for line in started.stderr.splitlines() if line.startswith("Error"))
    assert "is damaged (file is not a database)" in line
    assert "Traceback" not in started.stderr
