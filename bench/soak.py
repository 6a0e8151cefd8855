"""Does the service stay as it is? Minutes at line rate beside a shadow model: memory, errors, availability.

``vqi bench soak`` tells the figures; ``python -m bench.soak`` draws the memory as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.ingest import machine, own_server
from bench.serve.hostile import LOAD, drive, line_parts
from bench.serve.load import crowd
from bench.serve.memory import Sample, sampled
from bench.serve.model import approve, photographs, store_model
from bench.serve.stacks import Stack, our_service
from inspection.plotting import figure_of, png, style
from inspection.registry import ModelRegistry
from inspection.simulation.line import LinePart
from inspection.store import open_store
from inspection.tuning import LanePlan, cores

Result = dict[str, Any]

SECONDS = 600.0
LOOKS = 60
WARM_UP_CLIENTS, WARM_UP_SECONDS = 4, 10.0
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "soak.png"


def run(seconds: float = SECONDS) -> Result:
    """Starts a service with a production and a shadow model and keeps it busy for so long."""
    plan = LanePlan(threads=cores(), lanes=cores(), crowded_threads=1)
    with own_server() as settings:
        production, shadow = (store_model(settings, seed) for seed in (0, 1))
        approve(settings, production)
        registry = ModelRegistry(open_store(settings.artifacts_url))
        registry.start_shadow(shadow, actor="bench", reason="it is measured")
        images = photographs()
        with our_service(settings, plan) as stack:
            rate = LOAD * crowd(stack, images, WARM_UP_CLIENTS, WARM_UP_SECONDS)
            measured, memory = soak(stack, line_parts(images, settings.root / "line"), rate, seconds)
    return {
        "name": "soak",
        "machine": machine(),
        "ratios": {"memory_last_over_first": measured["last_quarter_mib"] / measured["first_quarter_mib"]},
        "measured": {name: round(value, 3) for name, value in measured.items()},
        "memory": [[round(value, 1) for value in sample] for sample in memory],
    }


def soak(
    stack: Stack, parts: Sequence[LinePart], rate: float, seconds: float
) -> tuple[dict[str, float], list[Sample]]:
    """Posts parts at a rate; returns the figures and the memory, looked at `LOOKS` times."""
    with sampled(stack, seconds / LOOKS) as memory:
        figures = drive(stack, parts, rate, seconds).figures()
    quarter = len(memory) // 4
    slope, _ = np.polyfit([sample.seconds for sample in memory], [sample.mib for sample in memory], 1)
    return {
        "seconds": figures.seconds,
        "parts": figures.parts,
        "per_s": figures.rate,
        "errors": figures.parts - figures.statuses.get("200", 0),
        "tried_again": figures.retried,
        "availability": figures.answered / figures.parts,
        **{name: value for name, value in figures.latency.model_dump().items() if value is not None},
        "first_quarter_mib": float(np.median([sample.mib for sample in memory[:quarter]])),
        "last_quarter_mib": float(np.median([sample.mib for sample in memory[-quarter:]])),
        "slope_mib_per_hour": float(slope) * 3600,
    }, memory


def draw(memory: Sequence[Sequence[float]]) -> bytes:
    """Draws the memory over time; returns a PNG."""
    with figure_of(1, (6, 2.5)) as (figure, (axes,)):
        seconds, mib = zip(*memory, strict=True)
        axes.plot(seconds, mib, **style(0))
        top = 1.2 * max(mib)
        axes.set(xlabel="seconds at line rate", ylabel="memory of its own, MiB", ylim=(0, top))
        return png(figure)


if __name__ == "__main__":
    found = run()
    print(json.dumps(found))
    PICTURE.write_bytes(draw(found["memory"]))
