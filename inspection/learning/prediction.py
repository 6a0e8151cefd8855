"""What a network tells of images that it does not learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inspection.imaging import Preprocessing
from inspection.learning.augmentation import normalised
from inspection.learning.data import Example, FrameDataset
from inspection.learning.loading import frame_loader
from inspection.learning.model import DefectNet, pool
from inspection.learning.workers import ALONE, Workers


def predict_logits(
    model: DefectNet, examples: Sequence[Example], preprocessing: Preprocessing, workers: Workers = ALONE
) -> NDArray[np.float32]:
    """Returns image logits, float32 [N, C], in order, without changes to the images.

    Args:
        model: put into evaluation mode.
        examples: what to look at.
        preprocessing: that of the frames.
        workers: share the examples among them; each gets all logits.
    """
    device = next(model.parameters()).device
    # A few at a time on a processor: feature maps of more whole frames leave its caches, at twice the time.
    batch_size = 32 if device.type == "cuda" else 4
    model.eval()
    found = [torch.zeros(0, model.head.out_channels, device=device)]
    own = FrameDataset(workers.share(examples), (1, 1))
    with torch.inference_mode():
        for batch in frame_loader(own, batch_size):
            images = normalised(batch.images.to(device), preprocessing)
            found.append(pool(model(images).float()))
    return _array(workers.gathered(torch.cat(found), len(examples)))


def _array(logits: Tensor) -> NDArray[np.float32]:
    return np.asarray(logits.cpu().numpy(), np.float32)
