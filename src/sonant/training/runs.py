"""The description of a pretraining run: stages that follow one another, each with an objective of its own."""

from dataclasses import dataclass
from typing import Literal

from sonant.audio.augment import Mixing
from sonant.errors import ConfigurationError
from sonant.models import BackboneConfig
from sonant.pretraining.batches import Batching
from sonant.pretraining.setups import ObjectiveConfig, Setup, setup_of
from sonant.training.settings import Training

WAVEFORMS = "waveforms"  # the folder of the decoded corpus, beside those of the stages


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of training: an objective, and the speech it learns from.

    Attributes:
        name: of its folder.
        objective: settings of what is learned; their type says which objective it is.
        start: from fresh weights, or from those of the stage before (only what the objective adds is fresh). For the
            first stage, the stage before is the run's teacher; a contrast goes on with the quantizer of its file, if
            that has one.
        extractor_steps: steps in which the extractor alone learns log-mel energies before a fresh start.
        batching: amount and preparation of the speech in a step.
        mixing: the sounds that are mixed into it.
        training: length, learning rate and optimizer.
    """

    name: str
    objective: ObjectiveConfig
    start: Literal["fresh", "previous"] = "fresh"
    extractor_steps: int = 0
    batching: Batching = Batching()
    mixing: Mixing = Mixing(probability=0.0)
    training: Training = Training()

    @property
    def setup(self) -> Setup:
        """The row of its objective."""
        return setup_of(self.objective)

    @property
    def needs_previous(self) -> bool:
        """Return whether it takes targets, codes or weights from the model before it."""
        return self.start == "previous" or bool(self.setup.needs(self.objective))


@dataclass(frozen=True, kw_only=True)
class PretrainingRun:
    """A whole run.

    Attributes:
        name: of its folder under `output`.
        model: shape of the backbone.
        stages: the iterations, in order.
        data: folder with a manifest.jsonl, or a manifest.
        noise: manifest of noises, for stages whose mixing has a noise share.
        impulse_responses: manifest of impulse responses, for stages with reverberation.
        teacher: a model (hub id, folder or file) that stands before the first stage: its layers give the targets, and
            its weights the start, where the first stage asks for them.
        output: folder of all runs.
        device: the device to train on.
        seed: of weights, batches, masks and clusters.
        held_out_share: recordings that are never learned from, drawn by the seed; their loss is reported every
            `validate_every` steps, and a stage ends with the weights with which it was lowest.
    """

    name: str
    model: BackboneConfig
    stages: tuple[Stage, ...]
    data: str = ""
    noise: str = ""
    impulse_responses: str = ""
    teacher: str = ""
    output: str = "runs"
    device: str = "cpu"
    seed: int = 0
    held_out_share: float = 0.0

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names:
            raise ConfigurationError("The run has no stages, so it would train nothing; give it one at least.")
        for name in (self.name, *names):
            if not name or name in (".", "..", WAVEFORMS) or set(name) & set("/\\"):
                raise ConfigurationError(f"A run and its stages name folders, and {name!r} is no name for one.")
        if len(set(names)) < len(names):
            raise ConfigurationError(f"Each stage has a folder of its own, but the names are {', '.join(names)}.")
