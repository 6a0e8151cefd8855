"""A service whose model has a dimension gauge: who speaks for the measured class, and what is told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from inspection.bundle import load_bundle
from inspection.errors import BundleError
from inspection.settings import Settings
from inspection.store import LocalStore, open_store
from serving.station import open_station
from tests.inspection.gauge.drawn import SIZES, Pose, gauge, picture, placed, png, stepped
from tests.serving.conftest import Client, connect
from tests.serving.examples import METADATA, PNG, ROUTE, manifest, store_bundle
from tests.serving.plant import NO_AUDIT, approve

*_, MEASURED = manifest().classes
PLACE = METADATA | {"camera_id": "cam-gauge", "part_type": "stepped"}
WIDE = png(stepped(SIZES | {"left": 40.9}))


@pytest.fixture(scope="module")
def gauged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        warehouse_dsn="postgresql://127.0.0.1:1/none?connect_timeout=1",
        audit_share=NO_AUDIT,
    )
    approve(settings, store_bundle(open_store(settings.artifacts_url), gauge=gauge(MEASURED)))
    station = open_station(settings)
    with connect(station) as client:
        yield client
    station.close()


def ask(client: Client, image: bytes, **changes: str) -> dict[str, object]:
    place = {name: value for name, value in (PLACE | changes).items() if value}
    answer = client("POST", ROUTE, params=place, content=image, headers=PNG)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_part_out_of_tolerance_is_told_with_its_measurement(gauged: Client) -> None:
    told = ask(gauged, WIDE)
    (defect,) = told["defects"]  # type: ignore[misc]
    measurement = defect["measurement"]
    # 0.9 mm off where 0.5 are allowed: by hand, sigmoid(8 * 1.8 - 8).
    assert measurement.pop("measured_mm") == pytest.approx(40.9, abs=0.025)
    assert measurement == {
        "dimension": "left",
        "nominal_mm": 40.0,
        "tolerance_mm": 0.5,
        "repeatability_mm": 0.01,
    }
    assert defect["class"] == MEASURED
    assert defect["confidence"] == pytest.approx(1 / (1 + np.exp(-(8 * 1.8 - 8))), abs=0.002)
    # Four pixels a millimetre: the left step from x = -36 to 0, its edges 40.9 mm apart.
    box = [defect["bounding_box"][name] for name in ("x", "y", "width", "height")]
    assert box == pytest.approx([240 - 144, 160 - 82, 144, 164], abs=3)
    assert told["prediction"] == "FAIL"
    assert told["overall_confidence"] == defect["confidence"]


def test_a_part_within_tolerance_passes(gauged: Client) -> None:
    told = ask(gauged, png(stepped(SIZES | {"left": 40.1})))
    assert (told["prediction"], told["defects"]) == ("PASS", [])
    detail = gauged("GET", f"/api/v1/inspections/{told['inspection_id']}").json()
    # The network, which is sure of 1 / (1 + e^10), was not asked; the gauge says sigmoid(8 * 0.2 - 8).
    assert detail["probabilities"][MEASURED] == pytest.approx(1 / (1 + np.exp(6.4)), rel=0.5)
    assert detail["timings_ms"]["gauge"] > 0


NO_PART = png(np.full((320, 480, 3), 128, np.uint8))
DISC = png(picture(np.hypot(*placed(Pose())) - 30))


@pytest.mark.parametrize(
    ("image", "changes"),
    [
        (WIDE, {"camera_id": "cam-1"}),
        (WIDE, {"part_type": "gear"}),
        (WIDE, {"part_type": ""}),
        (NO_PART, {}),
        (DISC, {}),
    ],
)
def test_where_it_cannot_tell_the_network_speaks(
    gauged: Client, image: bytes, changes: dict[str, str]
) -> None:
    told = ask(gauged, image, **changes)
    detail = gauged("GET", f"/api/v1/inspections/{told['inspection_id']}").json()
    assert (told["prediction"], told["defects"]) == ("PASS", [])
    assert detail["probabilities"][MEASURED] == pytest.approx(1 / (1 + np.exp(10)), rel=1e-3)


def test_a_bundle_with_a_gauge_that_does_not_fit_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = LocalStore(tmp_path_factory.mktemp("store"))
    right = store_bundle(store, gauge=gauge(MEASURED))
    assert load_bundle(store, right).gauge == gauge(MEASURED)
    assert "gauge.json" in load_bundle(store, right).manifest.sha256
    assert load_bundle(store, store_bundle(store)).gauge is None
    strange = store_bundle(store, gauge=gauge("SOMETHING_ELSE"))
    with pytest.raises(BundleError, match="SOMETHING_ELSE"):
        load_bundle(store, strange)
    store.put(f"models/{right}/gauge.json", gauge(MEASURED, "another camera").model_dump_json().encode())
    with pytest.raises(BundleError, match=r"gauge\.json is not the file"):
        load_bundle(store, right)
