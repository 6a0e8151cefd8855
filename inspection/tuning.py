"""How many parts a processor judges at a time, and with how many threads each: measured once per machine.

One part alone is quickest with several threads; many parts are quickest with a thread each, and where one
becomes the other depends on the machine. `vqi tune` measures it and the service reads what it wrote.
"""

from __future__ import annotations

import logging
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inspection.errors import SettingsError
from inspection.imaging import Preprocessing, load_frame, to_tensor
from inspection.runtime import OnnxModel
from inspection.settings import Settings

log = logging.getLogger(__name__)

ROUNDS = 15
"""Of each number of threads for a part alone, in turn; their median counts."""
CROWD = 12
"""Parts per lane in a measurement of many parts."""
CROWD_ROUNDS = 3


class LanePlan(BaseModel):
    """What a service works with.

    Attributes:
        threads: of a part that is alone; 0 leaves the number to ONNX Runtime.
        lanes: parts in work at a time.
        crowded_threads: of each part while others are in work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(ge=0)
    lanes: int = Field(ge=1)
    crowded_threads: int = Field(ge=1)


class Tuning(LanePlan):
    """What `vqi tune` found, and where.

    Attributes:
        machine: on which it holds.
        model: id of the bundle that was measured.
        alone_ms: milliseconds from bytes to probabilities, by number of threads.
        crowded_per_second: parts a second, by "lanes x threads".
    """

    machine: str
    model: str
    alone_ms: dict[str, float]
    crowded_per_second: dict[str, float]


def machine() -> str:
    """Returns what a measurement of threads depends on beside the model."""
    import onnxruntime

    return f"{_processor()}, {cores()} cores, onnxruntime {onnxruntime.__version__}"


def cores() -> int:
    """Returns the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def choose_lanes(settings: Settings) -> LanePlan:
    """Returns what the service shall work with: what is set, else what was measured, else a core a part.

    A measurement that does not hold here is told in the log and not used: parts are judged all the same,
    perhaps more slowly, and a line that stood still for it would be worse.
    """
    found = LanePlan(threads=cores(), lanes=cores(), crowded_threads=1)
    if settings.provider != "cpu":
        # One part decodes while the GPU judges another.
        found = LanePlan(threads=0, lanes=2, crowded_threads=1)
    elif settings.tuning_file.exists():
        try:
            found = read_tuning(settings.tuning_file)
        except SettingsError as error:
            log.warning("%s; until then each part gets a core", error)
    told = {
        "threads": settings.threads,
        "lanes": settings.service_concurrency,
        "crowded_threads": settings.crowded_threads,
    }
    return found.model_copy(update={name: value for name, value in told.items() if value is not None})


def tune(
    model: bytes,
    model_id: str,
    preprocessing: Preprocessing,
    images: Sequence[bytes],
    progress: Callable[[int, int], None],
) -> Tuning:
    """Measures a model on this machine, which should have nothing else to do.

    Args:
        model: contents of ``model.onnx``.
        model_id: of its bundle.
        preprocessing: of its bundle.
        images: files as the cameras send them; each is judged in turn.
        progress: told the steps done and all steps.

    Raises:
        ImageError: an image cannot be read.
    """
    counts = _powers(cores())
    networks = {count: OnnxModel(model, threads=count, batch_size=1) for count in counts}
    shared = {count: OnnxModel(model, threads=count, crowded_threads=count, batch_size=1) for count in counts}

    def judge(network: OnnxModel, number: int) -> None:
        frame = load_frame(images[number % len(images)], preprocessing)
        network.run(to_tensor(frame.pixels[None], preprocessing))

    crowds = [(lanes, count) for count in counts for lanes in _powers(cores()) if lanes * count <= cores()]
    steps = ROUNDS + CROWD_ROUNDS
    alone: dict[int, list[float]] = {count: [] for count in counts}
    for turn in range(ROUNDS):
        progress(turn, steps)
        for count, network in networks.items():
            begun = time.perf_counter()
            judge(network, turn)
            alone[count].append(1000 * (time.perf_counter() - begun))
    rates: dict[tuple[int, int], list[float]] = {crowd: [] for crowd in crowds}
    for turn in range(CROWD_ROUNDS):
        progress(ROUNDS + turn, steps)
        for lanes, count in crowds:
            with ThreadPoolExecutor(lanes) as pool:
                begun = time.perf_counter()
                list(pool.map(lambda n, network=shared[count]: judge(network, n), range(CROWD * lanes)))
                rates[lanes, count].append(CROWD * lanes / (time.perf_counter() - begun))
    progress(steps, steps)
    # The first of each warms up.
    milliseconds = {count: statistics.median(times[1:]) for count, times in alone.items()}
    per_second = {crowd: statistics.median(found) for crowd, found in rates.items()}
    lanes, crowded_threads = max(per_second, key=per_second.__getitem__)
    return Tuning(
        threads=min(milliseconds, key=milliseconds.__getitem__),
        lanes=lanes,
        crowded_threads=crowded_threads,
        machine=machine(),
        model=model_id,
        alone_ms={str(count): round(value, 2) for count, value in milliseconds.items()},
        crowded_per_second={f"{lanes} x {n}": round(value, 2) for (lanes, n), value in per_second.items()},
    )


def read_tuning(file: Path) -> LanePlan:
    """Reads what `vqi tune` wrote.

    Raises:
        SettingsError: it is damaged, or was measured on another machine.
    """
    try:
        found = Tuning.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise SettingsError(f"{file} cannot be used: run `vqi tune` again ({error})") from error
    if found.machine != machine():
        raise SettingsError(
            f"{file} was measured on {found.machine}, and this is {machine()}: run `vqi tune` again"
        )
    return LanePlan(threads=found.threads, lanes=found.lanes, crowded_threads=found.crowded_threads)


def _powers(most: int) -> list[int]:
    """Returns 1, 2, 4 ... and the most itself."""
    return sorted({*(2**power for power in range(most.bit_length())), most})


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
