"""The shadow: a model that judges what the production model has judged, and whose word counts for nothing.

It has one thread, behind all others, and one core, and works while the line is idle. What it cannot do in
that time is dropped and counted.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from inspection.bundle import load_bundle
from inspection.camera_health import CameraFault
from inspection.imaging import load_frame, to_tensor
from inspection.judgement import Judgement, judge
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.tuning import LanePlan
from inspection.verdict import RoutingRules, Verdict, decide
from serving import metrics
from serving.inspector import Part, Seen, Stopwatch, second_opinion, to_record
from serving.models import POLL_SECONDS, RETRY_SECONDS, LiveModel, Refusal, start_model
from serving.outbox import Outbox
from serving.records import PredictionRecord

log = logging.getLogger(__name__)

QUEUE = 8  # parts that wait with their images, of up to 16 MiB each
QUIET_SECONDS = 0.02  # the gap between two parts of a burst is no idleness
ONE_CORE = LanePlan(threads=1, lanes=1, crowded_threads=1)


class Shown(NamedTuple):
    """A part that production has answered, and what it found wrong with the picture."""

    part: Part
    fault: CameraFault | None


class ShadowLane(threading.Thread):
    """Follows the registry's shadow, and has it judge the parts that are offered."""

    def __init__(
        self, registry: ModelRegistry, outbox: Outbox, settings: Settings, idle: threading.Event
    ) -> None:
        """Starts nothing yet.

        Args:
            registry: tells which model; of its own, as it is read from another thread.
            outbox: takes the verdicts.
            settings: give provider and confidence threshold.
            idle: set while production has nothing to do.
        """
        super().__init__(name="shadow", daemon=True)
        self.model: LiveModel | None = None
        self.refusal: Refusal | None = None
        self._registry = registry
        self._outbox = outbox
        self._settings = settings
        self._idle = idle
        self._shown: queue.Queue[Shown] = queue.Queue(QUEUE)
        self._followed = -POLL_SECONDS
        self._stopping = threading.Event()
        # On a processor the thread's own time, which neither waiting nor priority makes longer.
        self._clock = time.thread_time if settings.provider == "cpu" else time.perf_counter
        metrics.SHADOW_REFUSED.set(False)  # one that was never set is not told

    async def offer(self, part: Part, answer: PredictionRecord) -> None:
        """Shows the shadow a part that has been answered; never waits, and belongs to the event loop."""
        if self.model is None:
            return
        if answer.prediction is None:
            metrics.SHADOW_DROPPED.labels("not_judged").inc()  # there is nothing to compare with
            return
        try:
            self._shown.put_nowait(Shown(part, answer.camera_fault))
        except queue.Full:
            metrics.SHADOW_DROPPED.labels("queue_full").inc()

    def run(self) -> None:
        """Follows and judges until `stop`; whatever goes wrong is told and goes no further."""
        if sys.platform == "linux":  # where threads are scheduled each by itself
            # Lower than any priority: a core with nothing else to do counts as free for production's threads.
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        while not self._stopping.is_set():
            try:
                self._follow()
            except Exception as error:  # an object store has many ways to be away
                log.error("cannot follow the model registry, the shadow stays as it is: %s", error)
            try:
                shown = self._shown.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if self.model is None:
                metrics.SHADOW_DROPPED.labels("ended").inc()
            else:
                self._look(shown, self.model)

    def stop(self, timeout: float = 5) -> None:
        """Ends the thread; one that hangs is left behind."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout)

    def _follow(self) -> None:
        if time.monotonic() - self._followed < POLL_SECONDS:
            return
        self._followed = time.monotonic()
        wanted, before = self._registry.shadow(), self.model.id if self.model else None
        refused = self.refusal
        if refused and refused.id == wanted and time.monotonic() - refused.at < RETRY_SECONDS:
            return
        if wanted == before:
            return
        self.model, self.refusal = None, None
        if wanted is not None:
            try:
                self.model = start_model(load_bundle(self._registry.store, wanted), self._settings, ONE_CORE)
            except Exception as error:  # of a model that nobody has approved, anything
                self.refusal = Refusal(wanted, str(error), time.monotonic())
                log.error("refused shadow %s: %s", wanted[:12], error)
            else:
                log.info("model %s is the shadow", wanted[:12])
        metrics.SHADOW_REFUSED.set(self.refusal is not None)
        metrics.tell_model("shadow", self.model.id if self.model else None, before)

    def _look(self, shown: Shown, model: LiveModel) -> None:
        if self._outbox.full:  # what room is left is production's
            metrics.SHADOW_DROPPED.labels("outbox_full").inc()
            return
        try:
            self._wait_for_quiet()
            watch = Stopwatch(self._clock(), self._clock)
            judgement = judge_again(shown.part, model, watch, self._make_way)
            seen = Seen(self._verdict(judgement, shown.fault), fault=shown.fault)
            watch.lap("decide")
            record = to_record(shown.part, model, seen, watch, self._settings, role="shadow")
            self._make_way()  # a part that comes now is not ready to be written before this is
            if self._outbox.add(record) is record:  # and no repeated request
                metrics.SHADOW_PARTS.inc()
        except Exception as error:  # of a model that nobody has approved, anything
            metrics.SHADOW_DROPPED.labels("failed").inc()
            log.error("the shadow failed on inspection %s: %s", shown.part.inspection_id, error)

    def _verdict(self, judgement: Judgement, fault: CameraFault | None) -> Verdict:
        # Neither a pause nor the audit is about the shadow, and nobody reviews a part for what it says.
        rules = RoutingRules(self._settings.confidence_threshold, audit_share=0)
        return replace(decide(judgement, rules, fault=fault, draw=1), review_probability=0)

    def _make_way(self) -> None:
        if not self._idle.is_set():
            self._wait_for_quiet()

    def _wait_for_quiet(self) -> None:
        """Waits until production has nothing to do, and had nothing a moment ago."""
        while not self._stopping.wait(QUIET_SECONDS) and not self._idle.is_set():
            self._idle.wait(POLL_SECONDS)


def judge_again(
    part: Part, model: LiveModel, watch: Stopwatch, make_way: Callable[[], None] = lambda: None
) -> Judgement:
    """Judges a part as the inspector does, but for what concerns its camera and where it goes.

    Args:
        part: that production has judged.
        model: another one.
        watch: takes the time of each step.
        make_way: called between the steps; its time does not count.

    Raises:
        ImageError: the bytes are no usable image.
        BundleError: the model gives what no bundle may give.
    """
    preprocessing = model.manifest.preprocessing
    frame = load_frame(part.image, preprocessing)
    watch.lap("decode")
    tensor = to_tensor(frame.pixels[None], preprocessing)
    watch.lap("normalise")
    make_way()
    watch.skip()
    probabilities, maps = model.network.run(tensor)
    watch.lap("infer")
    make_way()
    watch.skip()
    judged, measurements = second_opinion(part, model, probabilities)
    watch.lap("gauge")
    return judge(judged[0], maps[0], model.manifest, frame, measurements)
