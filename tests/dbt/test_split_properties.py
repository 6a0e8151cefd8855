"""What the deal promises, for any plant: generated ones, and the awkward ones by name."""

from __future__ import annotations

import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from inspection.settings import Settings
from inspection.splits import Policy
from tests.dbt.compiled import compile_models
from tests.dbt.deal import MODEL, Dealt, Image, deal_out

ONE_ORDER = [
    Image("all", "shaft", label, hour) for hour, label in enumerate(["fine", "mark", "fine", "danger"] * 5)
]
TWO_OF_A_CLASS = [Image(f"o{n // 3}", "shaft", "fine", n) for n in range(40)]
TWO_OF_A_CLASS[3] = TWO_OF_A_CLASS[3]._replace(label="danger")
TWO_OF_A_CLASS[20] = TWO_OF_A_CLASS[20]._replace(label="danger")
AT_ONCE = [Image(f"o{n % 9}", "plate", ["fine", "mark"][n % 2], 7) for n in range(30)]
THREE_IMAGES = [Image(f"o{n % 2}", "shaft", "fine", n) for n in range(3)]
AWKWARD = {
    "one order with everything": ONE_ORDER,
    "two images of a class": TWO_OF_A_CLASS,
    "all taken at once": AT_ONCE,
    "fewer images than folds": THREE_IMAGES,
    "one image": THREE_IMAGES[:1],
    "nothing": [],
}

images = st.builds(
    Image,
    st.sampled_from([f"order-{n}" for n in range(12)]),
    st.sampled_from(["shaft", "plate"]),
    st.sampled_from(["fine", "fine", "fine", "mark", "danger"]),
    st.integers(0, 40),
)
plants = st.lists(images, min_size=1, max_size=60)
generous = hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def deal(module_settings: Settings) -> Settings:
    compile_models(module_settings, MODEL)
    return module_settings


@pytest.mark.parametrize("policy", ["chronological", "grouped"])
@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_plant(deal: Settings, name: str, policy: Policy) -> None:
    hold(deal, AWKWARD[name], policy)


@generous
@given(plant=plants, policy=st.sampled_from(["chronological", "grouped"]))
def test_any_plant(deal: Settings, plant: list[Image], policy: Policy) -> None:
    hold(deal, plant, policy)


@generous
@given(plant=plants, policy=st.sampled_from(["chronological", "grouped"]), seed=st.integers(0, 99))
def test_the_order_in_which_rows_come_does_not_matter(
    deal: Settings, plant: list[Image], policy: Policy, seed: int
) -> None:
    names = [f"i{n}" for n in range(len(plant))]
    mixed = random.Random(seed).sample(list(zip(names, plant, strict=True)), len(plant))
    first = dict(zip(names, deal_out(deal, plant, policy, names), strict=True))
    again = deal_out(deal, [image for _, image in mixed], policy, [name for name, _ in mixed])
    assert {name: got for (name, _), got in zip(mixed, again, strict=True)} == first


def test_one_order_is_cut_by_time_or_kept_whole(deal: Settings) -> None:
    by_time = deal_out(deal, ONE_ORDER, "chronological")
    # The newest 15 % of 20 are 3; nothing of their order may train.
    assert [got.side for got in by_time] == ["dropped"] * 17 + ["test"] * 3
    assert len({(got.side, got.fold) for got in deal_out(deal, ONE_ORDER, "grouped")}) == 1


def test_two_images_of_a_class_lie_in_two_folds(deal: Settings) -> None:
    got = deal_out(deal, TWO_OF_A_CLASS, "chronological")
    folds = [each.fold for each in got if each.image.label == "danger"]
    assert None not in folds
    assert len(set(folds)) == 2


def test_what_is_taken_at_one_moment_is_all_test(deal: Settings) -> None:
    # There is no newest share of them; the check on the size of the training set stops what follows.
    assert {got.side for got in deal_out(deal, AT_ONCE, "chronological")} == {"test"}
    sides = {got.side for got in deal_out(deal, AT_ONCE, "grouped")}
    assert sides == {"train", "validation", "test"}


@generous
@given(sizes=st.lists(st.integers(1, 9), min_size=5, max_size=25), rare=st.integers(5, 25))
def test_a_label_of_five_orders_is_in_every_fold(deal: Settings, sizes: list[int], rare: int) -> None:
    plant = [
        Image(f"order-{n}", "shaft", "danger" if n < rare and part == 0 else "fine", n)
        for n, size in enumerate(sizes)
        for part in range(size)
    ]
    plant += [Image(f"newest-{n}", "shaft", "fine", 1000) for n in range(ceil(len(plant) * 0.15 / 0.85) + 1)]
    folds = defaultdict(set)
    for got in deal_out(deal, plant, "chronological"):
        folds[got.image.label].add(got.fold)
    assert folds["danger"] >= {1, 2, 3, 4, 5}


def test_sides_are_even(deal: Settings) -> None:
    plant = [
        Image(f"order-{n}", "shaft" if n % 3 else "plate", "danger" if n % 7 == 0 else "fine", n)
        for n in range(100)
        for _ in range(3 + n % 5)
    ]
    sides = Counter(got.side for got in deal_out(deal, plant, "grouped"))
    shares = {side: count / len(plant) for side, count in sides.items()}
    assert shares == pytest.approx({"train": 4 / 6, "validation": 1 / 6, "test": 1 / 6}, abs=0.02)


LABEL_MARGIN = {12: 0.05, 60: 0.05, 300: 0.03}
"""By orders of a plant: how much less evenly than scikit-learn the deal may spread a label over the folds.

In the standard deviation over folds of a label's share, mean over labels. One pass over sorted orders
cannot do quite what a search over all folds for each order does, but it is plain SQL. Over 40 such plants
the deal was less even by 0.009, 0.014 and 0.006 on average (12, 60 and 300 orders), and by 0.040, 0.050
and 0.024 at most.
"""


@pytest.mark.parametrize("orders", LABEL_MARGIN)
@pytest.mark.parametrize(("policy", "slots"), [("chronological", 5), ("grouped", 6)])
def test_folds_are_about_as_even_as_those_of_scikit_learn(
    deal: Settings, orders: int, policy: Policy, slots: int
) -> None:
    for seed in range(8):
        dealt = [
            got for got in deal_out(deal, generated(orders, seed), policy) if got.fold or policy == "grouped"
        ]
        ours = unevenness([(got.fold or slots) - 1 for got in dealt], dealt, slots)
        theirs = [unevenness(reference(dealt, slots, state), dealt, slots) for state in range(3)]
        assert ours <= np.mean(theirs) + LABEL_MARGIN[orders], f"plant {seed}"


def generated(orders: int, seed: int) -> list[Image]:
    """Returns a plant whose labels are rare and common, single or in clumps by order."""
    rng = random.Random(seed)
    labels = [f"label-{n}" for n in range(rng.choice([2, 3, 5, 6]))]
    weights = [2.0, *(rng.random() ** 2 + 0.02 for _ in labels[1:])]
    clumped, sizes = rng.choice([0, 0.6]), rng.choice([(1, 3), (1, 9), (6, 12)])
    plant = []
    for order in range(orders):
        (main,) = rng.choices(labels, weights)
        for _ in range(rng.randint(*sizes)):
            (label,) = [main] if rng.random() < clumped else rng.choices(labels, weights)
            plant.append(Image(f"order-{order}", rng.choice(["shaft", "plate"]), label, order))
    return plant


def unevenness(places: Sequence[int], dealt: Sequence[Dealt], slots: int) -> float:
    """Standard deviation over slots of the share of a label's images that each has, mean over labels.

    It is what `StratifiedGroupKFold` makes small.
    """
    labels = sorted({got.image.label for got in dealt})
    counts = np.zeros((slots, len(labels)))
    for place, got in zip(places, dealt, strict=True):
        counts[place, labels.index(got.image.label)] += 1
    return float((counts / counts.sum(0)).std(0).mean())


def reference(dealt: Sequence[Dealt], slots: int, state: int) -> list[int]:
    """Deals the same images with scikit-learn; returns each one's fold, from 0."""
    labels, groups = [got.image.label for got in dealt], [got.image.order for got in dealt]
    folds = [0] * len(dealt)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        splitter = StratifiedGroupKFold(slots, shuffle=True, random_state=state)
        for number, (_, members) in enumerate(splitter.split(labels, labels, groups)):
            for member in members:
                folds[member] = number
    return folds


def hold(settings: Settings, plant: Sequence[Image], policy: Policy) -> None:
    """Deals a plant and holds what is promised of any; that each image is dealt once, `deal_out` holds."""
    found = deal_out(settings, plant, policy)
    sides, folds = defaultdict(set), defaultdict(set)
    for got in found:
        assert (got.fold is None) == (got.side in ("test", "dropped"))
        assert got.fold is None or (got.side == "validation") == (got.fold == 5)
        sides[got.image.order].add(got.side)
        folds[got.image.order].add(got.fold)
    assert all(len(each) == 1 for each in folds.values())
    if policy == "grouped":
        assert all(len(each) == 1 and each != {"dropped"} for each in sides.values())
        return
    newest_first = sorted((image.hour for image in plant), reverse=True)
    boundary = newest_first[ceil(0.15 * len(plant)) - 1] if plant else 0
    for got in found:
        # Only an order that is in the test set has anything dropped, and all that is older than the test.
        straddles = "test" in sides[got.image.order]
        assert (got.side == "test") == (got.image.hour >= boundary)
        assert (got.side == "dropped") == (straddles and got.image.hour < boundary)
