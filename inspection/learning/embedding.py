"""Embeds cached images with a frozen network of timm: in this process, or on a Ray cluster."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from timm.data.config import resolve_data_config
from torch import Tensor, nn

from inspection.cache import CacheReport, Day, build_days, cached_days, read_day
from inspection.cache_manifest import cache_digest
from inspection.dataset import Sample
from inspection.embeddings import (
    Backbone,
    EmbeddingReport,
    Order,
    Row,
    Vectors,
    embedding_digest,
    update_embeddings,
)
from inspection.errors import SettingsError
from inspection.imaging import Pixels, Preprocessing, decode, inspect_header, resized, to_tensor
from inspection.learning.model import build_backbone
from inspection.profiles import EmbeddingProfile, Profile
from inspection.store import ObjectStore

T = TypeVar("T")


class Embedder:
    """A frozen network: frames in, its pooled features before the classifier out.

    Attributes:
        backbone: what it is, for the manifest.
        preprocessing: how it sees a frame: its size, and mean and deviation that timm tells of it.
    """

    def __init__(self, profile: EmbeddingProfile) -> None:
        """Builds the network with the weights of the profile.

        Raises:
            SettingsError: the architecture is unknown, its weights cannot be had, it takes no images of
                this size, or there is no such device.
        """
        if profile.device == "cuda" and not torch.cuda.is_available():
            raise SettingsError("embedding.device is cuda, and torch finds no GPU: set it to cpu")
        self.device = torch.device(profile.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(profile.seed)
            model = build_backbone(profile, "embedding", num_classes=0)
        config: dict[str, Any] = resolve_data_config({}, model=model)  # type: ignore[no-untyped-call]
        self.preprocessing = Preprocessing(
            height=profile.height, width=profile.width, mean=config["mean"], std=config["std"]
        )
        self.model: nn.Module = model.eval().to(self.device, memory_format=torch.channels_last)
        self.backbone = Backbone(
            architecture=profile.architecture,
            weights=_origin(profile, model.pretrained_cfg),
            weights_sha256=_hash(model),
            height=profile.height,
            width=profile.width,
            dimensions=self._dimensions(profile),
        )
        # Where the network itself keeps the cores busy, more threads than one only take turns.
        self._pool = ThreadPoolExecutor(os.cpu_count() if profile.device == "cuda" else 1)

    def __call__(self, frames: Sequence[bytes]) -> Vectors:
        """Embeds frames of the cache.

        Args:
            frames: JPEG or PNG files, N of them.

        Returns:
            float32 [N, D].

        Raises:
            ImageError: a frame does not decode.
        """
        return self.forward(self.prepare(frames))

    def prepare(self, frames: Sequence[bytes]) -> Tensor:
        """Decodes frames, brings them to the network's size, and normalises: float32 [N, 3, H, W]."""
        pixels = np.stack(list(self._pool.map(self._pixels, frames)))
        return torch.from_numpy(to_tensor(pixels, self.preprocessing))

    def forward(self, images: Tensor) -> Vectors:
        """Passes normalised images through the network: float32 [N, D]."""
        with torch.inference_mode():
            images = images.to(self.device, memory_format=torch.channels_last)
            vectors: Vectors = self.model(images).float().cpu().numpy()
        return vectors

    def _pixels(self, frame: bytes) -> Pixels:
        height, width = self.preprocessing.height, self.preprocessing.width
        pixels = decode(frame, inspect_header(frame), min_width=width, min_height=height)
        return resized(pixels, height, width)

    def _dimensions(self, profile: EmbeddingProfile) -> int:
        try:
            shape = self.forward(torch.zeros(1, 3, profile.height, profile.width)).shape
        except (AssertionError, RuntimeError) as error:  # timm's and torch's ways to refuse a size
            raise SettingsError(
                f"{profile.architecture} takes no images of {profile.height}x{profile.width} pixels "
                f"({' '.join(str(error).split())}): change embedding.height and embedding.width"
            ) from error
        if len(shape) != 2:
            raise SettingsError(f"{profile.architecture} gives no vector for an image: choose another one")
        return int(shape[1])


def embed_images(
    store: ObjectStore, samples: Sequence[Sample], profile: Profile, ray_address: str | None = None
) -> EmbeddingReport:
    """Embeds those cached images of the samples that have no vector yet.

    Args:
        store: has the cache, takes the embeddings.
        samples: images that shall have a vector.
        profile: gives the network and the cache.
        ray_address: of a Ray cluster that does it; None does it here.

    Raises:
        SettingsError: as `Embedder`.
    """
    days = cached_days(store, samples, profile.cached_preprocessing)
    return _embed_days(store, days, len(samples), profile, ray_address)


def cache_and_embed(
    store: ObjectStore,
    samples: Sequence[Sample],
    profile: Profile,
    image_root: Path,
    ray_address: str | None = None,
) -> tuple[CacheReport, EmbeddingReport]:
    """Brings image cache and embeddings up to date in one pass over the days.

    While the network has a day's images, the originals of the next days are decoded. The same shards come
    out as of `build_cache` and `embed_images`, one after the other.

    Args:
        store: takes both.
        samples: images that shall be in both.
        profile: gives the network and the cache.
        image_root: folder of the originals.
        ray_address: of a Ray cluster that embeds, once the cache is there; None does it here.

    Raises:
        SettingsError: as `Embedder`.
        StoreError: the store refuses, or what stands in it is damaged.
    """
    cached: list[CacheReport] = []

    def days() -> Iterator[Day]:
        cached.append((yield from build_days(store, samples, profile.cached_preprocessing, image_root)))

    embedded = _embed_days(store, days(), len(samples), profile, ray_address)
    return cached[0], embedded


def _embed_days(
    store: ObjectStore, days: Iterable[Day], images: int, profile: Profile, ray_address: str | None
) -> EmbeddingReport:
    settings, cache = profile.embedding, profile.cached_preprocessing
    embedder = Embedder(settings if ray_address is None else settings.model_copy(update={"device": "cpu"}))
    if ray_address is None:
        embed = partial(embed_here, embedder, store, cache, settings.batch_size)
    else:
        from inspection.learning.ray_embedding import embed_on_ray

        embed = partial(embed_on_ray, ray_address, settings, embedder.backbone, store.url, cache)
    digest, name = embedding_digest(profile), cache_digest(cache)
    return update_embeddings(store, days, images, digest, embedder.backbone, name, embed)


def embed_here(
    embedder: Embedder, store: ObjectStore, cache: Preprocessing, batch_size: int, orders: Iterable[Order]
) -> Iterator[Row]:
    """Embeds what is ordered in this process; batches run on over the days.

    While the network works on a batch, a thread reads and decodes the next.

    Args:
        embedder: the network.
        store: has the cache.
        cache: what it was made with.
        batch_size: images in one pass.
        orders: what is wanted; images that are not in the cache are left out.
    """
    frames = (frame for order in orders for frame in read_order(store, cache, order))
    prepared = (
        (batch, embedder.prepare([data for *_, data in batch])) for batch in _batches(frames, batch_size)
    )
    for batch, images in _ahead(prepared):
        for (day, image_id, sha256, _), vector in zip(batch, embedder.forward(images), strict=True):
            yield Row(day, image_id, sha256, vector)


def read_order(
    store: ObjectStore, cache: Preprocessing, order: Order
) -> Iterator[tuple[str, str, str, bytes]]:
    """Yields day, image id, SHA-256 of the original and frame of each image of an order, in its order."""
    for image in read_day(store, order.day, set(order.image_ids), cache):
        yield order.day, image.image_id, image.sha256, image.frame


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Makes the next item in a thread while the caller works on this one."""
    context = copy_context()  # who listens for progress here, listens there too

    def following() -> T | None:
        return next(items, None)

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(context.run, following)
        while (item := coming.result()) is not None:
            coming = pool.submit(context.run, following)
            yield item


def _origin(profile: EmbeddingProfile, config: dict[str, Any]) -> str:
    if profile.pretrained == "file":
        return f"file, SHA-256 {profile.weights_sha256}"
    if profile.pretrained == "imagenet":
        return f"timm, {config['architecture']}.{config['tag']}"
    return f"random, seed {profile.seed}"


def _hash(model: nn.Module) -> str:
    """Returns the SHA-256 of names and values of all weights."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy())
    return digest.hexdigest()
