"""Whether a camera shows what it should: what it cannot see, no model must judge.

A picture is held against fixed limits (black, overexposed, without any detail), against those that the same
camera sent before (the same bytes under another part's name), and against the camera's own reference: the
medians of its first healthy pictures of a part type. One picture far less sharp than the reference is
blurred; recent pictures whose median has moved away from it are a camera that drifts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:  # settings read the limits from here, and need no OpenCV
    from inspection.image_quality import ImageQuality

MOST_CAMERAS = 1000
"""Pairs of camera and part type that are kept: a client names both, and must not fill the memory."""


class CameraFault(StrEnum):
    """What is wrong with a picture, the gravest first."""

    BLACK = "black"
    OVEREXPOSED = "overexposed"
    BLURRED = "blurred"
    NO_PART = "no_part"
    REPEATED_IMAGE = "repeated_image"
    SHARPNESS_DRIFT = "sharpness_drift"
    LIGHT_DRIFT = "light_drift"


DRIFTS = (CameraFault.SHARPNESS_DRIFT, CameraFault.LIGHT_DRIFT)
"""Faults of recent pictures together: each of them is sound by itself."""


class CameraLimits(BaseModel):
    """From when on a camera is not believed.

    Attributes:
        black_share: share of pixels without detail in the shadows; likewise `white_share` in the lights.
        no_detail: sharpness of a picture that shows nothing at all, whatever the camera.
        blurred: share of the reference's sharpness below which one picture is blurred.
        drift: share of the reference by which the median sharpness of recent pictures may fall or rise;
            likewise the brightness.
        reference_parts: healthy pictures that make a reference; before, only the fixed limits hold.
        recent_parts: pictures whose median is held against it.
        remembered_images: pictures of a camera among which the same bytes are looked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    black_share: float = Field(default=0.95, gt=0, le=1)
    white_share: float = Field(default=0.5, gt=0, le=1)
    no_detail: float = Field(default=1.0, ge=0)
    blurred: float = Field(default=0.2, ge=0, lt=1)
    drift: float = Field(default=0.5, gt=0)
    reference_parts: int = Field(default=100, ge=2)
    recent_parts: int = Field(default=25, ge=1)
    remembered_images: int = Field(default=256, ge=0)


class Reference(BaseModel):
    """The medians of a camera's first healthy pictures of a part type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sharpness: float = Field(gt=0)
    brightness: float = Field(gt=0)


class Standing(BaseModel):
    """How a camera is doing with a part type.

    Attributes:
        reference: None while it is being learnt.
        learnt: healthy pictures so far, of `CameraLimits.reference_parts`.
        recent: medians of the newest pictures; None before there are enough.
        faults: pictures by what was wrong with them, since the service started.
    """

    model_config = ConfigDict(frozen=True)

    camera_id: str
    part_type: str | None
    reference: Reference | None
    learnt: int
    recent: Reference | None
    faults: dict[CameraFault, int]


@dataclass
class _History:
    reference: Reference | None = None
    first: list[ImageQuality] = field(default_factory=list)
    recent: deque[ImageQuality] = field(default_factory=deque)
    faults: dict[CameraFault, int] = field(default_factory=dict)


Key = tuple[str, str | None]


class CameraHealth:
    """The cameras of a station; safe to use from several threads."""

    def __init__(
        self,
        limits: CameraLimits,
        references: Mapping[Key, Reference] = MappingProxyType({}),
        keep: Callable[[Mapping[Key, Reference]], None] = lambda references: None,
    ) -> None:
        """Begins with the references that are known.

        Args:
            limits: in force.
            references: learnt before.
            keep: told all references whenever one has been learnt or forgotten.
        """
        self._limits = limits
        self._keep = keep
        self._lock = threading.Lock()
        self._histories: OrderedDict[Key, _History] = OrderedDict()
        self._images: OrderedDict[str, OrderedDict[str, str]] = OrderedDict()
        for key, reference in references.items():
            self._history(key).reference = reference

    def check(
        self, key: Key, part: str, image_sha256: str, quality: ImageQuality, *, part_found: bool
    ) -> CameraFault | None:
        """Takes note of a picture and returns the gravest fault, or None.

        Args:
            key: camera and part type.
            part: serial of the part, or what else names it.
            image_sha256: of the bytes as sent.
            quality: of the frame that the network sees.
            part_found: whether the part was found in the picture.
        """
        with self._lock:
            history = self._history(key)
            fault = see(quality, self._limits, history.reference)
            if fault is None and not part_found:
                fault = CameraFault.NO_PART
            if self._repeated(key[0], part, image_sha256) and fault is None:
                fault = CameraFault.REPEATED_IMAGE
            if fault is None:
                fault = self._learn(history, quality)
            if fault is not None:
                history.faults[fault] = history.faults.get(fault, 0) + 1
            return fault

    def recall(
        self, key: Key, part: str, image_sha256: str, quality: ImageQuality | None, fault: CameraFault | None
    ) -> None:
        """Takes note of a picture that was checked before the service started; the oldest come first.

        A camera that has frozen, or drifts, must not be believed again because of a restart.

        Args:
            key: as for `check`.
            part: likewise.
            image_sha256: likewise.
            quality: likewise; None where it was not measured.
            fault: what was found.
        """
        with self._lock:
            self._repeated(key[0], part, image_sha256)
            history = self._histories.get(key)
            if quality is None or fault not in (None, *DRIFTS):
                return
            if history is not None and history.reference is not None:
                self._add_recent(history, quality)

    def standings(self) -> list[Standing]:
        """Returns how each camera is doing, by name."""
        with self._lock:
            return [
                Standing(
                    camera_id=camera,
                    part_type=part_type,
                    reference=history.reference,
                    learnt=len(history.first) if history.reference is None else self._limits.reference_parts,
                    recent=self._recent(history),
                    faults=dict(history.faults),
                )
                for (camera, part_type), history in sorted(
                    self._histories.items(), key=lambda item: (item[0][0], item[0][1] or "")
                )
            ]

    def forget(self, camera_id: str) -> int | None:
        """Has a camera learn its references again, as after a new lamp.

        Returns:
            How many references it had; None for a camera that nobody has heard of.
        """
        with self._lock:
            keys = [key for key in self._histories if key[0] == camera_id]
            if not keys:
                return None
            known = sum(self._histories[key].reference is not None for key in keys)
            for key in keys:
                del self._histories[key]
            self._keep(self._references())
            return known

    def _references(self) -> dict[Key, Reference]:
        return {
            key: history.reference
            for key, history in self._histories.items()
            if history.reference is not None
        }

    def _history(self, key: Key) -> _History:
        found = self._histories.setdefault(key, _History())
        self._histories.move_to_end(key)
        if len(self._histories) > MOST_CAMERAS:
            self._histories.popitem(last=False)
        return found

    def _repeated(self, camera_id: str, part: str, image_sha256: str) -> bool:
        """Tells whether another part of this camera had the same bytes: a sensor never gives them twice."""
        seen = self._images.setdefault(camera_id, OrderedDict())
        self._images.move_to_end(camera_id)
        if len(self._images) > MOST_CAMERAS:
            self._images.popitem(last=False)
        first = seen.setdefault(image_sha256, part)
        seen.move_to_end(image_sha256)
        while len(seen) > self._limits.remembered_images:
            seen.popitem(last=False)
        return first != part

    def _learn(self, history: _History, quality: ImageQuality) -> CameraFault | None:
        if history.reference is None:
            history.first.append(quality)
            if len(history.first) >= self._limits.reference_parts:
                history.reference = _medians(history.first)
                history.first.clear()
                self._keep(self._references())
            return None
        self._add_recent(history, quality)
        recent = self._recent(history)
        return None if recent is None else drifted(recent, history.reference, self._limits.drift)

    def _add_recent(self, history: _History, quality: ImageQuality) -> None:
        history.recent.append(quality)
        while len(history.recent) > self._limits.recent_parts:
            history.recent.popleft()

    def _recent(self, history: _History) -> Reference | None:
        enough = len(history.recent) >= self._limits.recent_parts
        return _medians(history.recent) if enough else None


def see(quality: ImageQuality, limits: CameraLimits, reference: Reference | None) -> CameraFault | None:
    """Returns what is wrong with one picture by itself, or None.

    Args:
        quality: of the picture.
        limits: in force.
        reference: of its camera and part type; None while there is none.
    """
    if quality.black_share >= limits.black_share:
        return CameraFault.BLACK
    if quality.white_share >= limits.white_share:
        return CameraFault.OVEREXPOSED
    sharpest_blur = limits.no_detail if reference is None else limits.blurred * reference.sharpness
    if quality.sharpness < max(limits.no_detail, sharpest_blur):
        return CameraFault.BLURRED
    return None


def drifted(recent: Reference, reference: Reference, allowed: float) -> CameraFault | None:
    """Returns which median has moved by more than the allowed share, up or down, or None."""
    if abs(recent.sharpness / reference.sharpness - 1) > allowed:
        return CameraFault.SHARPNESS_DRIFT
    if abs(recent.brightness / reference.brightness - 1) > allowed:
        return CameraFault.LIGHT_DRIFT
    return None


def _medians(qualities: list[ImageQuality] | deque[ImageQuality]) -> Reference:
    return Reference(
        sharpness=median(quality.sharpness for quality in qualities),
        brightness=median(quality.brightness for quality in qualities),
    )
