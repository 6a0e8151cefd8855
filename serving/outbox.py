"""The outbox: every verdict and review is on this machine's disk before its answer leaves.

SQLite with a write-ahead log and full sync. What has reached the warehouse is marked, and stays for as long
as there is room: the service answers repeated requests, the queue and look-ups from here, so it works without
the warehouse. Order is that of writing, never a time: a clock that is set back changes nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import UUID

from inspection.errors import OutboxError
from inspection.judgement import Action
from serving.outbox_file import COUNT_UNSENT, UNSENT, OutboxFile
from serving.records import PredictionRecord, ReviewRecord, Role

Kind = Literal["predictions", "reviews"]


class Unsent(NamedTuple):
    """A record that the warehouse does not have yet, as JSON."""

    sequence: int
    record: str


class Outbox:
    """The records; safe to use from several threads.

    Attributes:
        written: set when there is something to send.
    """

    def __init__(self, path: Path, max_bytes: int = 2 * 2**30) -> None:
        """Opens or makes the file; what was written before a crash is there.

        Raises:
            OutboxError: the file is damaged, or its disk does not let it be used.
        """
        self._file = OutboxFile(path, max_bytes)
        self.written = threading.Event()

    @property
    def full(self) -> bool:
        """Tells whether room is so short that a person must look at every part."""
        return self._file.full

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def add(self, record: PredictionRecord) -> PredictionRecord:
        """Writes a verdict and returns the one that stands: the first for its inspection and role.

        It is on disk when this returns, a shadow's soon after, and it is `record` itself if that is the one.

        Raises:
            OutboxError: the disk does not take it, or the outbox has reached its bound.
        """
        written = record.model_dump_json(by_alias=True)
        for_person = record.role == "production" and record.recommended_action is Action.HUMAN_INSPECTION
        values = (str(record.inspection_id), record.role, for_person, written)

        def insert(db: sqlite3.Connection) -> str | None:
            if not self._file.check_room(db):
                return None
            db.execute(
                "insert into predictions (inspection_id, role, for_person, record) values (?, ?, ?, ?)"
                " on conflict do nothing",
                values,
            )
            return str(db.execute(_FIND, values[:2]).fetchone()[0])

        # Nobody waits for a shadow's verdict: it may be lost in a power cut, and holds no sync of others up.
        text = self._file.write(insert, durable=record.role == "production")
        if text is None:
            raise OutboxError(
                "the outbox has reached its bound: let a person look, and see the service's log"
            )
        self.written.set()
        return record if text == written else PredictionRecord.model_validate_json(text)

    def find(self, inspection_id: UUID, role: Role = "production") -> PredictionRecord | None:
        """Returns the verdict that counts for an inspection, or the shadow's; None without."""
        rows = self._file.read(_FIND, (str(inspection_id), role))
        return PredictionRecord.model_validate_json(rows[0][0]) if rows else None

    def add_review(self, record: ReviewRecord) -> ReviewRecord:
        """Writes a person's decision and returns the one that stands under its id."""
        review_id, inspection_id = str(record.review_id), str(record.inspection_id)

        def insert(db: sqlite3.Connection) -> str:
            db.execute(
                "insert into reviews (review_id, inspection_id, record) values (?, ?, ?)"
                " on conflict do nothing",
                (review_id, inspection_id, record.model_dump_json()),
            )
            db.execute("update predictions set for_person = 0 where inspection_id = ?", (inspection_id,))
            self._file.take_stock(db)
            return str(
                db.execute("select record from reviews where review_id = ?", (review_id,)).fetchone()[0]
            )

        text = self._file.write(insert)
        self.written.set()
        return ReviewRecord.model_validate_json(text)

    def reviews(self, inspection_id: UUID) -> list[ReviewRecord]:
        """Returns the decisions on a part, oldest first."""
        rows = self._file.read(
            "select record from reviews where inspection_id = ? order by sequence", (str(inspection_id),)
        )
        return [ReviewRecord.model_validate_json(row[0]) for row in rows]

    def queue(self, limit: int) -> list[PredictionRecord]:
        """Returns the parts that wait for a person, oldest first."""
        rows = self._file.read(
            "select record from predictions where for_person order by sequence limit ?", (limit,)
        )
        return [PredictionRecord.model_validate_json(row[0]) for row in rows]

    def unsent(self, kind: Kind, limit: int) -> list[Unsent]:
        """Returns records that the warehouse does not have yet, oldest first."""
        query = f"select sequence, record from {kind} where {UNSENT} order by sequence limit ?"
        return [Unsent(*row) for row in self._file.read(query, (limit,))]

    def count_unsent(self) -> int:
        """Returns how many records the warehouse does not have yet."""
        return int(self._file.read(COUNT_UNSENT)[0][0])

    def mark_sent(self, kind: Kind, sequences: list[int]) -> None:
        """Notes that the warehouse has these; what a power cut makes it forget is sent again."""
        now = datetime.now(UTC).isoformat()

        def mark(db: sqlite3.Connection) -> None:
            db.executemany(
                f"update {kind} set sent_at = ? where sequence = ?",
                [(now, sequence) for sequence in sequences],
            )
            self._file.take_stock(db)

        self._file.write(mark, durable=False)

    def mark_refused(self, kind: Kind, sequence: int, reason: str) -> None:
        """Notes that the warehouse will never take this one, so that the others can go on."""
        update = f"update {kind} set refused = ? where sequence = ?"
        self._file.write(lambda db: db.execute(update, (reason, sequence)))


_FIND = "select record from predictions where inspection_id = ? and role = ?"
