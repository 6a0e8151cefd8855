"""A generated plant: cases with a known answer by name, and a crowd of orders around them."""

from __future__ import annotations

import random
from datetime import timedelta

from tests.dbt.plant import FAR_AHEAD, START, RawPlant

BOX = {"x": 10, "y": 20, "width": 30, "height": 5}
WORDS = {
    "NO_DEFECT": ("ok", "good", "None"),
    "SURFACE_SCRATCH": ("scratch", "Surface Scratch", "scr"),
    "BURR": ("burr", "EDGE-BURR"),
    "SURFACE_PIT": ("pit", "corrosion pit"),
    "CRACK": ("crack", "Hairline_Crack"),
}
ORDERS, IMAGES_PER_ORDER = 60, 8

# What must become of the images of `_cases`: label, labels and source, or why there is none.
LABELS = {
    "one-clean": ("NO_DEFECT", [], "consensus"),
    "one-crack": ("CRACK", ["CRACK"], "consensus"),
    "scratch-and-crack": ("CRACK", ["CRACK", "SURFACE_SCRATCH"], "consensus"),
    "burr-outvoted": ("NO_DEFECT", [], "consensus"),
    "passed": ("NO_DEFECT", [], "inspector"),
    "coded": ("BURR", ["BURR"], "code"),
}
UNSETTLED = {
    "crack-outvoted": "adjudication",
    "tie": "adjudication",
    "unsure": "no_usable_annotation",
    "unknown-only": "no_usable_annotation",
    "inspectors-differ": "needs_annotation",
    "unmapped-code": "needs_annotation",
    "nobody": "needs_annotation",
}


def generated_plant(seed: int = 7) -> RawPlant:
    """Returns the rows; the same seed gives the same plant."""
    plant = RawPlant()
    for number in (1, 2):
        plant.rows["raw_calibration.camera_config"].append(
            (f"cam-{number}", "line-p1", "p1", "x", 1000, 800, 4, START.date())
        )
    plant.rows["raw_erp.equipment_registry"].append(("m-1", "p1", "line-p1", "lathe", START, START))
    _crowd(plant, random.Random(seed))
    _cases(plant)
    _broken(plant)
    return plant


def _crowd(plant: RawPlant, rng: random.Random) -> None:
    classes = list(WORDS)
    for order in range(ORDERS):
        name, part = f"PO-{order:03d}", rng.choice(["shaft", "plate"])
        begun = START + timedelta(days=order)
        plant.order(name, part=part, plant=rng.choice(["p1", "p2"]), start=begun)
        for number in range(rng.randint(1, IMAGES_PER_ORDER)):
            image = f"{name}-{number}"
            # Every fifth order runs on into the next one's days.
            at = begun + timedelta(hours=number * (20 if order % 5 == 0 else 1))
            plant.image(image, name, at=at, part=part, camera=f"cam-{number % 2 + 1}")
            truth = rng.choices(classes, [6, 2, 2, 2, 1])[0]
            for annotator in ("ann", "bob", "cid")[: rng.randint(1, 3)]:
                seen = rng.choice(classes) if rng.random() < 0.15 else truth
                box = None if seen == "NO_DEFECT" else BOX
                plant.annotation(
                    image, annotator, rng.choice(WORDS[seen]), confidence=rng.randint(2, 5), box=box
                )


def _cases(plant: RawPlant) -> None:
    plant.order("PO-cases", start=START)
    for name in (*LABELS, *UNSETTLED):
        plant.image(name, "PO-cases", at=START)
    plant.annotation("one-clean", "ann", "OK")
    plant.annotation("one-crack", "ann", "stress crack", box=BOX)
    for who in ("ann", "bob"):
        plant.annotation("scratch-and-crack", who, "scratch", box=BOX)
    plant.annotation("scratch-and-crack", "ann", "crack", box={**BOX, "x": 500}, confidence=5)
    plant.annotation("burr-outvoted", "ann", "burr", box=BOX, confidence=3)
    plant.annotation("burr-outvoted", "bob", "good", confidence=4)
    plant.annotation("crack-outvoted", "ann", "crack", box=BOX, confidence=3)
    for who in ("bob", "cid"):
        plant.annotation("crack-outvoted", who, "good", confidence=5)
    plant.annotation("tie", "ann", "pit", box=BOX)
    plant.annotation("tie", "bob", "good")
    plant.annotation("unsure", "ann", "crack", box=BOX, confidence=2)
    plant.annotation("unknown-only", "ann", "see shift report")
    plant.result("unknown-only", "PASS")
    for inspector in ("insp-1", "insp-2"):
        plant.result("passed", "PASS", inspector=inspector)
    plant.result("coded", "REWORK", ["rough-edge"])
    plant.result("inspectors-differ", "PASS")
    plant.result("inspectors-differ", "FAIL", ["scr"], inspector="insp-2")
    plant.result("unmapped-code", "FAIL", ["kratzer"])


def _broken(plant: RawPlant) -> None:
    """One row for each reason to set it aside; they add to `_cases`, which hold some as well."""
    plant.order("PO-early", start=FAR_AHEAD)
    plant.image("orphan", "PO-unheard-of")
    plant.image("early", "PO-cases", at=FAR_AHEAD)
    plant.image("copy", "PO-cases", path="one-clean.jpg", at=START)
    plant.annotation("lost", "ann", "crack", box=BOX)
    plant.annotation("one-crack", "ann", "Stress-Crack", box=BOX)  # as before, typed another way
    for box in ({**BOX, "width": -3}, {**BOX, "x": 5000}, {"x": "left"}, [1, 2, 3, 4]):
        plant.annotation("one-crack", "bob", "crack", box=box)
    plant.annotation("one-clean", "bob", "OK", confidence=9)
    plant.annotation("one-clean", "bob", "OK", at=FAR_AHEAD)
    plant.result("lost", "PASS")
    plant.result("one-clean", "PASS", at=FAR_AHEAD)
    plant.result("one-clean", "MAYBE")
    plant.result("coded", "REWORK", ["rough-edge"])


QUARANTINED = {
    ("image_metadata", "orphan_order"): 1,
    ("image_metadata", "future_timestamp"): 1,
    ("image_metadata", "duplicate"): 1,
    ("defect_annotations", "orphan_image"): 1,
    ("defect_annotations", "duplicate"): 1,
    ("defect_annotations", "broken_box"): 4,
    ("defect_annotations", "broken_confidence"): 1,
    ("defect_annotations", "future_timestamp"): 1,
    ("defect_annotations", "unknown_label"): 1,
    ("inspection_results", "orphan_image"): 1,
    ("inspection_results", "future_timestamp"): 1,
    ("inspection_results", "unknown_decision"): 1,
    ("inspection_results", "unknown_label"): 1,
    ("inspection_results", "duplicate"): 1,
    ("production_orders", "future_timestamp"): 1,
}
