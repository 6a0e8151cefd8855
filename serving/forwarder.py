"""Sends what is in the outbox to the warehouse, in batches, for as long as it takes.

The warehouse's keys make a repeated batch harmless, so a record is marked as sent only after the
warehouse has it: a crash in between sends it again and changes nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extras import execute_values

from inspection.errors import OutboxError, SettingsError
from inspection.settings import Settings
from serving import metrics
from serving.outbox import Kind, Outbox, Unsent
from serving.records import PredictionRecord, ReviewRecord

log = logging.getLogger(__name__)

BATCH = 200
GATHER = 0.2  # seconds in which records come together: a commit for each would cost the parts in work more
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds between attempts while the warehouse is away
AWAY = (psycopg2.Error, SettingsError, OutboxError)
POISON = (psycopg2.DataError, psycopg2.IntegrityError, ValueError)
COLUMNS: dict[Kind, list[str]] = {
    "predictions": list(PredictionRecord.model_fields),
    "reviews": list(ReviewRecord.model_fields),
}


class Forwarder(threading.Thread):
    """The thread; `stop` ends it."""

    def __init__(self, outbox: Outbox, settings: Settings) -> None:
        super().__init__(name="forwarder", daemon=True)
        self._outbox = outbox
        self._settings = settings
        self._pause = FIRST_PAUSE
        self._stopping = threading.Event()

    def stop(self, timeout: float = 10) -> None:
        """Ends the thread; what is unsent stays in the outbox for the next start."""
        self._stopping.set()
        self._outbox.written.set()
        self.join(timeout)

    def run(self) -> None:
        """Connects, sends, and begins again after a growing pause when the warehouse goes away."""
        while not self._stopping.is_set():
            try:
                metrics.OUTBOX_UNSENT.set(self._outbox.count_unsent())
                with closing(_connect(self._settings.dsn("warehouse"))) as warehouse:
                    self._send_all(warehouse)
            except AWAY as error:
                reason = str(error).strip().splitlines()[0]
                log.warning("records wait in the outbox, next attempt in %.1f s: %s", self._pause, reason)
            except Exception:
                # This thread must outlive whatever there is: without it the outbox fills.
                log.exception("records wait in the outbox, next attempt in %.1f s", self._pause)
            self._stopping.wait(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _send_all(self, warehouse: Connection) -> None:
        while not self._stopping.is_set():
            self._outbox.written.clear()
            sent = sum(send_batch(self._outbox, warehouse, kind) for kind in COLUMNS)
            if self._pause > FIRST_PAUSE and sent:
                log.info("the warehouse is back")
                self._pause = FIRST_PAUSE
            metrics.OUTBOX_UNSENT.set(self._outbox.count_unsent())
            if sent == 0:
                self._outbox.written.wait()
                self._stopping.wait(GATHER)


def _connect(dsn: str) -> Connection:
    return psycopg2.connect(
        dsn,
        connect_timeout=5,
        # A warehouse that has vanished from the network is noticed in seconds, not in a quarter of an hour.
        keepalives_idle=5,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=15_000,
    )


def send_batch(outbox: Outbox, warehouse: Connection, kind: Kind) -> int:
    """Sends the oldest unsent records of a kind; returns how many there were.

    A batch that the warehouse refuses for its contents is sent record by record, and the one at fault
    is set aside with the reason.

    Raises:
        psycopg2.Error: the warehouse is away or not set up.
    """
    batch = outbox.unsent(kind, BATCH)
    if not batch:
        return 0
    try:
        _insert(warehouse, kind, batch)
        _mark_sent(outbox, kind, batch)
    except POISON:
        for unsent in batch:
            _send_one(outbox, warehouse, kind, unsent)
    return len(batch)


def _send_one(outbox: Outbox, warehouse: Connection, kind: Kind, unsent: Unsent) -> None:
    try:
        _insert(warehouse, kind, [unsent])
    except POISON as error:
        reason = str(error).strip().splitlines()[0]
        log.error("the warehouse refuses a record of %s for good: %s: %s", kind, reason, unsent.record)
        metrics.OUTBOX_REFUSED.inc()
        outbox.mark_refused(kind, unsent.sequence, reason)
    else:
        _mark_sent(outbox, kind, [unsent])


def _mark_sent(outbox: Outbox, kind: Kind, batch: list[Unsent]) -> None:
    outbox.mark_sent(kind, [unsent.sequence for unsent in batch])
    metrics.OUTBOX_SENT.inc(len(batch))


def _insert(warehouse: Connection, kind: Kind, batch: list[Unsent]) -> None:
    columns = COLUMNS[kind]
    statement = f"insert into inference.{kind} ({', '.join(columns)}) values %s on conflict do nothing"
    records = [json.loads(unsent.record) for unsent in batch]
    with warehouse, warehouse.cursor() as cursor:
        # A record of an earlier version lacks the newest columns.
        values = [[_value(record.get(name)) for name in columns] for record in records]
        execute_values(cursor, statement, values)


def _value(value: Any) -> Any:  # noqa: ANN401 (a JSON value)
    return json.dumps(value) if isinstance(value, dict | list) else value
