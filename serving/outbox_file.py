"""The outbox's file: opened and checked, written by group commit, and kept within its bound."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from inspection.errors import OutboxError
from serving import metrics
from serving.group_commit import GroupCommit

log = logging.getLogger(__name__)

T = TypeVar("T")

PRUNE_FROM = 0.8  # of the room: the oldest that are sent and decided go
FULL_FROM = 0.9  # and where none of those are left, every part goes to a person
PRUNED = 256  # at a time; more than the forwarder marks at a time
LONGEST_JOURNAL = 8 * 2**20  # bytes of the write-ahead log that stay when it has been taken over
RESERVE = 32 * 2**20  # bytes of the disk that are left for marks, removals and the write-ahead log

_SCHEMA = """
begin;
create table if not exists predictions (
    sequence      integer primary key,
    inspection_id text not null,
    role          text not null,
    for_person    integer not null,    -- until a person has decided
    record        text not null,
    sent_at       text,                -- when it reached the warehouse
    refused       text,                -- why the warehouse will never take it
    unique (inspection_id, role)
);
create table if not exists reviews (
    sequence      integer primary key,
    review_id     text not null unique,
    inspection_id text not null,
    record        text not null,
    sent_at       text,
    refused       text
);
create index if not exists unsent_predictions on predictions (sequence)
    where sent_at is null and refused is null;
create index if not exists unsent_reviews on reviews (sequence)
    where sent_at is null and refused is null;
create index if not exists reviews_of on reviews (inspection_id);
create index if not exists for_person on predictions (sequence) where for_person;
create index if not exists parts on predictions (json_extract(record, '$.part_serial'))
    where role = 'production';
create index if not exists removable on predictions (sequence) where sent_at is not null and not for_person;
-- An earlier version left it standing.
update predictions as p set for_person = 0
where for_person and exists (select 1 from reviews as r where r.inspection_id = p.inspection_id);
commit;
"""
UNSENT = "sent_at is null and refused is null"
COUNT_UNSENT = f"""
select (select count(*) from predictions where {UNSENT}) + (select count(*) from reviews where {UNSENT})
"""
_PRUNE = """
delete from predictions where sequence in (
    select sequence from predictions as p
    where sent_at is not null and not for_person
        and not exists (
            select 1 from reviews as r where r.inspection_id = p.inspection_id and r.sent_at is null
        )
    order by sequence limit ?
) returning inspection_id
"""
_PRUNE_REVIEWS = """
delete from reviews as r where inspection_id = ?
    and not exists (select 1 from predictions as p where p.inspection_id = r.inspection_id)
"""
_REMEDY = (
    "bring the warehouse (VQI_WAREHOUSE_DSN) back, have people decide on the parts that wait for them, "
    "or give more room with VQI_OUTBOX_MAX_BYTES and on the disk"
)


class OutboxFile:
    """The open file; safe to use from several threads.

    What the warehouse has and no person need see is removed, the oldest first, once room gets short. SQLite
    fills the freed pages before the file grows, so it stays within its bound without a vacuum.

    Attributes:
        db: the connection that writes.
        full: room is short, and what takes it must not go.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Opens or makes the file; what was written before a crash is there.

        Args:
            path: of the file; its write-ahead log lies beside it.
            max_bytes: of both together.

        Raises:
            OutboxError: the file is damaged, or its disk does not let it be used.
        """
        self._path, self._journal = path, path.with_name(f"{path.name}-wal")
        self._max_bytes = max_bytes
        self.full = self._failing = False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.db = _connect(path)
            self.db.executescript(_SCHEMA)
            (found,) = self.db.execute("pragma quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            self._reader = _connect(path)  # reads do not wait for the sync of a write
        except sqlite3.Error as error:
            raise OutboxError(_why_unusable(path, error)) from error
        self._reading = threading.Lock()
        self._commit = GroupCommit(self.db)
        while self._share(self.db) > PRUNE_FROM and self.write(_prune):  # the bound may have been lowered
            pass
        self.write(self.take_stock)

    def close(self) -> None:
        """Closes the file."""
        with self._reading:
            self._reader.close()
        self._commit.close()

    def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Runs `work` in a transaction, as `GroupCommit` does.

        Raises:
            OutboxError: the disk did not take it; nothing of it remains.
        """
        try:
            result = self._commit(work, durable=durable)
        except sqlite3.Error as error:
            metrics.OUTBOX_FAILED_WRITES.inc()
            if not self._failing:
                log.error("the outbox %s takes no records: %s", self._path, error)
            self._failing = True
            raise OutboxError(f"the outbox cannot be written ({error}): let a person look") from error
        if self._failing:
            log.warning("the outbox takes records again")
        self._failing = False
        return result

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Returns the rows of a query.

        Raises:
            OutboxError: the disk did not give them.
        """
        try:
            with self._reading:
                return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutboxError(f"the outbox cannot be read ({error}): let a person look") from error

    def check_room(self, db: sqlite3.Connection) -> bool:
        """Takes stock; tells whether one more verdict may be written."""
        if self.take_stock(db) < 1:
            return True
        metrics.OUTBOX_FAILED_WRITES.inc()
        return False

    def take_stock(self, db: sqlite3.Connection) -> float:
        """Removes what may go if room is short; returns the share of the room that is taken."""
        share, removed = self._share(db), 0
        if share > PRUNE_FROM:
            removed = _prune(db)
            share = self._share(db)
        full = share > FULL_FROM and removed < PRUNED
        if full and not self.full:
            (unsent,) = db.execute(COUNT_UNSENT).fetchone()
            (waiting,) = db.execute("select count(*) from predictions where for_person").fetchone()
            log.error(
                "the outbox is full and every part goes to a person: %d records are not in the warehouse, "
                "%d parts wait for people; %s",
                unsent,
                waiting,
                _REMEDY,
            )
        elif self.full and not full:
            log.warning("the outbox has room again, parts go their own way")
        self.full = full
        metrics.OUTBOX_FULL.set(full)
        return share

    def _share(self, db: sqlite3.Connection) -> float:
        (pages,) = db.execute("pragma page_count").fetchone()
        (unused,) = db.execute("pragma freelist_count").fetchone()
        (page,) = db.execute("pragma page_size").fetchone()
        journal = self._journal.stat().st_size
        disk = os.statvfs(self._path)
        spare = max(0, disk.f_bavail * disk.f_frsize - RESERVE)
        room = min(self._max_bytes, pages * page + journal + spare)
        return float(((pages - unused) * page + journal) / room)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute(f"pragma journal_size_limit = {LONGEST_JOURNAL}")
    return db


def _prune(db: sqlite3.Connection) -> int:
    """Removes the oldest that the warehouse has and no person need see; returns how many."""
    removed = db.execute(_PRUNE, (PRUNED,)).fetchall()
    db.executemany(_PRUNE_REVIEWS, removed)
    return len(removed)


def _why_unusable(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # `quick_check` gives no code
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            f"the outbox {path} is damaged ({' '.join(str(error).split())}), and may hold verdicts that the "
            "warehouse lacks: recover them as docs/how-to/repair-the-outbox.md says"
        )
    return f"the outbox {path} cannot be used ({error}): see that its disk is there, writable and has room"
