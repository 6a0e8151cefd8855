"""The stacks that serving is measured beside, on the tiny model: real processes that do the same work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest

from bench.serve import decoding, overload
from bench.serve.load import crowd
from bench.serve.model import approve, bundle_folder
from bench.serve.stacks import PEERS, Stack, our_service, peer
from bench.serve.work import Work, floor_rate
from inspection.bundle import load_bundle_folder
from inspection.settings import Settings
from inspection.store import LocalStore
from inspection.tuning import LanePlan
from tests.serving.examples import encode, picture, store_bundle

PLAN = LanePlan(threads=1, lanes=2, crowded_threads=1)
PART = encode(picture((255, 0, 0), (32, 64, 48, 16)), ".jpg")  # as a line sends it


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = Settings(
        home=tmp_path_factory.mktemp("bench"), warehouse_dsn="postgresql://127.0.0.1:1/none?connect_timeout=1"
    )
    approve(home, store_bundle(LocalStore(Path(home.artifacts_url))))
    return home


@pytest.fixture(scope="module")
def bundle(settings: Settings) -> Path:
    (found,) = (Path(settings.artifacts_url) / "models").iterdir()
    return bundle_folder(settings, found.name)


@pytest.fixture(scope="module")
def ours(settings: Settings) -> Iterator[Stack]:
    with our_service(settings, PLAN, deadline_ms=overload.DEADLINE_MS) as running:
        yield running


# Ray Serve takes half a minute to start; its few lines are FastAPI's.
@pytest.mark.parametrize("name", sorted(PEERS.keys() - {"ray"}))
def test_a_peer_says_what_the_work_says(bundle: Path, tmp_path: Path, name: str) -> None:
    with peer(name, tmp_path / name, bundle, threads=1) as stack:
        with closing(stack.asking()) as asking:
            assert asking(PART) == 200, asking.body
        assert json.loads(asking.body)["prediction"] == Work(bundle, 1)(PART)["prediction"] == "FAIL"
        assert stack.memory_mib() > 10


def test_ours_is_measured_with_its_keys_on(ours: Stack, bundle: Path) -> None:
    bare = httpx.post(
        f"http://127.0.0.1:{ours.port}{ours.path}", content=PART, headers={"Content-Type": "image/jpeg"}
    )
    assert bare.status_code == 401
    with closing(ours.asking()) as asking:
        assert asking(PART) == 200, asking.body
    assert json.loads(asking.body)["prediction"] == Work(bundle, 1)(PART)["prediction"]


def test_rates_are_of_answered_requests(ours: Stack, bundle: Path) -> None:
    assert crowd(ours, [PART], clients=2, seconds=0.5) > 1
    assert floor_rate(Work(bundle, 1), [PART], lanes=2, seconds=0.2) > 1
    with pytest.raises(RuntimeError, match="ours answered 400 to"):
        crowd(ours, [b"no image"], clients=1, seconds=0.2)


def test_overload_counts_every_request(ours: Stack) -> None:
    found = overload.measure(ours, [PART], capacity=20)
    assert found["overload_requests"] == round(3 * 20 * overload.SECONDS)
    parts = ("answered", "shed", "other")
    assert sum(found[f"overload_{part}"] for part in parts) == found["overload_requests"]
    assert found["overload_other"] == 0


def test_decoding_is_measured_against_pillows(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_bundle_folder(bundle)
    # The same picture by two filters: a grey level or two apart.
    assert decoding.measure(loaded.manifest.preprocessing, [PART])["decode_mean_error_of_255"] < 3
    images = [PART, encode(picture(), ".jpg")]
    found = decoding.verdicts(loaded, images)
    assert (found["decode_verdicts"], found["decode_verdicts_fail"], found["decode_verdict_flips"]) == (
        2,
        1,
        0,
    )
    monkeypatch.setattr(decoding, "_whole", lambda _, frame: np.zeros_like(frame.pixels))
    assert decoding.verdicts(loaded, images)["decode_verdict_flips"] == 1
