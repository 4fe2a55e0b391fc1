"""Weights in the order that oneDNN prefers on this machine."""

from typing import Self

from sonant.errors import ConfigurationError


class OneDNNLayout:
    """Holds weights that torch can neither copy nor save. Nothing ever changes them, so copies share them."""

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> str | tuple[object, ...]:
        raise ConfigurationError(
            "A model optimized for inference cannot be saved: its weights are laid out for this machine. "
            "Save the model that it was made from, and optimize that again."
        )
