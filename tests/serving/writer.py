"""A process that answers parts without judging them: prints each id once its record is in the outbox.

``python -m tests.serving.writer OUTBOX WAREHOUSE_DSN`` goes on until it is killed.
"""

from __future__ import annotations

import sys
import threading
import uuid
from pathlib import Path

from inspection.settings import Settings
from serving.forwarder import Forwarder
from serving.outbox import Outbox
from tests.serving.test_outbox import prediction

CLIENTS = 4


def write(outbox: Outbox) -> None:
    while True:
        record = prediction(uuid.uuid4().int)
        outbox.add(record)
        sys.stdout.write(f"{record.inspection_id}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    path, dsn = sys.argv[1:]
    opened = Outbox(Path(path))
    Forwarder(opened, Settings(warehouse_dsn=dsn)).start()
    for _ in range(CLIENTS):
        threading.Thread(target=write, args=(opened,)).start()
