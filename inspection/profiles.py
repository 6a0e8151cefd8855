"""Model profiles: everything that decides how a model is trained and judged, as files.

``Settings.profile`` names one of ``inspection/profiles/*.yaml``, or gives the path of one's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from inspection.errors import SettingsError
from inspection.imaging import Preprocessing

FOLDER = Path(__file__).with_name("profiles")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BackboneProfile(_Part):
    """A network of timm and where its first weights come from.

    Attributes:
        architecture: a timm model name; ours are registered in `inspection.learning.backbones`.
        pretrained: where the weights come from: random, timm's, or `weights_file`.
        weights_file: safetensors file of the backbone, for ``pretrained: file``.
        weights_sha256: its hash; another file is refused.
    """

    architecture: str
    pretrained: Literal["none", "imagenet", "file"] = "none"
    weights_file: Path | None = None
    weights_sha256: str | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        wanted = self.pretrained == "file"
        if {wanted} != {self.weights_file is not None, self.weights_sha256 is not None}:
            raise ValueError(
                "pretrained: file goes with weights_file and weights_sha256, and only they with it"
            )
        return self


class ModelProfile(BackboneProfile):
    """The network.

    Attributes:
        space_to_depth: factor by which pixels are moved into channels before the backbone.
        output_stride: of the backbone, counted after `space_to_depth`; 32 is timm's default.
        drop_rate: dropout before the head; likewise `drop_path_rate` in the backbone.
    """

    space_to_depth: int = Field(default=1, ge=1)
    output_stride: Literal[4, 8, 16, 32] = 32
    drop_rate: float = Field(default=0.0, ge=0, lt=1)
    drop_path_rate: float = Field(default=0.0, ge=0, lt=1)


class EmbeddingProfile(BackboneProfile):
    """The frozen network whose pooled features stand for an image.

    Attributes:
        height: rows that the network sees; likewise `width`.
        seed: of random weights.
        batch_size: images in one pass.
        device: where it runs; there is no quiet move from one to the other.
    """

    architecture: str = "resnet50"
    pretrained: Literal["none", "imagenet", "file"] = "imagenet"
    height: int = Field(default=224, gt=0)
    width: int = Field(default=224, gt=0)
    seed: int = 0
    batch_size: int = Field(default=32, gt=0)
    device: Literal["cpu", "cuda"] = "cpu"


class CacheProfile(_Part):
    """The image cache.

    Attributes:
        short_side: pixels of the shorter side of a cached frame; the network's own size where that is larger.
    """

    short_side: int = Field(default=456, gt=0)


class TrainingProfile(_Part):
    """The training loop.

    Attributes:
        learning_rate: of AdamW at its peak; a cosine takes it to zero after `warmup_epochs`.
        patience: epochs without a better validation loss after which training stops.
        clip_norm: largest norm of the gradient.
        minimum_per_class: images of each defect class in an epoch, by repetition where there are fewer;
            dbt deals it into the training dataset.
        minimum_rows: fewer training images are refused.
        device: where it runs; there is no quiet move from one to the other.
        precision: of the network's arithmetic; ``bfloat16`` is faster only where the processor has it, a
            GPU without it takes ``float16``, for which the loss is scaled.
        compile: have torch compile the network first: minutes at the start, faster steps then.
        ema_decay: how much of the moving average of the weights a step keeps; the average is what is
            validated and kept. It begins with less (timm's warm-up), so that short trainings have one too.
            None takes the weights themselves.
        window: rows and columns of the piece of each frame that a step sees, around a defect where one is
            known, at most the frame; None shows the whole frame. A network from random weights learns
            several times faster.
        loader_workers: processes that load images beside the loop, for each worker; 0 loads in it.
        frames_in_memory: keep decoded frames (1 MB each at 416x832) instead of decoding each epoch.
        workers: processes that train together on a Ray cluster; each gets its share of a batch.
        worker_cpus: cores of each; likewise `worker_gpus` and `worker_memory_gb` (10^9 bytes). 0 asks for
            none.
    """

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_epochs: float = Field(ge=0)
    patience: int = Field(gt=0)
    clip_norm: float = Field(default=2.0, gt=0)
    seed: int = 0
    minimum_per_class: int = Field(default=0, ge=0)
    minimum_rows: int = Field(gt=0)
    device: Literal["cpu", "cuda"] = "cpu"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    compile: bool = False
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    window: tuple[PositiveInt, PositiveInt] | None = None
    loader_workers: int = Field(default=0, ge=0)
    frames_in_memory: bool = False
    workers: int = Field(default=1, ge=1)
    worker_cpus: float = Field(default=1, gt=0)
    worker_gpus: float = Field(default=0, ge=0)
    worker_memory_gb: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _workers_fit(self) -> Self:
        if self.workers > self.batch_size:
            raise ValueError(f"batch_size {self.batch_size} is too small for {self.workers} workers")
        if self.workers > 1 and (self.device == "cuda") != (self.worker_gpus > 0):
            raise ValueError("worker_gpus goes with device: cuda, and with it alone")
        return self


class Augmentation(_Part):
    """Random changes to training images; the labels and boxes follow them.

    Attributes:
        rotation_degrees: largest angle either way.
        flip: probability of a horizontal flip, and of a vertical one.
        crop_scale: smallest share of the area that a random resized crop keeps; 1 crops nothing.
        brightness: largest relative change either way; likewise `contrast`.
        noise: standard deviation of Gaussian noise, of values scaled to 0..1.
        minimum_visible: a defect of whose box less than this share is left loses its label.
    """

    rotation_degrees: float = Field(default=0.0, ge=0, le=180)
    flip: float = Field(default=0.0, ge=0, le=1)
    crop_scale: float = Field(default=1.0, gt=0, le=1)
    brightness: float = Field(default=0.0, ge=0, lt=1)
    contrast: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0)
    minimum_visible: float = Field(default=0.25, ge=0, le=1)


class LossProfile(_Part):
    """What training minimises.

    The defaults are binary cross-entropy. All else bends the probabilities, which calibration straightens.

    Attributes:
        box_weight: weight of the term that ties activation maps to annotated boxes.
        gamma_positive: focusing of the asymmetric loss (Ridnik et al. 2021): how little a defect counts that
            is found already; likewise `gamma_negative` for a class that is rightly not told.
        clip: probability up to which a class that is not there counts nothing (the same paper's margin).
        positive_power: a class's positives weigh (negatives / positives) to this power, and 1 at least; 1
            makes both sides of a rare class equal, 0 leaves them as they are.
    """

    box_weight: float = Field(default=1.0, ge=0)
    gamma_positive: float = Field(default=0.0, ge=0)
    gamma_negative: float = Field(default=0.0, ge=0)
    clip: float = Field(default=0.0, ge=0, lt=1)
    positive_power: float = Field(default=0.0, ge=0, le=1)


class CalibrationProfile(_Part):
    """What validation must hold before thresholds are chosen on it.

    Attributes:
        minimum_positives: of each class, in validation.
        minimum_negatives: likewise.
    """

    minimum_positives: int = Field(gt=0)
    minimum_negatives: int = Field(gt=0)


class MistakeCost(_Part):
    """What a wrong decision about a class costs, in any unit that is the same for all classes.

    Attributes:
        miss: of a part whose defect is not told.
        false_alarm: of a part for which a defect is told that it does not have.
    """

    miss: float = Field(gt=0)
    false_alarm: float = Field(gt=0)


class ThresholdProfile(_Part):
    """How thresholds are chosen.

    Attributes:
        costs: by class id; such a class gets the threshold with the lowest expected cost at the line's own
            mix. A class without costs gets the best F1. A safety-critical class has none: the gate's recall
            decides.
    """

    costs: dict[str, MistakeCost] = {}


class ControlsProfile(_Part):
    """The controls that a model is compared with.

    Attributes:
        shuffled_epochs: most epochs that the network trains on shuffled labels; `training.epochs` if fewer.
    """

    shuffled_epochs: int = Field(default=10, gt=0)


class GateLimits(_Part):
    """What a model must reach on the test set before it may be deployed.

    Attributes:
        precision: lowest micro precision over defect classes; likewise `recall`.
        false_reject_rate: largest share of good parts that the model rejects.
        safety_critical_recall: lowest recall of each safety-critical class.
        safety_critical_positives: test images of each such class below which nothing is concluded.
        hold_bound: the one-sided 95 % lower bound of that recall must reach the limit as well.
    """

    precision: float = Field(default=0.95, ge=0, le=1)
    recall: float = Field(default=0.93, ge=0, le=1)
    false_reject_rate: float = Field(default=0.05, ge=0, le=1)
    safety_critical_recall: float = Field(default=0.99, ge=0, le=1)
    safety_critical_positives: int = Field(default=299, gt=0)
    hold_bound: bool = True


class Profile(_Part):
    """How a model is made and judged."""

    name: str
    model: ModelProfile
    embedding: EmbeddingProfile = EmbeddingProfile()
    preprocessing: Preprocessing
    cache: CacheProfile = CacheProfile()
    training: TrainingProfile
    augmentation: Augmentation = Augmentation()
    loss: LossProfile = LossProfile()
    calibration: CalibrationProfile
    thresholds: ThresholdProfile = ThresholdProfile()
    controls: ControlsProfile = ControlsProfile()
    gate: GateLimits = GateLimits()
    confidence_threshold: float = Field(default=0.8, ge=0, le=1)
    """Below it a person looks at the part: what the report counts as automatic."""

    @property
    def cached_preprocessing(self) -> Preprocessing:
        """How frames are kept in the image cache; `preprocessing` is how the network sees them."""
        return self.preprocessing.cached(self.cache.short_side)

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        frame = (self.preprocessing.height, self.preprocessing.width)
        shown = self.training.window or frame
        if shown[0] > frame[0] or shown[1] > frame[1]:
            raise ValueError(f"training.window {shown} is larger than the frame, {frame}")
        factor = self.model.space_to_depth
        if any(length % factor for length in (*frame, *shown)):
            raise ValueError(
                f"frame {frame} and window {shown} must be multiples of model.space_to_depth, {factor}"
            )
        return self


def load_profile(name: str) -> Profile:
    """Reads a profile.

    Args:
        name: of a file in ``inspection/profiles`` without its ending, or a path to a YAML file.

    Raises:
        SettingsError: there is no such profile, or it makes no sense; the message names the place.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise SettingsError(f"no profile {name!r}: there are {known} (VQI_PROFILE)") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(": ".join(filter(None, [f"profile {name}", place, reason]))) from error
