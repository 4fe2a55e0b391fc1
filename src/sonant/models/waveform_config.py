"""Rates and checks shared by the configurations of models that begin with a convolutional extractor on waveforms."""

from math import prod

from sonant.errors import ConfigurationError
from sonant.layers.conv_extractor import receptive_field
from sonant.models.normalization import check_epsilon


class WaveformConfig:
    """Base of these dataclasses, which declare the fields and their defaults in an order of their own.

    Raises:
        ConfigurationError: on creation, if the extractor's lists differ in length or silence would not stay finite.
    """

    conv_channels: tuple[int, ...]
    conv_kernels: tuple[int, ...]
    conv_strides: tuple[int, ...]
    normalize_epsilon: float

    def __post_init__(self) -> None:
        if not len(self.conv_channels) == len(self.conv_kernels) == len(self.conv_strides) > 0:
            raise ConfigurationError(
                f"conv_channels, conv_kernels and conv_strides describe the same layers, but have "
                f"{len(self.conv_channels)}, {len(self.conv_kernels)} and {len(self.conv_strides)} entries."
            )
        check_epsilon(self.normalize_epsilon)

    @property
    def receptive_field(self) -> int:
        """Samples that one frame of the extractor sees, leaving aside norms, which see the whole clip."""
        return receptive_field(self.conv_kernels, self.conv_strides)

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        return prod(self.conv_strides)


def check_multiple(dim: int, **divisors: int) -> None:
    """Raise ConfigurationError where a width cannot be divided by a number, which is given by the setting's name."""
    for name, divisor in divisors.items():
        if dim % divisor:
            raise ConfigurationError(f"dim={dim} cannot be divided by {name}={divisor}; choose a multiple.")
