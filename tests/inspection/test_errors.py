"""The tree of errors is one tree, and its drawing is true."""

from __future__ import annotations

import inspect

import inspection.errors as errors

CLASSES = dict(inspect.getmembers(errors, inspect.isclass))


def test_every_error_hangs_on_the_root() -> None:
    assert all(issubclass(error, errors.InspectionError) for error in CLASSES.values())


def test_drawing_shows_every_error_and_no_other() -> None:
    drawn = {word for line in (errors.__doc__ or "").splitlines() for word in line.split()[:3]}
    drawn = {word for word in drawn if word.endswith("Error")}
    assert drawn == set(CLASSES)


def test_every_error_says_what_it_is() -> None:
    assert all(error.__doc__ for error in CLASSES.values())
