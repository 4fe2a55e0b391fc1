"""Setup of an objective: the models that it trains, and how its parts are made."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sonant.errors import ConfigurationError
from sonant.loss import Objective
from sonant.models import Backbone, BackboneConfig
from sonant.models import build as build_backbone
from sonant.models.families import family_of
from sonant.pretraining.stage_inputs import StageInputs


@dataclass(frozen=True)
class Setup:
    """Setup of an objective, a row in the table of `objectives.py`.

    Attributes:
        title: of the objective, in messages.
        trains: class of the models that it can train.
        families: names of those models, in messages.
        build: make the objective, from model and settings.
        batches: make its batches, from settings, model and inputs of the stage.
        flops: count its operations on one batch, as in `pretraining/flops.py`.
        needs: describe the previous model that the settings need; "" for none.
        check: raise if targets cannot come from the previous model; arguments are settings, name of the stage,
            configurations of the previous model and of the one to train.
        complete: fill in settings that depend on files.
        fresh: make a model with fresh weights.
        layers: numbers of the hidden states that the settings name, of the model to train.
        has_teacher: True if a copy of the model behind its extractor runs forward in each step.
        runs_extractor: False if training steps start from precomputed codes.
    """

    title: str
    trains: type[Backbone]
    families: str
    build: Callable[[Any, Any], Objective]
    batches: Callable[[Any, Any, StageInputs], Any]
    flops: Callable[[Any, Any, int, int], int]
    needs: Callable[[Any], str] = lambda _: ""
    check: Callable[[Any, str, BackboneConfig, BackboneConfig], None] = lambda *_: None
    complete: Callable[[Any], Any] = lambda config: config
    fresh: Callable[[Any, StageInputs], Backbone] = lambda config, _: build_backbone(config)
    layers: Callable[[Any], Collection[int]] = lambda _: ()
    has_teacher: bool = False
    runs_extractor: bool = True

    def expect(self, backbone: Backbone) -> None:
        """Raise ConfigurationError for a model that the objective cannot train."""
        if not isinstance(backbone, self.trains):
            raise ConfigurationError(
                f"{self.title} works on {self.families}; the run's model is a {type(backbone).__name__}. Choose "
                "another objective, or another model."
            )

    def training_flops(self, objective: Any, model: BackboneConfig, clips: Mapping[int, float], masked: int) -> float:
        """Count the operations of a batch forward and backward, which costs twice as much.

        Args:
            objective: its settings.
            clips: number of clips of each length in samples.
            masked: number of masked frames.
        """
        forward, teacher, frames = 0.0, 0.0, 0.0
        for samples, number in clips.items():
            counted = family_of(model).shape.flops(model, samples)
            forward += number * (counted.total if self.runs_extractor else counted.context)
            teacher += number * counted.context * self.has_teacher
            frames += number * max(0, (samples - model.receptive_field) // model.stride + 1)
        return 3 * (forward + self.flops(objective, model, round(frames), masked)) + teacher
