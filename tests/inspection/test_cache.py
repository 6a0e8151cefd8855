"""The image cache on real files: decoded once, by day, and what cannot be read is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspection import cache_manifest
from inspection.cache import build_cache, encode_frame, read_cache, read_original, stream_cache
from inspection.cache_manifest import cache_digest, cache_folder
from inspection.dataset import Sample
from inspection.errors import NotAnImageError
from inspection.image_quality import ImageQuality
from inspection.imaging import Preprocessing, load_frame
from inspection.progress import listening
from inspection.store import LocalStore
from tests.inspection.learning.toy import BEGIN, COLUMNS, FRAME, ROWS, picture, sample, save_picture

PART = Preprocessing(height=24, width=32, crop="part", crop_height=0.5, crop_width=0.5)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


def on_disk(root: Path, name: str, day: int = 0) -> Sample:
    """Writes a picture and returns its sample."""
    found = sample(name, captured_at=BEGIN + timedelta(days=day))
    save_picture(root / found.image_path, picture((), seed=day)[0])
    return found


def test_an_image_is_decoded_once(store: LocalStore, root: Path) -> None:
    samples = [on_disk(root, "a"), on_disk(root, "b"), on_disk(root, "c", day=1)]

    first = build_cache(store, samples, FRAME, root)
    for image in samples:
        (root / image.image_path).unlink()
    second = build_cache(store, samples, FRAME, root)

    assert (first.folder, first.images, first.added, first.shards) == (cache_folder(FRAME), 3, 3, 2)
    assert (second.images, second.added, second.shards) == (3, 0, 0)
    assert first.unreadable == second.unreadable == ()
    assert set(first.files) == {"a", "b", "c"}
    assert second.files == first.files
    assert first.files["a"] == first.files["b"] != first.files["c"]  # two pictures of one day are alike
    assert set(read_cache(store, samples, FRAME)) == {"a", "b", "c"}


def test_a_new_image_touches_its_day_alone(store: LocalStore, root: Path) -> None:
    samples = [on_disk(root, "a"), on_disk(root, "b", day=1)]
    build_cache(store, samples, FRAME, root)
    (first, second, _) = (store.root / key for key in store.list("cache/"))
    before = first.stat()

    report = build_cache(store, [*samples, on_disk(root, "c", day=1)], FRAME, root)

    assert (first.name, second.name) == ("2026-03-01.parquet", "2026-03-02.parquet")
    assert (report.images, report.added, report.shards) == (3, 1, 1)
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_day_is_that_of_utc(store: LocalStore, root: Path) -> None:
    late = sample(captured_at=datetime(2026, 2, 28, 23, tzinfo=timezone(timedelta(hours=-5))))
    save_picture(root / late.image_path, picture((), seed=0)[0])
    build_cache(store, [late], FRAME, root)
    folder = cache_folder(FRAME)
    assert store.list("cache/") == [f"{folder}/2026-03-01.parquet", f"{folder}/manifest.json"]


def test_nothing_asked_for_is_nothing_done(store: LocalStore, root: Path) -> None:
    report = build_cache(store, [], FRAME, root)
    assert (report.images, report.added, report.shards, report.unreadable) == (0, 0, 0, ())
    assert read_cache(store, [], FRAME) == {}
    assert store.list() == []


def test_other_preprocessing_is_another_cache(store: LocalStore, root: Path) -> None:
    samples = [on_disk(root, "a")]
    build_cache(store, samples, FRAME, root)
    assert read_cache(store, samples, PART) == {}
    assert build_cache(store, samples, PART, root).added == 1
    assert len(read_cache(store, samples, FRAME)) == 1


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"mean": (0, 0, 0), "std": (1, 1, 1)}, True),  # comes after the pixels
        ({"height": 32}, False),
        ({"width": 48}, False),
        ({"crop": "part"}, False),
        ({"crop_height": 0.5}, False),
        ({"crop_width": 0.5}, False),
    ],
)
def test_what_decides_the_pixels_names_the_cache(change: dict[str, Any], shared: bool) -> None:
    assert (cache_digest(FRAME) == cache_digest(FRAME.model_copy(update=change))) == shared


def test_other_columns_are_another_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_digest(FRAME)
    monkeypatch.setattr(cache_manifest, "LAYOUT", cache_manifest.LAYOUT + 1)
    assert cache_digest(FRAME) != before


def missing(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def text(path: Path) -> None:
    path.write_text("no image")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (missing, "no such file"),
        (truncated, "truncated"),
        (text, "no JPEG and no PNG"),
        (folder, "cannot be read"),
        (circle, "circle|cannot be read"),
    ],
)
def test_an_unreadable_image_is_told_and_tried_again(
    store: LocalStore, root: Path, damage: Callable[[Path], None], reason: str
) -> None:
    samples = [on_disk(root, "a"), on_disk(root, "b")]
    bad = root / "b.png"
    sound = bad.read_bytes()
    damage(bad)

    first = build_cache(store, samples, FRAME, root)
    if bad.is_dir():
        bad.rmdir()
    bad.unlink(missing_ok=True)
    bad.write_bytes(sound)
    second = build_cache(store, samples, FRAME, root)

    assert (first.images, first.added, first.shards) == (1, 1, 1)
    ((told),) = first.unreadable
    assert (told.image_id, told.image_path) == ("b", "b.png")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(told.reason)
    assert (second.images, second.added, second.unreadable) == (2, 1, ())


def test_a_day_of_unreadable_images_alone_makes_no_shard(store: LocalStore, root: Path) -> None:
    report = build_cache(store, [sample("a"), sample("b")], FRAME, root)
    assert (report.images, report.added, report.shards, len(report.unreadable)) == (0, 0, 0, 2)
    assert store.list() == []


@pytest.mark.parametrize("path", ["../secret.png", "a/../../secret.png", "{parent}/secret.png", "link.png"])
def test_a_path_that_leads_out_of_the_root_is_refused(root: Path, path: str) -> None:
    secret = root.parent / "secret.png"
    save_picture(secret, picture((), seed=0)[0])
    (root / "a").mkdir(parents=True)
    (root / "link.png").symlink_to(secret)
    with pytest.raises(NotAnImageError, match="out of the image root"):
        read_original(root, path.format(parent=root.parent))


def test_a_path_inside_the_root_is_read(root: Path) -> None:
    image = on_disk(root, "deep/er")
    data = (root / "deep" / "er.png").read_bytes()
    assert read_original(root, image.image_path) == data
    assert read_original(root, "deep/../deep/er.png") == data


def test_size_sharpness_and_light_are_recorded(store: LocalStore, root: Path) -> None:
    samples = [sample("dark"), sample("half"), sample("lit")]
    levels = np.zeros((3, ROWS, COLUMNS, 3), np.uint8)
    levels[1, :, COLUMNS // 2 :] = 255
    levels[2] = 200
    for each, pixels in zip(samples, levels, strict=True):
        save_picture(root / each.image_path, pixels)

    first = build_cache(store, samples, FRAME, root).files
    again = build_cache(store, samples, FRAME, root).files  # from the shard

    # By hand: at the edge between black and white the Laplacian is 255 in one column, -255 in the next.
    edge = 2 * 255**2 / COLUMNS
    assert first["dark"].quality == ImageQuality(0, 0, 1, 0)
    assert first["half"].quality == ImageQuality(pytest.approx(edge), 127.5, 0.5, 0.5)
    assert first["lit"].quality == ImageQuality(0, 200, 0, 0)
    for each in samples:
        data = (root / each.image_path).read_bytes()
        told = (first[each.image_id].file_bytes, first[each.image_id].sha256)
        assert told == (len(data), hashlib.sha256(data).hexdigest())
    assert again == first


def test_a_stream_keeps_the_order_of_days_and_ids(store: LocalStore, root: Path) -> None:
    samples = [on_disk(root, "z"), on_disk(root, "a", day=1), on_disk(root, "b")]
    build_cache(store, samples, FRAME, root)
    assert [image.image_id for image in stream_cache(store, samples[::-1], FRAME)] == ["b", "z", "a"]
    assert [image.image_id for image in stream_cache(store, samples[:2], FRAME)] == ["z", "a"]


def test_hash_window_and_size_are_recorded(store: LocalStore, root: Path) -> None:
    pixels = np.full((96, 128, 3), 40, np.uint8)
    pixels[30:60, 70:110] = 200  # the part; its middle is (90, 45)
    wanted = sample("a")
    save_picture(root / wanted.image_path, pixels)

    build_cache(store, [wanted], PART, root)
    found = read_cache(store, [wanted], PART)["a"]

    data = (root / wanted.image_path).read_bytes()
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert (found.original_width, found.original_height, found.part_found) == (128, 96, True)
    # By hand: half the frame, 64 x 48, around the part's middle; the outline may be a pixel off.
    assert found.place[2:] == (64, 48)
    assert found.place.x == pytest.approx(90 - 32, abs=1)
    assert found.place.y == pytest.approx(45 - 24, abs=1)
    assert found.place == load_frame(data, PART).window


def test_no_part_is_recorded_too(store: LocalStore, root: Path) -> None:
    wanted = sample("a")
    save_picture(root / wanted.image_path, np.full((96, 128, 3), 40, np.uint8))
    build_cache(store, [wanted], PART, root)
    found = read_cache(store, [wanted], PART)["a"]
    assert not found.part_found
    assert found.place == (32, 24, 64, 48)  # the middle


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_the_cached_frame_is_close_to_the_loaded_one(store: LocalStore, root: Path, kind: str) -> None:
    wanted = sample("a", image_path=f"a.{kind}")
    save_picture(root / wanted.image_path, picture(("DENT", "RUST"), seed=1)[0])
    build_cache(store, [wanted], FRAME, root)

    pixels = read_cache(store, [wanted], FRAME)["a"].pixels()

    expected = load_frame((root / wanted.image_path).read_bytes(), FRAME).pixels
    assert pixels.shape == expected.shape
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - expected).mean() < 4  # the noise of the picture is 12 and more


def test_colours_keep_their_place() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :8] = (250, 10, 10)
    pixels[:, 8:] = (10, 10, 250)
    decoded = load_frame(encode_frame(pixels), Preprocessing(height=16, width=16)).pixels
    assert np.abs(decoded.astype(int) - pixels).max() <= 3


def test_progress_reaches_the_number_of_images(store: LocalStore, root: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    with listening(lambda *event: told.append(event)):
        build_cache(store, [on_disk(root, "a"), sample("b"), on_disk(root, "c", day=1)], FRAME, root)
    assert told == [("image cache", 2, 3, "1 unreadable"), ("image cache", 3, 3, "1 unreadable")]
