"""Recomputation of the blocks of a model in the backward pass, to save memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from sonant.errors import ConfigurationError
from sonant.layers.conformer import ConformerLayer
from sonant.layers.transformer import TransformerLayer

BLOCKS = (TransformerLayer, ConformerLayer)


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """Return the blocks of a model that can be recomputed. Raises ConfigurationError if there are none."""
    blocks: list[nn.Module] = [module for module in model.modules() if isinstance(module, BLOCKS)]
    if not blocks:
        raise ConfigurationError(
            f"training.gradient_checkpointing=true was given, but {type(model).__name__} has no blocks of a "
            "Transformer or Conformer, which are what is recomputed. Set it to false."
        )
    return blocks


@contextmanager
def recomputed(model: nn.Module) -> Iterator[None]:
    """Keep only the inputs of each block while the context is open, and compute the rest again for the gradients.

    The random numbers of dropout are the same both times, so gradients are those without recomputation.
    """
    blocks = blocks_of(model)
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward
