"""Embeds on a Ray cluster: reading and the network run side by side, one copy of the network per actor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import ray
import ray.data
from numpy.typing import NDArray

from inspection.embeddings import Backbone, Order, Row
from inspection.errors import SettingsError
from inspection.imaging import Preprocessing
from inspection.learning.embedding import Embedder, read_order
from inspection.profiles import EmbeddingProfile
from inspection.store import open_store

Batch = dict[str, NDArray[Any]]


def embed_on_ray(
    address: str,
    profile: EmbeddingProfile,
    backbone: Backbone,
    store_url: str,
    cache: Preprocessing,
    orders: Iterable[Order],
) -> Iterator[Row]:
    """Embeds what is ordered, as `embedding.embed_here` does; the same rows in the same order.

    Args:
        address: of the cluster.
        profile: the network; on ``cuda`` each actor takes a GPU.
        backbone: what the network must be; an actor that builds another one fails.
        store_url: of the object store with the cache, as each machine of the cluster reaches it.
        cache: what the cache was made with.
        orders: what is wanted; images that are not in the cache are left out.

    Raises:
        SettingsError: the network shall run on GPUs, and the cluster has none.
    """
    wanted = list(orders)
    if not wanted:
        return
    with _connected(address):
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus, cores = int(resources.get("GPU", 0)), int(resources["CPU"])
        if profile.device == "cuda" and not gpus:
            raise SettingsError(
                "embedding.device is cuda, and the Ray cluster has no GPU: add one, or set it to cpu"
            )
        # One core is left to reading.
        actors = gpus if profile.device == "cuda" else max(1, cores - 1)
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        images = (
            ray.data.from_items([order._asdict() for order in wanted], override_num_blocks=len(wanted))
            .flat_map(_Reader(store_url, cache))
            .map_batches(
                _Actor,
                fn_constructor_args=(profile, backbone),
                batch_size=profile.batch_size,
                batch_format="numpy",
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
                num_cpus=1,
                num_gpus=1 if profile.device == "cuda" else 0,
            )
        )
        for row in images.iter_rows():
            yield Row(row["day"], row["image_id"], row["sha256"], np.asarray(row["vector"], np.float32))


class _Reader:
    """Reads the frames of one order."""

    def __init__(self, store_url: str, cache: Preprocessing) -> None:
        self.store_url, self.cache = store_url, cache

    def __call__(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        order = Order(str(row["day"]), tuple(row["image_ids"]))
        frames = read_order(open_store(self.store_url), self.cache, order)
        return [
            {"day": day, "image_id": image_id, "sha256": sha256, "frame": frame}
            for day, image_id, sha256, frame in frames
        ]


class _Actor:
    """Holds the network and embeds batches."""

    def __init__(self, profile: EmbeddingProfile, backbone: Backbone) -> None:
        self.embedder = Embedder(profile)
        if self.embedder.backbone != backbone:
            raise SettingsError(
                f"a machine of the Ray cluster makes other weights of {profile.architecture} than this one: "
                "install the same packages on both"
            )

    def __call__(self, batch: Batch) -> Batch:
        vectors = self.embedder([bytes(frame) for frame in batch.pop("frame")])
        return {**batch, "vector": vectors}


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Connects to the cluster for the time of the block, unless the process is connected already."""
    if ray.is_initialized():
        yield
        return
    ray.init(address=address, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()
