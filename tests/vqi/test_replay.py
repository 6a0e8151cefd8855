"""A past shift, judged again by a candidate from the plant's images."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inspection.errors import InsufficientDataError
from inspection.registry import ModelRegistry
from inspection.settings import Settings, get_settings
from inspection.store import open_store
from inspection.warehouse import transaction
from tests.line import NOON, inspect, review
from tests.serving.examples import GOOD, SCRATCHED, manifest, store_bundle
from vqi.main import main
from vqi.replay import replay

HOUR = timedelta(hours=1)
SHIFT = (NOON - HOUR, NOON + HOUR)
SCRATCH = manifest().classes[0]
IMAGES = """
create schema intermediate;
create table intermediate.int_images (image_id text, image_path text, production_order_id text);
insert into releases.split_releases (release_id, as_of, policy, window_days)
values ('none', now(), 'chronological', 180);
insert into releases.split_assignments (release_id, image_id, production_order_id, split, fold_id) values
    ('none', 'a', 'learnt', 'train', 1), ('none', 'b', 'tested', 'test', null);
"""


class Shift:
    """Parts that production judged, one after the other."""

    def __init__(self, settings: Settings) -> None:
        self.dsn = settings.dsn("warehouse")
        self._images = settings.images
        settings.images.mkdir(parents=True)
        with transaction(self.dsn) as warehouse:
            warehouse.execute(IMAGES)

    def add(
        self,
        name: str,
        image: bytes | None,
        *,
        action: str = "ACCEPT",
        at: datetime = NOON,
        order: str = "new",
        judged: bytes | None = None,
        known: bool = True,
    ) -> str:
        (inspection,) = inspect(self.dsn, at=at, action=action)
        if image is not None:
            (self._images / f"{name}.png").write_bytes(image)
        sha256 = hashlib.sha256(judged or image or b"").hexdigest()
        with transaction(self.dsn) as warehouse:
            warehouse.execute(
                "update inference.predictions set image_id = %s, image_sha256 = %s where inspection_id = %s",
                (name, sha256, inspection),
            )
            if known:
                warehouse.execute(
                    "insert into intermediate.int_images values (%s, %s, %s)", (name, f"{name}.png", order)
                )
        return inspection


@pytest.fixture
def shift(settings: Settings) -> Shift:
    return Shift(settings)


@pytest.fixture
def registry(settings: Settings) -> ModelRegistry:
    return ModelRegistry(open_store(settings.artifacts_url))


def count(dsn: str) -> tuple[int, ...]:
    with transaction(dsn) as warehouse:
        warehouse.execute(
            "select (select count(*) from inference.predictions), (select count(*) from inference.reviews)"
        )
        ((*counts,),) = warehouse.fetchall()
    return tuple(counts)


def test_the_candidate_judges_what_production_judged(
    settings: Settings, registry: ModelRegistry, shift: Shift
) -> None:
    candidate = store_bundle(registry.store)
    shift.add("good", GOOD)
    escaped = shift.add("escaped", SCRATCHED)  # production let it pass
    shift.add("tested", SCRATCHED, action="REWORK", order="tested")
    review(shift.dsn, [escaped], "FAIL", at=NOON, defect_class=SCRATCH)
    shift.add("before", GOOD, at=NOON - 2 * HOUR)
    shift.add("after", GOOD, at=NOON + HOUR)
    before = count(shift.dsn)

    seen: list[tuple[int, int]] = []
    report = replay(
        settings, registry, candidate[:12], *SHIFT, lambda done, total: seen.append((done, total))
    )

    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert count(shift.dsn) == before
    assert (report.candidate, report.left_out, report.knows_what_it_learnt) == (candidate, {}, True)
    assert report.trial.verdicts == {"PASS/PASS": 1, "PASS/FAIL": 1, "FAIL/PASS": 0, "FAIL/FAIL": 1}
    assert report.trial.classes[SCRATCH].candidate == 2
    assert (report.trial.outcome.verdicts.second_only, report.trial.outcome.escape.value) == (1, -1)
    assert 0 < report.trial.latency_ms["candidate"]["p50"] < 5000


def test_what_cannot_be_judged_is_counted(settings: Settings, registry: ModelRegistry, shift: Shift) -> None:
    candidate = store_bundle(registry.store)
    shift.add("good", GOOD)
    shift.add("gone", None)
    shift.add("gone too", None)
    shift.add("changed", GOOD, judged=SCRATCHED)
    shift.add("unknown", GOOD, known=False)
    shift.add("learnt", GOOD, order="learnt")
    report = replay(settings, registry, candidate, *SHIFT)
    assert report.trial.parts == 1
    assert report.left_out == {
        "the image file is missing": 2,
        "the image file is not the image that was judged": 1,
        "the plant knows no such image": 1,
        "the candidate has learnt from its production order": 1,
    }


def test_a_candidate_of_another_warehouse_is_told(
    settings: Settings, registry: ModelRegistry, shift: Shift
) -> None:
    candidate = store_bundle(registry.store, split_release="elsewhere")
    shift.add("good", GOOD)
    assert not replay(settings, registry, candidate, *SHIFT).knows_what_it_learnt


def test_a_shift_without_parts_and_a_plant_without_images(
    settings: Settings, registry: ModelRegistry, postgres: Settings, tmp_path: Path
) -> None:
    candidate = store_bundle(registry.store)
    with pytest.raises(InsufficientDataError, match="knows no images yet"):
        replay(settings, registry, candidate, *SHIFT)
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(IMAGES)
    with pytest.raises(InsufficientDataError, match="judged no part"):
        replay(settings, registry, candidate, *SHIFT)


def test_the_command(
    settings: Settings,
    registry: ModelRegistry,
    shift: Shift,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("inspection.settings.get_settings", lambda: settings)
    get_settings.cache_clear()
    candidate = store_bundle(registry.store)
    shift.add("good", GOOD)
    shift.add("gone", None)
    line = ["replay", candidate[:12], "--from", "2026-11-20T11:00:00", "--to", "2026-11-20T13:00:00"]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "1 left out: the image file is missing" in shown
    assert "1 parts judged by both" in shown
    assert main([*line, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["trial"]["parts"], told["since"]) == (1, "2026-11-20T11:00:00Z")
    assert datetime(2026, 11, 20, 12, tzinfo=UTC) == NOON
    assert main([*line[:3], line[5], "--to", line[3]]) == 2
    assert "before it ends" in capsys.readouterr().err
