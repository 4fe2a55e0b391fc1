"""The copy of a model for inference on a CPU."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import nn

from sonant.inference.blocks import BLOCKS
from sonant.inference.cpu.arithmetic import FLOAT32, Arithmetic
from sonant.inference.cpu.smoothing import Peaks
from sonant.inference.modules import plain_copy, replace_blocks
from sonant.inference.structure import has_expected_parts
from sonant.models import Backbone, VQWav2Vec


@torch.no_grad()
def optimize_for_cpu(
    backbone: Backbone, arithmetic: Arithmetic = FLOAT32, integers: Mapping[str, Peaks] | None = None
) -> Backbone:
    """`optimize`, for a CPU.

    Args:
        arithmetic: of each kind of product, whether that is fast here or not.
        integers: the feed-forward and attention blocks, by name, whose products are of integers of eight bits.
    """
    optimized = plain_copy(backbone, torch.float32, torch.device("cpu"))
    chosen = {optimized.get_submodule(name): peaks for name, peaks in (integers or {}).items()}

    def replacement(block: nn.Module) -> nn.Module | None:
        return optimized_block(block, arithmetic, chosen.get(block))

    if replacement(optimized) is None:
        replace_blocks(optimized, replacement)
    return optimized


def optimized_block(block: nn.Module, arithmetic: Arithmetic, integers: Peaks | None = None) -> nn.Module | None:
    """The faster form of a block of a plain copy; None where there is none.

    Args:
        integers: what its products are given, where they are to be of integers.
    """
    if isinstance(block, VQWav2Vec):  # rounding would change codes, not only their last digits
        replace_blocks(block, partial(optimized_block, arithmetic=FLOAT32))
        return block
    forms = BLOCKS.get(type(block))
    if forms is None or isinstance(forms.cpu, str) or not has_expected_parts(block):
        return None
    return forms.cpu(block, arithmetic, integers)
