"""Settings of a pretraining run and of its stages."""

from dataclasses import dataclass, field, replace
from typing import Literal

from sonant.audio.augment import Mixing
from sonant.errors import ConfigurationError
from sonant.models import BackboneConfig
from sonant.pretraining.batches import Batching
from sonant.pretraining.objective_setup import Setup
from sonant.pretraining.objectives import ObjectiveConfig, setup_of
from sonant.training.named_run import NamedRun
from sonant.training.probes import ProbeSettings
from sonant.training.settings import Training
from sonant.training.stages import check_folder_names
from sonant.training.trackers import TrackerName, installed_trackers

WAVEFORMS = "waveforms"  # folder of the decoded corpus


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Settings of one stage.

    Attributes:
        name: also of its folder.
        objective: settings; their type determines the objective.
        start: "fresh" weights, or those of the previous stage. For the first stage these are of `initial_model`, or of
            the teacher if there is none; a head of the same objective in that file is loaded too.
        extractor_steps: steps of regression on log-mel energies that train the feature extractor before a fresh start.
        mixing: speech and noise mixed into the clips.
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
        """Row of its objective."""
        return setup_of(self.objective)

    @property
    def needs_previous(self) -> bool:
        """True if targets, codes or weights come from the previous model."""
        return self.start == "previous" or bool(self.setup.needs(self.objective))


@dataclass(frozen=True, kw_only=True)
class PretrainingRun(NamedRun):
    """Settings of a pretraining run.

    Attributes:
        name: also of its folder under `output`.
        model: configuration of the backbone.
        data: folder of recordings, or a manifest, see `sonant.data.read_manifest`.
        noise: manifest of noises, for stages with `mixing.noise_probability` above 0.
        impulse_responses: manifest of impulse responses, for stages with `batching.reverb_probability` above 0.
        teacher: model (hub id, folder or file) that gives the targets of the first stage.
        initial_model: model that the first stage starts from, and that gives its targets if there is no teacher.
        seed: of weights, batches, masks and clusters.
        held_out_share: share of recordings not used for training. Their loss is reported every `validate_every` steps,
            and a stage ends with the weights of the lowest.
        probes: of the model during training.
        trackers: where metrics are shown; by default TensorBoard, if it is installed.
    """

    name: str
    model: BackboneConfig
    stages: tuple[Stage, ...]
    data: str = ""
    noise: str = ""
    impulse_responses: str = ""
    teacher: str = ""
    initial_model: str = ""
    output: str = "runs"
    device: str = "cpu"
    seed: int = 0
    held_out_share: float = 0.0
    probes: ProbeSettings = ProbeSettings()
    trackers: tuple[TrackerName, ...] = field(default_factory=installed_trackers)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [stage.name for stage in self.stages]
        if not names:
            raise ConfigurationError("The run has no stages, so it would train nothing; give it one at least.")
        check_folder_names(*names)
        if WAVEFORMS in names:
            raise ConfigurationError(f"{WAVEFORMS!r} is no name for a stage: that folder holds recordings.")
        if len(set(names)) < len(names):
            raise ConfigurationError(f"Each stage has a folder of its own, but the names are {', '.join(names)}.")


def completed(run: PretrainingRun) -> PretrainingRun:
    """Fill in settings that depend on files, such as the number of different labels in them. Raises ManifestError."""
    stages = (replace(stage, objective=stage.setup.complete(stage.objective)) for stage in run.stages)
    return replace(run, stages=tuple(stages))
