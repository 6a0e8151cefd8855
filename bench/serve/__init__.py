"""What does serving cost beside the bare work, and beside other ways to serve the same model?

EfficientNet-B4 at 380 pixels with random weights, photographs of 12 megapixels. All stacks do the same work
(`bench.serve.work`) with the same session settings; ours has its keys, outbox and warehouse on. They take
turns within one run: request by request with one client, seconds by seconds with more. What decoding does to
verdicts is asked of the home's own production model, where there is one: after `make demo`.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from bench.ingest import machine, own_server
from bench.serve import decoding, hostile, overload, shadow
from bench.serve.load import Answer, crowd, timed
from bench.serve.model import LARGE, approve, bundle_folder, photographs, store_model
from bench.serve.stacks import PEERS, Stack, our_service, peer
from bench.serve.work import Work, floor_rate
from inspection.bundle import load_bundle
from inspection.errors import SettingsError
from inspection.progress import report
from inspection.registry import ModelRegistry
from inspection.settings import get_settings
from inspection.store import open_store
from inspection.tuning import LanePlan, cores

Result = dict[str, Any]

ROUNDS, WARM_UP = 300, 100
"""Of one request to each stack in turn; the outbox's write-ahead log has its length after some hundred."""
CROWDS = (4, 8)
TURNS, SECONDS = 3, 4.0
VERDICTS = 60
"""Of the home's own model on photographs decoded in two ways."""
STEPS = 7


def run() -> Result:
    """Measures everything; takes about ten minutes on two cores.

    Raises:
        SettingsError: a peer is not installed.
    """
    for package in ("litserve", "ray.serve"):
        if importlib.util.find_spec(package) is None:
            raise SettingsError(f"{package} is missing: pip install -r requirements-dev.lock")
    plan = LanePlan(threads=cores(), lanes=cores(), crowded_threads=1)
    report("serve", 0, STEPS, "model and photographs")
    with own_server() as settings:
        bundle = store_model(settings)
        approve(settings, bundle)
        images = photographs()
        work = Work(bundle_folder(settings, bundle), plan.threads)
        narrow = Work(bundle_folder(settings, bundle), plan.crowded_threads)
        measured: dict[str, float] = {"image_mb": statistics.mean(map(len, images)) / 1e6}
        with ExitStack() as running:
            report("serve", 1, STEPS, "one client")
            stacks = [running.enter_context(our_service(settings, plan))]
            for name in PEERS:
                folder = settings.root / "peers" / name
                started = peer(name, folder, bundle_folder(settings, bundle), plan.threads)
                stacks.append(running.enter_context(started))
            measured |= _one_client(work, stacks, images)
            report("serve", 2, STEPS, "four and eight clients")
            measured |= _crowds(narrow, stacks, images, plan)
            measured |= {f"{stack.name}_mib": stack.memory_mib() for stack in stacks}
        report("serve", 3, STEPS, "overload")
        with our_service(settings, plan, deadline_ms=overload.DEADLINE_MS) as ours:
            measured |= overload.measure(ours, images, measured["ours_4_clients_per_s"])
        report("serve", 4, STEPS, "hostile requests")
        with our_service(settings, plan, upload_seconds=hostile.UPLOAD_SECONDS) as ours:
            capacity = measured["ours_4_clients_per_s"]
            measured |= hostile.measure(ours, images, settings.root / "line", capacity)
            report("serve", 5, STEPS, "shadow")
            parts = hostile.line_parts(images, settings.root / "shadowed")
            measured |= shadow.measure(settings, ours, parts, capacity)
        report("serve", 6, STEPS, "decoding")
        measured |= decoding.measure(work.preprocessing, images)
        own = get_settings()
        if real := decoding.enlarged(own.images, LARGE):
            found = decoding.measure(work.preprocessing, real)
            measured |= {f"real_{name}": value for name, value in found.items()}
        registry = ModelRegistry(open_store(own.artifacts_url))
        if trained := registry.production():
            measured |= decoding.verdicts(load_bundle(registry.store, trained), photographs(VERDICTS))
        report("serve", STEPS, STEPS)
    return {
        "name": "serve",
        "machine": machine(),
        "ratios": {name: round(value, 3) for name, value in _ratios(measured).items()},
        "measured": {name: round(value, 2) for name, value in measured.items()},
    }


def _one_client(work: Work, stacks: Sequence[Stack], images: Sequence[bytes]) -> dict[str, float]:
    times: dict[str, list[float]] = {"floor": [], **{stack.name: [] for stack in stacks}}
    clients = [(stack.name, stack.asking()) for stack in stacks]
    for number in range(ROUNDS):
        image = images[number % len(images)]
        begun = time.perf_counter()
        work(image)
        found = {"floor": Answer(200, 1000 * (time.perf_counter() - begun))}
        found |= {name: timed(asking, image) for name, asking in clients}
        for name, answer in found.items():
            if answer.status != 200:
                raise RuntimeError(f"{name} answered {answer.status}")
            if number >= WARM_UP:
                times[name].append(answer.milliseconds)
    for _, asking in clients:
        asking.close()
    return {
        f"{name}_p{level}_ms": float(np.percentile(taken, level))
        for name, taken in times.items()
        for level in (50, 95, 99)
    }


def _crowds(work: Work, stacks: Sequence[Stack], images: Sequence[bytes], plan: LanePlan) -> dict[str, float]:
    rates: dict[str, list[float]] = {}
    for _ in range(TURNS):
        rates.setdefault("floor_per_s", []).append(floor_rate(work, images, plan.lanes, SECONDS))
        for clients in CROWDS:
            for stack in stacks:
                name = f"{stack.name}_{clients}_clients_per_s"
                rates.setdefault(name, []).append(crowd(stack, images, clients, SECONDS))
    return {name: statistics.median(found) for name, found in rates.items()}


def _ratios(measured: Mapping[str, float]) -> dict[str, float]:
    spread = {name: measured[f"{name}_p99_ms"] / measured[f"{name}_p50_ms"] for name in ("ours", "floor")}
    four, eight = (measured[f"ours_{clients}_clients_per_s"] for clients in CROWDS)
    return {
        "p50_over_floor": measured["ours_p50_ms"] / measured["floor_p50_ms"],
        "p50_over_fastapi": measured["ours_p50_ms"] / measured["fastapi_p50_ms"],
        "p99_over_p50": spread["ours"],
        "p99_spread_over_floor": spread["ours"] / spread["floor"],
        "throughput4_over_floor": four / measured["floor_per_s"],
        "throughput8_over_floor": eight / measured["floor_per_s"],
        "throughput4_over_best_peer": four / max(measured[f"{name}_4_clients_per_s"] for name in PEERS),
        "decode_over_pillow": measured["decode_ms"] / measured["pillow_decode_ms"],
        "hostile_p99_over_clean": measured["hostile_p99_ms"] / measured["hostile_clean_p99_ms"],
        "shadow_p99_over_alone": measured["shadow_p99_ms"] / measured["shadow_alone_p99_ms"],
        "hostile_peak_memory_over_clean": measured["hostile_peak_mib"] / measured["hostile_clean_peak_mib"],
    }
