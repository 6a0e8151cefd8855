"""The balance of the classes: what a dataset must hold for a profile, and which side lacks a class."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspection.balance import ClassBalance, check_floor
from inspection.dataset import TrainingData
from inspection.errors import InsufficientDataError
from tests.inspection.learning.toy import sample

RARE = sample("i1", ("DENT", "RUST"), repeats=3)
DATA = TrainingData(
    "r1",
    (
        RARE,
        sample("i2", ("DENT",), repeats=2),
        sample("i3"),  # clean: no floor
        sample("i4", ("DENT",), split="validation", fold_id=5),  # not trained on
        sample("i5", ("RUST",), split="test", fold_id=None),  # a class that training has not got
    ),
)


@pytest.mark.parametrize("minimum", [0, 1, 5])
def test_enough_of_each_class(minimum: int) -> None:
    check_floor(DATA, "FINE", minimum)


@pytest.mark.parametrize(("change", "told"), [({}, "DENT 5"), ({"label": "RUST"}, "DENT 2, RUST 3")])
def test_too_few_of_a_class_are_refused_and_named(change: dict[str, object], told: str) -> None:
    data = replace(DATA, samples=(replace(RARE, **change), *DATA.samples[1:]))
    with pytest.raises(InsufficientDataError, match=f"wants 6 images .* has {told}: it was made for another"):
        check_floor(data, "FINE", 6)


def test_the_sides_that_lack_a_class() -> None:
    balance = ClassBalance("class:DENT", 4, 0, 0, 8, train=5, train_images=1, validation=3, test=0)
    assert balance.missing == ("test",)
    assert replace(balance, test=1).missing == ()
    assert replace(balance, train_images=0, train=0, validation=0).missing == ("train", "validation", "test")
