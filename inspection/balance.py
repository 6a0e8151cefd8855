"""How the classes stand against each other: what the split and the balancing made of the labelled images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from inspection.dataset import TrainingData
from inspection.errors import InsufficientDataError
from inspection.warehouse import transaction

OVERALL = "overall"


@dataclass(frozen=True)
class ClassBalance:
    """Images of one class by their primary label, or of all together; see ``marts.class_balance``.

    Attributes:
        scope: ``class:X`` or ``overall``.
        raw: labelled images in the release's window.
        dropped: of orders that the boundary of the test set cuts.
        thinned: left out to keep the clean class at its cap.
        balanced: after thinning and repetition, all sides together.
        train: shown in an epoch of training, repetitions included.
        train_images: different images among them.
    """

    scope: str
    raw: int
    dropped: int
    thinned: int
    balanced: int
    train: int
    train_images: int
    validation: int
    test: int

    @property
    def missing(self) -> tuple[str, ...]:
        """The sides that have no image of it."""
        sides = {"train": self.train_images, "validation": self.validation, "test": self.test}
        return tuple(side for side, images in sides.items() if not images)


def read_balance(dsn: str) -> tuple[ClassBalance, ...]:
    """Reads ``marts.class_balance``, classes in the order of the ontology, all together last.

    Args:
        dsn: libpq URI of the warehouse, with the training set built.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            select
                balance.scope, balance.raw, balance.dropped, balance.thinned, balance.balanced,
                balance.train, balance.train_images, balance.validation, balance.test
            from marts.class_balance as balance
            left join marts.dim_defect_class as classes on balance.scope = 'class:' || classes.defect_class
            order by classes.class_position nulls last
            """
        )
        return tuple(ClassBalance(*row) for row in warehouse.fetchall())


def check_floor(data: TrainingData, clean: str, minimum: int) -> None:
    """Refuses a training dataset in which a defect class stands less often than the profile asks for.

    A class without a training image has nothing to repeat, and is not looked at.

    Args:
        data: as the warehouse tells it.
        clean: id of the clean class, which has no floor.
        minimum: images of each defect class in an epoch, by primary label.

    Raises:
        InsufficientDataError: the dataset was balanced for another profile; the message names the classes.
    """
    shown: Counter[str] = Counter()
    for sample in data.side("train"):
        shown[sample.label] += sample.repeats
    short = {label: count for label, count in sorted(shown.items()) if label != clean and count < minimum}
    if short:
        told = ", ".join(f"{label} {count}" for label, count in short.items())
        raise InsufficientDataError(
            f"the profile wants {minimum} images of each defect class in an epoch, the training dataset has "
            f"{told}: it was made for another profile, so materialize marts/training_dataset again"
        )
