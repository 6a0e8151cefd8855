"""Those who write at the same time share a sync, and no one's failure is another's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.group_commit import GroupCommit


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(tmp_path / "file", isolation_level=None, check_same_thread=False)
    opened.execute("pragma journal_mode = wal")
    opened.execute("create table numbers (number integer primary key)")
    yield opened
    opened.close()


@pytest.fixture
def statements(db: sqlite3.Connection) -> list[str]:
    """What is executed from now on."""
    found: list[str] = []
    db.set_trace_callback(found.append)
    return found


def insert(number: int) -> Callable[[sqlite3.Connection], int]:
    def work(db: sqlite3.Connection) -> int:
        db.execute("insert into numbers values (?)", (number,))
        return number

    return work


def numbers(db: sqlite3.Connection) -> list[int]:
    return [number for (number,) in db.execute("select number from numbers order by 1")]


def write_while_busy(
    commit: GroupCommit, until: Callable[[Callable[[], bool]], None], wanted: list[int]
) -> list[Future[int]]:
    """Writes numbers from a thread each, all of which find a transaction under way."""
    free = threading.Event()
    with ThreadPoolExecutor(1 + len(wanted)) as pool:
        pool.submit(commit, lambda db: free.wait(20))
        until(lambda: commit._writing)
        written = [pool.submit(commit, insert(number)) for number in wanted]
        until(lambda: len(commit._waiting) == len(wanted))
        free.set()
    return written


def test_who_waits_is_committed_together(
    db: sqlite3.Connection, statements: list[str], until: Callable[[Callable[[], bool]], None]
) -> None:
    written = write_while_busy(GroupCommit(db), until, list(range(8)))
    assert [one.result() for one in written] == list(range(8))
    assert statements.count("commit") == 2  # of the one that was under way, and of the eight
    assert numbers(db) == list(range(8))


def test_one_that_fails_does_not_take_the_others_with_it(
    db: sqlite3.Connection, until: Callable[[Callable[[], bool]], None]
) -> None:
    commit = GroupCommit(db)
    commit(insert(3))
    *good, bad = write_while_busy(commit, until, [1, 2, 3])
    assert [one.result() for one in good] == [1, 2]
    assert isinstance(bad.exception(), sqlite3.IntegrityError)
    assert numbers(db) == [1, 2, 3]


def test_a_failed_write_leaves_nothing_and_the_next_one_works(db: sqlite3.Connection) -> None:
    def fail(db: sqlite3.Connection) -> None:
        insert(1)(db)
        raise OSError("the disk")

    commit = GroupCommit(db)
    with pytest.raises(OSError, match="the disk"):
        commit(fail)
    assert commit(insert(2)) == 2
    assert numbers(db) == [2]


def test_a_transaction_that_a_failed_disk_left_open_is_ended(db: sqlite3.Connection) -> None:
    db.execute("begin immediate")
    insert(1)(db)
    assert GroupCommit(db)(insert(2)) == 2
    assert numbers(db) == [2]


@pytest.mark.parametrize(("durable", "mode"), [(True, "full"), (False, "normal")])
def test_it_waits_for_the_disk_where_it_must(
    db: sqlite3.Connection, statements: list[str], durable: bool, mode: str
) -> None:
    GroupCommit(db)(insert(1), durable=durable)
    assert statements[0] == f"pragma synchronous = {mode}"


def test_many_threads(db: sqlite3.Connection) -> None:
    commit = GroupCommit(db)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: commit(insert(number)), range(400))) == list(range(400))
    assert numbers(db) == list(range(400))
