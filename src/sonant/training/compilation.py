"""Compilation of what is trained."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

from sonant.errors import ConfigurationError
from sonant.layers.transformer import TransformerEncoder


def encoders_to_compile(model: nn.Module) -> list[TransformerEncoder]:
    """Return the Transformer encoders of a model. Raises ConfigurationError if there is none."""
    encoders = [module for module in model.modules() if isinstance(module, TransformerEncoder)]
    if not encoders:
        raise ConfigurationError(
            f"Training.compile=True was given, but {type(model).__name__} has no Transformer encoder, whose layers are "
            "what is compiled: those of Conformers and convolutional networks are not. Set compile=False."
        )
    return encoders


@contextmanager
def compiled(model: nn.Module) -> Iterator[None]:
    """Run the layers of the Transformer encoders of a model by `torch.compile` while the context is open."""
    with ExitStack() as stack:
        for encoder in encoders_to_compile(model):
            stack.enter_context(encoder.compiled())
        yield
