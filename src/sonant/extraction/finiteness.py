"""Checks of hidden states for NaN and infinity, and diagnosis of the cause."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonant.errors import NonFiniteStates, some_of
from sonant.layers.packed import Packed
from sonant.models.backbone import Backbone
from sonant.models.normalization import RecordingStatistics

LOUD = 100.0  # samples are expected between -1 and 1
FLOAT16_LARGEST = torch.finfo(torch.float16).max
LEAST_RANGE = 1e5  # the largest number of float16 is smaller


def are_finite(values: Iterable[Tensor]) -> bool:
    """Return whether floating-point tensors are free of NaN and infinity; synchronizes with a GPU once."""
    held = list(values)
    if not held or bool(torch.stack([value.sum() for value in held]).isfinite().all()):
        return True
    return all(bool(value.isfinite().all()) for value in held)  # not isfinite of the sum, which may overflow


def require_range(states: Tensor, stored: np.dtype[Any]) -> None:
    """Raise NonFiniteStates if finite states exceed the range of the stored type."""
    if stored == np.float16 and states.numel() and (largest := float(states.abs().amax())) > FLOAT16_LARGEST:
        raise NonFiniteStates(
            f"The states of this recording reach {largest:.0f}; float16 holds {FLOAT16_LARGEST:.0f} at most. Store "
            "them in float32 (--dtype float32), or scale them to length one (--normalize)."
        )


def require_finite(made: Tensor, head: str) -> Tensor:
    """Return a head's output; raise NonFiniteStates if it is not finite."""
    if are_finite([made]):
        return made
    raise NonFiniteStates(
        f"What the {head} head makes of the states of this recording is not finite, though the states are: its weights "
        "hold NaN, infinity or numbers that are too large. Load another checkpoint, or train the head with a lower "
        "learning rate."
    )


def non_finite(backbone: Backbone, samples: np.ndarray, statistics: RecordingStatistics | None) -> NonFiniteStates:
    """Return the error for a clip with non-finite states: the first such state and the likely cause.

    Args:
        samples: the model's input, float32 (samples,).
        statistics: of the whole recording, if the clip is a window.
    """
    return NonFiniteStates(f"{_first(backbone, samples, statistics)} {_cause(backbone, samples)}")


def _first(backbone: Backbone, samples: np.ndarray, statistics: RecordingStatistics | None) -> str:
    """Describe the lowest non-finite state."""
    speech = Packed.pack([torch.from_numpy(samples).to(backbone.device)])
    encoded = backbone(speech, statistics=[statistics])
    for number, state in sorted(encoded.hidden_states.items()):
        if not are_finite([state]):
            what = "the input of the first block" if number == 0 else f"the output of block {number}"
            return f"The states of this recording are not finite from layer {number} on, {what}."
    return "The output of the model for this recording is not finite, though the states below it are."


def _cause(backbone: Backbone, samples: np.ndarray) -> str:
    origin = backbone.origin
    model = backbone if origin is None else origin.model()
    tensors = [] if model is None else [*model.named_parameters(), *model.named_buffers()]
    spoilt = [name for name, tensor in tensors if tensor.is_floating_point() and not are_finite([tensor.detach()])]
    if spoilt:
        return (
            f"Its weights hold NaN or infinity, in {some_of(spoilt, 3, rest='more tensors')}: the file is damaged, or "
            "training diverged. Load another checkpoint; to train, lower the learning rate or clip gradients."
        )
    loudest = float(np.abs(samples).max(initial=0.0))
    if not loudest < LOUD:
        return f"Its samples reach {loudest:.3g}; expected are numbers between -1 and 1. Scale the recording."
    precision = str(backbone.waveform_dtype).removeprefix("torch.") if origin is None else origin.precision
    if torch.finfo(getattr(torch, precision, torch.float32)).max < LEAST_RANGE:
        return (
            "The model was run in float16, whose largest number is 65,504. Run it in bfloat16 or float32: "
            "precision='bfloat16', or load(..., dtype=torch.float32)."
        )
    return (
        f"Its weights and its samples are finite, but what it computes of them in {precision} is not: the weights are "
        "too large for this model, as those of another one or of a run that diverged may be."
    )
