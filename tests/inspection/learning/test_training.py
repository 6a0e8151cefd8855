"""The training loop on toy pictures: it learns, it can be repeated, and it stops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.loss import AsymmetricLossMultiLabel  # type: ignore[attr-defined]

from inspection.cache import CachedImage, encode_frame
from inspection.errors import InsufficientDataError, SettingsError
from inspection.learning.data import Example
from inspection.learning.loop import Loop
from inspection.learning.losses import label_loss
from inspection.learning.training import Training, predict_logits, train
from inspection.metrics import mean_auroc
from inspection.profiles import Profile
from inspection.progress import listening
from tests.inspection.learning.toy import CLASSES, FRAME, profile

EVERYTHING: dict[str, object] = {
    "flip": 0.5,
    "rotation_degrees": 10,
    "crop_scale": 0.8,
    "brightness": 0.1,
    "contrast": 0.1,
    "noise": 0.02,
}


def losses(training: Training) -> list[float]:
    return [part for record in training.history for part in (record.train_loss, record.validation_loss)]


def brief(
    training: Sequence[Example], validation: Sequence[Example], found: Profile | None = None
) -> Training:
    return train(training, validation, len(CLASSES), found or profile(training={"epochs": 2}))


def test_coloured_marks_are_learnt(trained: Training, validation_examples: list[Example]) -> None:
    targets = np.stack([example.targets for example in validation_examples])
    logits = predict_logits(trained.model, validation_examples, FRAME)
    assert logits.shape == (32, 2)
    assert ((logits > 0) == (targets > 0)).mean() > 0.95
    area = mean_auroc(logits, targets)
    assert area is not None
    assert area > 0.98
    assert trained.history[-1].train_loss < trained.history[0].train_loss / 3
    assert [record.epoch for record in trained.history] == list(range(1, 9))
    assert not trained.model.training


def test_the_peak_of_a_map_lies_on_its_mark(trained: Training, validation_examples: list[Example]) -> None:
    hits = []
    for example in validation_examples:
        images = torch.from_numpy(example.pixels()).permute(2, 0, 1)[None] / 255
        mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (FRAME.mean, FRAME.std))
        with torch.inference_mode():
            maps = trained.model((images - mean) / std)[0]
        for box, index in zip(example.boxes, example.box_classes, strict=True):
            row, column = divmod(int(maps[index].argmax()), maps.shape[2])
            x, y = column * 16 + 8, row * 16 + 8
            hits.append(box[0] - 8 <= x <= box[2] + 8 and box[1] - 8 <= y <= box[3] + 8)
    assert np.mean(hits) > 0.9


def test_the_same_seed_gives_the_same_losses(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    def run(seed: int) -> Training:
        wanted = profile(training={"epochs": 2, "seed": seed, "window": (48, 64)}, augmentation=EVERYTHING)
        return brief(training_examples, validation_examples, wanted)

    first, second, other = run(0), run(0), run(1)
    assert losses(first) == losses(second)
    assert losses(first) != losses(other)
    state = second.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.model.state_dict().items())


def test_the_weights_of_the_best_epoch_are_kept(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    # On labels that are all wrong, the validation loss grows as the training goes on.
    wrong = [replace(example, targets=1 - example.targets) for example in validation_examples]
    found = brief(training_examples, wrong, profile(training={"epochs": 8, "patience": 2}))

    by_epoch = [record.validation_loss for record in found.history]
    assert found.best_epoch == 1 + int(np.argmin(by_epoch))
    assert len(by_epoch) == found.best_epoch + 2 < 8
    maps = torch.from_numpy(predict_logits(found.model, wrong, FRAME))[:, :, None, None]
    targets = torch.from_numpy(np.stack([example.targets for example in wrong]))
    loss = label_loss(maps, targets, torch.ones_like(targets), torch.ones(len(wrong)))
    assert float(loss) == pytest.approx(min(by_epoch), rel=1e-5)


def test_the_validation_loss_is_weighted(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    ignored = [replace(e, targets=1 - e.targets, weight=1e-9) for e in validation_examples]
    both = brief(training_examples, [*validation_examples, *ignored])
    assert losses(both) == pytest.approx(losses(brief(training_examples, validation_examples)), rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"epochs": 1, "precision": "bfloat16"}},
        {"training": {"epochs": 1, "precision": "float16"}},
        {"training": {"epochs": 1, "ema_decay": 0.99}},
        {"training": {"epochs": 1, "warmup_epochs": 3}},
        {"training": {"epochs": 1}, "loss": {"gamma_negative": 2, "clip": 0.05, "positive_power": 0.5}},
        {"training": {"epochs": 1}, "loss": {"box_weight": 0}},
        {"training": {"epochs": 1}, "model": {"drop_rate": 0.2, "drop_path_rate": 0.1}},
    ],
)
def test_other_settings_train_too(
    changes: dict[str, dict[str, object]],
    training_examples: list[Example],
    validation_examples: list[Example],
) -> None:
    found = brief(training_examples, validation_examples, profile(**changes))
    assert all(math.isfinite(loss) for loss in losses(found))


def test_the_average_of_the_weights_is_what_is_judged_and_kept(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    # 16 steps. The average of step n keeps min(0.9, 1 - n ** (-2 / 3)) of what it was (timm's warm-up).
    settings = profile(training={"epochs": 2, "ema_decay": 0.9})
    steps: list[dict[str, torch.Tensor]] = []
    loop = Loop(training_examples, len(CLASSES), settings)
    step = loop.optimizer.step

    def watched() -> None:
        step()
        steps.append({name: value.detach().clone() for name, value in loop.model.named_parameters()})

    loop.optimizer.step = watched  # type: ignore[assignment]
    records = [loop.epoch(number, validation_examples) for number in (1, 2)]
    assert len(steps) == 16
    expected = steps[0]
    for number, now in enumerate(steps[1:], start=2):
        kept = min(0.9, 1 - number ** (-2 / 3))
        expected = {name: kept * value + (1 - kept) * now[name] for name, value in expected.items()}
    judged = dict(loop.judged.named_parameters())
    assert judged.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(judged[name], value, atol=1e-5)
    assert not all(torch.allclose(judged[name], value, atol=1e-3) for name, value in steps[-1].items())
    found = brief(training_examples, validation_examples, settings)
    assert losses(found) == [part for r in records for part in (r.train_loss, r.validation_loss)]
    if found.best_epoch == 2:
        assert all(torch.equal(v, judged[name]) for name, v in found.model.named_parameters())


def test_a_loss_of_another_shape_stops_by_that_shape(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    bent = profile(training={"epochs": 1}, loss={"gamma_negative": 3, "clip": 0.1, "positive_power": 1})
    found = brief(training_examples, validation_examples, bent)
    logits = torch.from_numpy(predict_logits(found.model, validation_examples, FRAME))
    targets = torch.from_numpy(np.stack([example.targets for example in validation_examples]))
    # A class is on every second picture: its positives weigh one.
    expected = AsymmetricLossMultiLabel(3, 0, 0.1, reduction="mean")(logits, targets)
    assert found.history[0].validation_loss == pytest.approx(float(expected), rel=1e-4)


def test_several_workers_need_a_place_for_checkpoints(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    with pytest.raises(SettingsError, match="checkpoints"):
        brief(training_examples, validation_examples, profile(training={"workers": 2}))


def test_a_gpu_without_bfloat16_is_told_what_it_has(
    training_examples: list[Example], validation_examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "an old one")
    with pytest.raises(SettingsError, match=r"an old one has no bfloat16.*float16"):
        brief(
            training_examples,
            validation_examples,
            profile(training={"device": "cuda", "precision": "bfloat16"}),
        )


def test_an_image_that_stands_there_again_is_learnt_from_again(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    images = 0

    def count(task: str, done: int, total: int, note: str) -> None:
        nonlocal images
        images += task == "training"

    again = [replace(e, repeats=3 if n < 2 else 1) for n, e in enumerate(training_examples[:12])]
    with listening(count):
        brief(again, validation_examples, profile(training={"epochs": 1, "batch_size": 1}))
    assert images == 12 + 2 * 2


def test_loading_beside_the_loop_changes_nothing(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    beside = profile(training={"epochs": 2, "loader_workers": 1})
    found = brief(training_examples, validation_examples, beside)
    assert losses(found) == losses(brief(training_examples, validation_examples))


def test_frames_of_the_cache_are_decoded_on_the_way(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    def stored(example: Example) -> Example:
        frame = encode_frame(example.pixels())
        window = (0.0, 0.0, 96.0, 64.0)
        return replace(example, frame=CachedImage("i", "0", frame, window, 96, 64, part_found=True))

    def decoded(example: Example) -> Example:
        return replace(example, frame=stored(example).pixels())

    wanted = profile(training={"epochs": 1}, augmentation=EVERYTHING)
    cached, in_memory = (
        brief([change(e) for e in training_examples], [change(e) for e in validation_examples], wanted)
        for change in (stored, decoded)
    )
    assert losses(cached) == losses(in_memory)


def test_progress_and_records_tell_the_same(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    told: list[tuple[str, int, int, str]] = []
    with listening(lambda *event: told.append(event)):
        found = brief(training_examples, validation_examples)
    assert [event[:3] for event in told] == [("training", n, 16) for n in range(1, 17)]
    assert told[-1][3].startswith(f"epoch 2 loss {found.history[-1].train_loss:.4f}")
    assert found.history[-1].learning_rate == pytest.approx(0, abs=1e-9)
    assert found.seconds >= sum(record.seconds for record in found.history)


@pytest.mark.parametrize(("training", "validation"), [(0, 32), (9, 32), (64, 0)])
def test_too_few_images_are_refused(
    training: int, validation: int, training_examples: list[Example], validation_examples: list[Example]
) -> None:
    with pytest.raises(InsufficientDataError, match=f"{training} training images|no validation image"):
        brief(training_examples[:training], validation_examples[:validation])


def test_a_gpu_that_is_not_there_is_no_quiet_move_to_the_processor(
    training_examples: list[Example], validation_examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="GPU"):
        brief(training_examples, validation_examples, profile(training={"device": "cuda"}))


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_loss_that_is_no_number_is_an_error(
    epochs: int, training_examples: list[Example], validation_examples: list[Example]
) -> None:
    wild = profile(training={"epochs": epochs, "learning_rate": 1e30, "warmup_epochs": 0})
    with pytest.raises(SettingsError, match="learning_rate"):
        brief(training_examples, validation_examples, wild)


def test_a_validation_loss_that_is_no_number_is_an_error(
    training_examples: list[Example], validation_examples: list[Example]
) -> None:
    broken = [replace(validation_examples[0], weight=math.nan), *validation_examples[1:]]
    with pytest.raises(SettingsError, match="no number"):
        brief(training_examples, broken)
