"""The same vectors come from a Ray cluster as from this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspection.cache import build_cache
from inspection.embeddings import read_embeddings, read_manifest
from inspection.errors import SettingsError
from inspection.learning.embedding import embed_images
from inspection.store import LocalStore
from tests.inspection.learning.toy import plant, profile

# Ray warns of its own settings.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

TINY = {"architecture": "resnet18", "pretrained": "none", "height": 32, "width": 48, "batch_size": 4}


def test_a_cluster_gives_the_same_rows(tmp_path: Path, ray_cluster: str) -> None:
    data = plant(tmp_path / "images", {"train": 11, "test": 4})
    wanted = profile(embedding=TINY)
    made = []
    for name, address in (("here", None), ("ray", ray_cluster)):
        store = LocalStore(tmp_path / name)
        build_cache(store, data.samples, wanted.cached_preprocessing, tmp_path / "images")
        report = embed_images(store, data.samples, wanted, address)
        assert (report.images, report.added, report.shards) == (15, 15, 2)
        made.append(
            (read_manifest(store, report.digest), read_embeddings(store, data.samples, report.digest))
        )
    (here, expected), (there, found) = made
    assert there.backbone == here.backbone
    assert found.image_ids == expected.image_ids == tuple(s.image_id for s in data.samples)
    assert found.vectors.dtype == expected.vectors.dtype == np.float32
    np.testing.assert_allclose(found.vectors, expected.vectors, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected.vectors, axis=0).max() > 1e-3  # not all alike

    again = embed_images(LocalStore(tmp_path / "ray"), data.samples, wanted, ray_cluster)
    assert (again.images, again.added, again.shards) == (15, 0, 0)

    with pytest.raises(SettingsError, match="the Ray cluster has no GPU"):
        embed_images(
            LocalStore(tmp_path / "here"),
            data.samples,
            profile(embedding={**TINY, "device": "cuda", "seed": 1}),
            ray_cluster,
        )
