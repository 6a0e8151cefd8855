"""Images of the parts that people decide on, on this station's disk, with what heatmaps are drawn from.

``ID.jpg`` or ``ID.png`` is the image as sent, ``ID.npz`` its activation maps where a model judged it. ID is
the inspection's UUID: no name that a client chooses becomes part of a path.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import UUID
from zipfile import BadZipFile

from inspection.heatmap import Activations
from serving import metrics

log = logging.getLogger(__name__)

SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png"}
TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
MAPS, UNFINISHED = ".npz", ".part"
SPARE = 2**29  # bytes of the disk that are left to the outbox


class KeptImage(NamedTuple):
    """An image as it was sent."""

    content: bytes
    media_type: str


class KeptImages:
    """The folder; safe to use from several threads.

    Its bound counts all there is. Images that people have decided on make room, those of the oldest decision
    first; one that nobody has decided on is never removed.
    """

    def __init__(self, folder: Path, max_bytes: int, days: float, waits: Callable[[UUID], bool]) -> None:
        """Finds what is there.

        Args:
            folder: is made.
            max_bytes: of all files together.
            days: after which a decided image goes, with the next part or decision.
            waits: tells whether an inspection still waits for a person.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_bytes, self._seconds = folder, max_bytes, 86400 * days
        self._lock = threading.Lock()
        self._sizes: dict[UUID, int] = {}  # bytes of each
        self._decided: dict[UUID, float] = {}  # when, the oldest decision first
        self._total = 0
        self._full = False
        self._find(waits)

    def __contains__(self, inspection_id: UUID) -> bool:
        return inspection_id in self._sizes

    def keep(self, inspection_id: UUID, image: bytes, activations: Activations | None = None) -> bool:
        """Keeps the image of a part that waits for a person; False if it could not be kept.

        It outlives the process from now on. It is not synced, which would take 20 ms of every audited part: a
        power cut may take the images of the last half minute, and leaves their verdicts.
        """
        if inspection_id in self:
            return True
        suffix = next((SUFFIXES[magic] for magic in SUFFIXES if image.startswith(magic)), None)
        if suffix is None:  # past its deadline nobody has looked whether it is an image
            log.warning("the image of inspection %s is not kept: no JPEG and no PNG", inspection_id)
            metrics.IMAGES_NOT_KEPT.inc()
            return False
        # The image comes last: where it is, all is.
        files = {MAPS: activations.to_bytes()} if activations else {}
        files[suffix] = image
        try:
            if self._take_room(inspection_id, sum(map(len, files.values()))):
                self._write(inspection_id, files)
                return True
        except OSError as error:
            log.error("the image of inspection %s is not kept: %s", inspection_id, error)
            with self._lock:
                self._remove(inspection_id)
        metrics.IMAGES_NOT_KEPT.inc()
        return False

    def decide(self, inspection_id: UUID) -> None:
        """Notes that a person has decided: from now on the image may go."""
        with self._lock:
            if inspection_id in self._sizes and inspection_id not in self._decided:
                self._decided[inspection_id] = now = time.time()
                if (path := self._path(inspection_id)) is not None:
                    os.utime(path, (now, now))  # for the next start
            self._expire()

    def image(self, inspection_id: UUID, sha256: str) -> KeptImage | None:
        """Returns an image, or None where there is none of this content."""
        path = self._path(inspection_id)
        content = _read(path) if path else None
        if path is None or content is None:
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            log.error("%s is damaged, as a power cut may leave it", path)
            return None
        return KeptImage(content, TYPES[path.suffix])

    def activations(self, inspection_id: UUID) -> Activations | None:
        """Returns the activation maps of an image, or None where there are none."""
        path = self._folder / f"{inspection_id}{MAPS}"
        content = _read(path)
        try:
            return None if content is None else Activations.from_bytes(content)
        except (ValueError, KeyError, EOFError, BadZipFile):
            log.exception("%s is damaged, as a power cut may leave it", path)
            return None

    def _find(self, waits: Callable[[UUID], bool]) -> None:
        for path in list(self._folder.iterdir()):
            if path.suffix == UNFINISHED or (_id(path) and path.stat().st_size == 0):  # after a power cut
                path.unlink()
        decided: dict[UUID, float] = {}
        for path in list(self._folder.iterdir()):
            inspection_id = _id(path)
            if inspection_id is None:
                continue
            if self._path(inspection_id) is None:  # killed before the image came
                path.unlink()
                continue
            self._sizes[inspection_id] = self._sizes.get(inspection_id, 0) + path.stat().st_size
            if path.suffix in TYPES and not waits(inspection_id):
                decided[inspection_id] = path.stat().st_mtime
        self._decided = dict(sorted(decided.items(), key=lambda item: item[1]))
        self._count(sum(self._sizes.values()))
        self._expire()

    def _take_room(self, inspection_id: UUID, size: int) -> bool:
        with self._lock:
            self._expire()
            while (short := self._is_short(size)) and self._decided:
                self._remove(next(iter(self._decided)))
            if short and not self._full:
                log.error(
                    "images of parts for people are not kept any more: %d that wait take %d bytes; "
                    "decide on them, or give more room (VQI_KEPT_MAX_BYTES, or the disk)",
                    len(self._sizes),
                    self._total,
                )
            elif self._full and not short:
                log.warning("images of parts for people are kept again")
            self._full = short
            if not short:
                self._sizes[inspection_id] = size
                self._count(size)
            return not short

    def _is_short(self, size: int) -> bool:
        free = shutil.disk_usage(self._folder).free
        return self._total + size > self._max_bytes or free < size + SPARE

    def _expire(self) -> None:
        before = time.time() - self._seconds
        for inspection_id in [i for i, at in self._decided.items() if at < before]:
            self._remove(inspection_id)

    def _remove(self, inspection_id: UUID) -> None:
        self._decided.pop(inspection_id, None)
        self._count(-self._sizes.pop(inspection_id, 0))
        for suffix in (*TYPES, MAPS):
            (self._folder / f"{inspection_id}{suffix}").unlink(missing_ok=True)

    def _count(self, size: int) -> None:
        self._total += size
        metrics.KEPT_BYTES.set(self._total)

    def _write(self, inspection_id: UUID, files: Mapping[str, bytes]) -> None:
        for suffix, content in files.items():
            path = self._folder / f"{inspection_id}{suffix}"
            unfinished = path.with_name(path.name + UNFINISHED)
            unfinished.write_bytes(content)
            unfinished.replace(path)

    def _path(self, inspection_id: UUID) -> Path | None:
        paths = (self._folder / f"{inspection_id}{suffix}" for suffix in TYPES)
        return next((path for path in paths if path.exists()), None)


def _id(path: Path) -> UUID | None:
    """Returns whose file it is; None for one that is not from here."""
    try:
        inspection_id = UUID(path.stem)
    except ValueError:
        return None
    ours = path.suffix in (*TYPES, MAPS) and path.stem == str(inspection_id)
    return inspection_id if ours else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # removed a moment ago
        return None
