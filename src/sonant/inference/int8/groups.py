"""Measurement of the groups of linear layers of a model that can be computed in int8."""

from collections.abc import Iterable
from typing import get_args

import torch
from torch import Tensor

from sonant.inference.cpu.arithmetic import int8_arithmetic
from sonant.inference.int8.calibration import group_of
from sonant.inference.int8.check import near
from sonant.inference.int8.optimization import integer_form
from sonant.inference.modules import shared_copy
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.models.backbone import LinearGroup

GROUPS: tuple[LinearGroup, ...] = get_args(LinearGroup)  # in order of trial, largest gain first


@torch.no_grad()
def passing_groups(backbone: Backbone, clips: Iterable[Tensor]) -> tuple[LinearGroup, ...]:
    """Find the groups with which states stay near float32; each is tried together with those that passed before.

    Args:
        clips: waveforms (samples,) of representative speech, normalized where the model needs it; a minute of several
            speakers suffices.
    """
    speech = Packed.pack(clips)
    expected = shared_copy(backbone, torch.float32, torch.device("cpu"))(speech)
    groups: tuple[LinearGroup, ...] = ()
    for group in GROUPS:
        trial = shared_copy(backbone)
        trial.int8_groups = (*groups, group)
        form = integer_form(trial, int8_arithmetic())
        used = any(group_of(trial.get_submodule(name)) == group for name in form.integers)
        if used and near(form.optimized(speech), expected):
            groups = (*groups, group)
    return groups
