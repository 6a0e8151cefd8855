"""What the line notices of a shadow: the service at a steady rate, with and without one, in turn."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Sequence

import numpy as np

from bench.serve.hostile import LOAD, drive, latencies
from bench.serve.model import approve, store_model
from bench.serve.stacks import Stack
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.simulation.line import LinePart
from inspection.store import open_store
from vqi.supervisor import wait_until

TURNS, SECONDS = 3, 25.0
LOADING_SECONDS = 60


def measure(
    settings: Settings, stack: Stack, parts: Sequence[LinePart], capacity: float, seconds: float = SECONDS
) -> dict[str, float]:
    """Measures a service.

    Args:
        settings: of its home, whose registry it follows.
        stack: the service.
        parts: that the cameras show.
        capacity: images a second that it judges.
        seconds: of a turn.
    """
    registry = ModelRegistry(open_store(settings.artifacts_url))
    production = registry.production() or ""
    shadow = store_model(settings, seed=1)
    found: dict[str, list[float]] = {"shadow_alone": [], "shadow": []}
    for _ in range(TURNS):
        for name, taken in found.items():
            if name == "shadow":
                registry.start_shadow(shadow, actor="bench", reason="it is measured")
            else:
                approve(settings, production)  # which ends the shadow
            wait_until(
                _settled(stack, shadow, loaded=name == "shadow"),
                LOADING_SECONDS,
                "the service does not follow the registry: see its log",
            )
            taken += latencies(drive(stack, parts, LOAD * capacity, seconds))
    return {
        f"{name}_p{level}_ms": float(np.percentile(taken, level))
        for name, taken in found.items()
        for level in (50, 99)
    }


def _settled(stack: Stack, model: str, *, loaded: bool) -> Callable[[], bool]:
    return lambda: _is_loaded(stack, model) == loaded


def _is_loaded(stack: Stack, model: str) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{stack.port}/metrics", headers=dict(stack.reader))
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # on this machine
        lines = answer.read().decode().splitlines()
    told = [line for line in lines if line.startswith("vqi_model_info{")]
    return any('role="shadow"' in line and model[:12] in line and line.endswith(" 1.0") for line in told)
