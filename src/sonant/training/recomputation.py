"""Recomputation of the blocks of a model in the backward pass, to save memory."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
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

    The random numbers of dropout are the same both times, so gradients are those without recomputation; and the running
    statistics of batch norms count each batch once.
    """
    blocks = blocks_of(model)
    for block in blocks:
        contexts = partial(_contexts, [module for module in block.modules() if isinstance(module, _BatchNorm)])
        block.forward = partial(checkpoint, block.forward, use_reentrant=False, context_fn=contexts)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _contexts(norms: list[_BatchNorm]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of the forward pass and of its recomputation."""
    return nullcontext(), _statistics_kept(norms)


@contextmanager
def _statistics_kept(norms: list[_BatchNorm]) -> Iterator[None]:
    """Normalize by the batch, as in training, without adding it to the running statistics."""
    before = [
        (norm, norm.momentum, None if (seen := norm.num_batches_tracked) is None else seen.clone()) for norm in norms
    ]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, seen in before:
            norm.momentum = momentum
            if seen is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(seen)
