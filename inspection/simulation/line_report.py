"""What came of a run of the line, and its figures. Hostile requests are counted by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from inspection.simulation.hostile import HostileAnswer

TO_HUMAN = "HUMAN_INSPECTION"
BINS_MS = (5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000)

Outcome = Literal["answered", "to human"]


@dataclass(frozen=True)
class LineAnswer:
    """What became of one part.

    Attributes:
        inspection_id: the idempotency key, the same in each attempt.
        status: HTTP status of the last attempt; None when none was answered.
        attempts: requests sent.
        latency_ms: from the time at which the part was due in front of its camera to the end of the answer,
            whatever it waited for: a service that stalls is seen in every part that was due meanwhile.
            None without an answer.
        request_ms: of the attempt that was answered, send to end of body; None without one.
        body: the verdict, or the problem that the service told; None without one.
        outcome: everything but 200 goes to a person.
    """

    inspection_id: str
    image_id: str
    camera_id: str
    status: int | None
    attempts: int
    latency_ms: float | None
    request_ms: float | None
    body: dict[str, Any] | None = field(repr=False)
    outcome: Outcome


@dataclass(frozen=True)
class LineReport:
    """A run of the line.

    Attributes:
        answers: by time of capture.
        seconds: from the first part to the last answer.
        hostile: what the hostile requests got, in the order of their answers.
    """

    answers: tuple[LineAnswer, ...]
    seconds: float
    hostile: tuple[HostileAnswer, ...] = ()

    @property
    def answered(self) -> int:
        """Parts with a verdict."""
        return sum(answer.outcome == "answered" for answer in self.answers)

    @property
    def to_human(self) -> int:
        """Parts without one."""
        return len(self.answers) - self.answered

    def figures(self) -> LineFigures:
        """Counts."""
        answered = [answer for answer in self.answers if answer.outcome == "answered"]
        by_camera: dict[str, list[LineAnswer]] = {}
        for answer in self.answers:
            by_camera.setdefault(answer.camera_id, []).append(answer)
        return LineFigures(
            seconds=self.seconds,
            rate=len(self.answers) / self.seconds if self.seconds > 0 else 0.0,
            parts=len(self.answers),
            answered=len(answered),
            to_human=len(self.answers) - len(answered),
            retried=sum(answer.attempts > 1 for answer in self.answers),
            latency=Latency.of(answer.latency_ms for answer in answered),
            request=Latency.of(answer.request_ms for answer in answered),
            histogram=_histogram(answered),
            predictions=_told(answered, "prediction"),
            actions=_actions(self.answers),
            route_reasons=_told(answered, "route_reason"),
            statuses=_counted(str(answer.status) for answer in self.answers),
            cameras=tuple(_camera(name, by_camera[name]) for name in sorted(by_camera)),
            hostile=_by_kind(self.hostile),
        )


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Latency(_Figures):
    """Milliseconds; None without a part."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @classmethod
    def of(cls, milliseconds: Iterable[float | None]) -> Latency:
        """Takes the quantiles."""
        found = [value for value in milliseconds if value is not None]
        levels = np.percentile(found, [50, 95, 99, 100]).tolist() if found else [None] * 4
        return cls(**dict(zip(cls.model_fields, levels, strict=True)))


class Bin(_Figures):
    """Answered parts whose latency is at most `up_to_ms` and above the bin before; None has no end."""

    up_to_ms: float | None
    parts: int


class CameraFigures(_Figures):
    """What one camera got."""

    camera_id: str
    parts: int
    answered: int
    actions: dict[str, int]
    latency: Latency


class HostileFigures(_Figures):
    """What the hostile requests of one kind got; `answers` has a status, ``closed``, ``silent`` ..."""

    kind: str
    sent: int
    right: int
    busy: int
    wrong: int
    answers: dict[str, int]


class LineFigures(_Figures):
    """The figures of a run; `docs/reference/line-report.md` says what each is."""

    seconds: float
    rate: float
    parts: int
    answered: int
    to_human: int
    retried: int
    latency: Latency
    request: Latency
    histogram: tuple[Bin, ...]
    predictions: dict[str, int]
    actions: dict[str, int]
    route_reasons: dict[str, int]
    statuses: dict[str, int]
    cameras: tuple[CameraFigures, ...]
    hostile: tuple[HostileFigures, ...]


def _camera(name: str, answers: Sequence[LineAnswer]) -> CameraFigures:
    answered = [answer for answer in answers if answer.outcome == "answered"]
    return CameraFigures(
        camera_id=name,
        parts=len(answers),
        answered=len(answered),
        actions=_actions(answers),
        latency=Latency.of(answer.latency_ms for answer in answered),
    )


def _histogram(answered: Iterable[LineAnswer]) -> tuple[Bin, ...]:
    values = [answer.latency_ms for answer in answered if answer.latency_ms is not None]
    counts = np.bincount(np.searchsorted(BINS_MS, values), minlength=len(BINS_MS) + 1).tolist()
    return tuple(
        Bin(up_to_ms=edge, parts=count) for edge, count in zip([*BINS_MS, None], counts, strict=True)
    )


def _actions(answers: Iterable[LineAnswer]) -> dict[str, int]:
    """Parts by the recommended action; those without an answer go to people."""
    return _counted(
        str(answer.body.get("recommended_action", TO_HUMAN))
        if answer.outcome == "answered" and answer.body
        else TO_HUMAN
        for answer in answers
    )


def _told(answered: Iterable[LineAnswer], name: str) -> dict[str, int]:
    values = ((answer.body or {}).get(name) for answer in answered)
    return _counted(str(value) for value in values if value is not None)


def _by_kind(answers: Iterable[HostileAnswer]) -> tuple[HostileFigures, ...]:
    kinds: dict[str, list[HostileAnswer]] = {}
    for answer in answers:
        kinds.setdefault(answer.kind, []).append(answer)
    return tuple(_kind(name, kinds[name]) for name in sorted(kinds, key=str.lower))


def _kind(name: str, answers: Sequence[HostileAnswer]) -> HostileFigures:
    verdicts: Mapping[str, int] = Counter(answer.verdict for answer in answers)
    return HostileFigures(
        kind=name,
        sent=len(answers),
        right=verdicts["right"],
        busy=verdicts["busy"],
        wrong=verdicts["wrong"],
        answers=_counted(answer.answer for answer in answers),
    )


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
