"""Rates of dropout while a model is trained on labels."""

from dataclasses import dataclass, fields, replace

from sonant.errors import ConfigurationError
from sonant.models import BackboneConfig


@dataclass(frozen=True, kw_only=True)
class DropoutRates:
    """Rates that replace those of the model's configuration, in the saved model too; None keeps a rate.

    Attributes:
        dropout: behind the projections of a layer.
        attention_dropout: of attention weights.
        activation_dropout: behind the activation of a feed-forward layer.
        input_dropout: of the projected features.
        layerdrop: share of layers that are skipped.
    """

    dropout: float | None = None
    attention_dropout: float | None = None
    activation_dropout: float | None = None
    input_dropout: float | None = None
    layerdrop: float | None = None

    def __post_init__(self) -> None:
        for name, rate in self._given.items():
            if not 0 <= rate < 1:
                raise ConfigurationError(f"dropout.{name}={rate} was given; expected a rate from 0 to below 1.")

    @property
    def _given(self) -> dict[str, float]:
        return {each.name: rate for each in fields(self) if (rate := getattr(self, each.name)) is not None}

    def of(self, config: BackboneConfig) -> BackboneConfig:
        """Return a configuration with these rates. Raises ConfigurationError: the model has no such rate."""
        lacking = self._given.keys() - {each.name for each in fields(config)}
        if lacking:
            raise ConfigurationError(
                f"dropout.{min(lacking)} was given, which a {type(config).__name__.removesuffix('Config')} does not "
                "have. Leave it out."
            )
        changed: BackboneConfig = replace(config, **self._given)
        return changed
