"""Weights in the memory layout of oneDNN."""

from typing import Self

from sonant.errors import ConfigurationError


class OneDNNLayout:
    """Base of objects with oneDNN weights, which torch can neither copy nor save; copies share them."""

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> str | tuple[object, ...]:
        raise ConfigurationError(
            "A model optimized for inference cannot be saved: its weights are laid out for this machine. "
            "Save the model that it was made from, and optimize that again."
        )
