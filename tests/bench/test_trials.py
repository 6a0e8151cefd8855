"""What the trials make of training examples: labels and boxes go with the pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench import trials
from bench.trials import Kept, Sides, pasted, warmed_up, with_pieces
from inspection.learning.data import Example
from inspection.learning.model import DefectNet
from tests.inspection.learning.conftest import toy_examples
from tests.inspection.learning.toy import profile


def test_a_pasted_patch_lies_in_its_box_and_nowhere_else() -> None:
    examples = toy_examples(12)
    found = pasted(examples)
    assert [example.targets.tolist() for example in found] == [[0], [1]] * 12
    for original, (plain, patched) in zip(examples, zip(found[::2], found[1::2], strict=True), strict=True):
        assert np.array_equal(plain.pixels(), original.pixels())
        assert plain.boxes.shape == (0, 4)
        left, top, right, bottom = patched.boxes[0].astype(int)
        rows, columns = original.size
        assert 0 <= left < right <= columns
        assert 0 <= top < bottom <= rows
        other = (patched.pixels() != original.pixels()).any(2)
        assert other[top:bottom, left:right].mean() > 0.5
        other[top:bottom, left:right] = False
        assert not other.any()


def test_each_box_gives_a_piece_at_twice_the_size() -> None:
    shown = toy_examples(8)  # two clean ones, two of each class, two of both
    found = with_pieces(shown)
    boxes = sum(len(example.boxes) for example in shown)
    assert found[:8] == shown
    assert len(found) == 8 + boxes + min(boxes, 2)
    pieces, clean = found[8 : 8 + boxes], found[8 + boxes :]
    assert not any(example.targets.any() for example in clean)
    for piece in pieces:
        assert piece.pixels().shape == shown[0].pixels().shape
        assert piece.targets.any()
        assert set(np.flatnonzero(piece.targets)) == set(piece.box_classes)


def test_a_box_in_a_piece_is_twice_as_large() -> None:
    (example,) = toy_examples(2)[1:]
    rows, columns = example.size
    middle = np.array([[columns / 2 - 4, rows / 2 - 3, columns / 2 + 4, rows / 2 + 3]], np.float32)
    centred: Example = replace(example, boxes=middle)
    piece = with_pieces([centred])[1]
    assert piece.boxes[0].tolist() == [columns / 2 - 8, rows / 2 - 6, columns / 2 + 8, rows / 2 + 6]


def test_a_warmed_up_backbone_is_where_the_next_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "WARM_UP_EPOCHS", 1)
    examples = toy_examples(12)
    sides: Sides = {"train": examples, "validation": examples, "test": examples}
    found = warmed_up(sides, profile(), tmp_path)
    begun = DefectNet(found.model, 2).backbone.state_dict()
    kept = load_file(tmp_path / "backbone.safetensors")
    assert begun.keys() == kept.keys()
    assert all(torch.equal(begun[name], kept[name]) for name in kept)


def test_what_trials_found_is_kept_for_the_same_images_and_profile(tmp_path: Path) -> None:
    file = tmp_path / "trials.json"
    Kept(file, "these").add("one", {"macro auroc": 0.5})
    assert Kept(file, "these").found == {"one": {"macro auroc": 0.5}}
    assert Kept(file, "others").found == {}
