"""Group commit: all who write at the same time share one transaction, and so one sync to disk."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Write(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    durable: bool
    result: Future[Any]


class GroupCommit:
    """The only writer of a connection; safe to use from several threads.

    There is no thread and no timer of its own: who finds nobody writing commits what waits, its own work
    among it. One client alone pays for nothing but its own transaction.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._waiting: list[_Write] = []
        self._writing = False
        self._changed = threading.Condition()

    def __call__(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Runs `work` in a transaction and returns its result once that is on disk.

        Args:
            work: runs a second time, alone, should another's in the same transaction fail.
            durable: False, if it may be forgotten in a power cut.

        Raises:
            sqlite3.Error: the transaction failed; nothing of `work` remains.
        """
        result: Future[T] = Future()
        with self._changed:
            self._waiting.append(_Write(work, durable, result))
            self._changed.wait_for(lambda: result.done() or not self._writing)
            if result.done():
                return result.result()
            self._writing = True
            group, self._waiting = self._waiting, []
        try:
            self._commit(group)
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
        return result.result()

    def close(self) -> None:
        """Closes the connection when nobody is writing."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writing)
            self._db.close()

    def _commit(self, group: Sequence[_Write]) -> None:
        try:
            found = self._transaction(group)
        except Exception as error:
            if len(group) == 1:
                group[0].result.set_exception(error)
                return
            for write in group:
                self._commit([write])
        else:
            for write, value in zip(group, found, strict=True):
                write.result.set_result(value)

    def _transaction(self, group: Sequence[_Write]) -> list[Any]:
        if self._db.in_transaction:  # an earlier rollback failed, with its disk
            self._db.execute("rollback")
        durable = any(write.durable for write in group)
        self._db.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
        self._db.execute("begin immediate")
        try:
            found = [write.work(self._db) for write in group]
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:  # SQLite ends it by itself when the disk is full
                self._db.execute("rollback")
            raise
        return found
