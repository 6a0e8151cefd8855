"""What does it cost that a verdict is on disk before its answer leaves?

Ours with 1, 4 and 8 threads, beside a loop of SQLite that commits each record, the same loop behind a lock
for 4 and 8 threads (one sync each, in turn), and the disk's own floor, a bare write and `fdatasync`. All
write the same kind of record, in turns within one run, on the disk of VQI_HOME.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.ingest import machine
from inspection.judgement import Action, Prediction
from inspection.progress import report
from inspection.settings import get_settings
from serving.outbox import Outbox
from serving.records import PredictionRecord

Result = dict[str, Any]
Write = Callable[[PredictionRecord], object]

ROUNDS, RECORDS = 80, 40
"""Of so many records in each round, with each number of threads."""
CROWDS = (4, 8)


def run() -> Result:
    """Takes about two minutes on a disk that syncs in four milliseconds."""
    root = get_settings().root
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=root) as name, ExitStack() as opened:
        folder = Path(name)
        ours = opened.enter_context(closing(Outbox(folder / "ours")))
        writers: list[tuple[str, Write, int]] = [
            ("fdatasync", opened.enter_context(_bare_file(folder / "file")), 1),
            ("sqlite", opened.enter_context(_bare_sqlite(folder / "sqlite")), 1),
            ("ours", ours.add, 1),
        ]
        for threads in CROWDS:
            locked = opened.enter_context(_bare_sqlite(folder / f"sqlite-{threads}"))
            writers += [(f"sqlite_{threads}", locked, threads), (f"ours_{threads}", ours.add, threads)]
        milliseconds: dict[str, list[float]] = {name: [] for name, _, _ in writers}
        rates: dict[str, list[float]] = {name: [] for name, _, _ in writers}
        for number in range(ROUNDS):
            report("rounds", number, ROUNDS)
            for name, write, threads in writers:
                took, rate = _measure(write, threads)
                milliseconds[name] += took
                rates[name].append(rate)
        report("rounds", ROUNDS, ROUNDS)
    p50 = {name: float(np.median(took)) for name, took in milliseconds.items()}
    per_second = {name: float(np.median(found)) for name, found in rates.items()}
    ratios = {
        "p50_over_fdatasync": p50["ours"] / p50["fdatasync"],
        "p50_over_sqlite": p50["ours"] / p50["sqlite"],
    }
    for threads in CROWDS:
        ratios[f"p50_{threads}_over_sqlite"] = p50[f"ours_{threads}"] / p50[f"sqlite_{threads}"]
        ratios[f"throughput_{threads}_over_sqlite"] = (
            per_second[f"ours_{threads}"] / per_second[f"sqlite_{threads}"]
        )
    measured = {
        **{f"{name}_p50_ms": value for name, value in p50.items()},
        **{f"{name}_p99_ms": float(np.percentile(took, 99)) for name, took in milliseconds.items()},
        **{f"{name}_per_s": value for name, value in per_second.items()},
    }
    return {
        "name": "outbox",
        "machine": machine(),
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "measured": {name: round(value, 2) for name, value in measured.items()},
    }


def _measure(write: Write, threads: int) -> tuple[list[float], float]:
    """Returns the milliseconds of each write, and writes a second."""
    records = [_record() for _ in range(RECORDS)]

    def timed(record: PredictionRecord) -> float:
        begun = time.perf_counter()
        write(record)
        return 1000 * (time.perf_counter() - begun)

    with ThreadPoolExecutor(threads) as pool:
        begun = time.perf_counter()
        took = list(pool.map(timed, records))
        return took, len(took) / (time.perf_counter() - begun)


@contextmanager
def _bare_file(path: Path) -> Iterator[Write]:
    with path.open("ab", buffering=0) as file:

        def write(record: PredictionRecord) -> None:
            file.write(record.model_dump_json(by_alias=True).encode())
            os.fdatasync(file.fileno())

        yield write


@contextmanager
def _bare_sqlite(path: Path) -> Iterator[Write]:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("create table records (id text primary key, record text not null)")
        lock = threading.Lock()

        def write(record: PredictionRecord) -> None:
            values = (str(record.inspection_id), record.model_dump_json(by_alias=True))
            with lock:
                db.execute("insert into records values (?, ?)", values)

        yield write


def _record() -> PredictionRecord:
    classes = [f"class-{number}" for number in range(5)]
    return PredictionRecord(
        inspection_id=uuid.uuid4(),
        image_id="img-0001",
        part_serial="SN-0001",
        part_type="shaft",
        camera_id="cam-line-a-03",
        model_version="0" * 64,
        ontology_version="1.0.0",
        prediction=Prediction.PASS,
        defects=(),
        probabilities=dict.fromkeys(classes, 0.0123456789),
        overall_confidence=0.9876,
        inference_time_ms=67.8,
        timings_ms=dict.fromkeys(
            ("wait", "look_up", "decode", "camera", "normalise", "infer", "decide"), 1.234
        ),
        recommended_action=Action.ACCEPT,
        auto_action=Action.ACCEPT,
        route_reason=None,
        review_probability=0.05,
        routed_to="next_station",
        image_sha256="0" * 64,
        thresholds=dict.fromkeys(classes, 0.5),
        captured_at=None,
        predicted_at=datetime.now(UTC),
    )
