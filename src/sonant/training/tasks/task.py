"""Protocol of tasks: what is learned from the labels of recordings."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor

from sonant.checkpoints import Checkpoint
from sonant.data import ManifestEntry, WaveformStore, plain_label, read_manifest
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.tasks import LayerMix
from sonant.training.tasks.mixer import Mixer
from sonant.training.tasks.results import Prediction, TaskResult
from sonant.training.tasks.targets import Target
from sonant.training.validation import Criterion


class TaskHead(Protocol):
    """Module over packed states, of a kind that checkpoints have a place for."""

    def __call__(self, states: Packed, *heard: Any) -> Any:
        """Compute outputs of states (total_frames, states, dim).

        With `num_sources` above 0 it also gets waveforms (total_samples,), and the places of the frames in them.
        """

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors to save."""


Columns = str | tuple[str, ...]  # of a manifest


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """Settings of a task, which make its head, its loss and metrics, and read its labels.

    A label is the text of one field of the manifest; its units are the classes that it names: one, or several
    (characters). The training adds the backbone, batches, and everything else.

    Attributes:
        kind: of the head, as in `sonant.checkpoints.Head`.
        criterion: measure on the development set by which the best weights are chosen.
        is_open_set: the development set may have labels that the training set has not, such as other speakers. Their
            units have numbers from that of the classes on.
        label_title: of what is learned, in messages; "": the name of the field.
        is_of_every_part: the label of a recording is that of each part, so that recordings may be cropped.
    """

    kind: ClassVar[str]
    criterion: ClassVar[Criterion]
    is_open_set: ClassVar[bool] = False
    label_title: ClassVar[str] = ""
    is_of_every_part: ClassVar[bool] = False

    @property
    def num_sources(self) -> int:
        """The number of waveforms that are the target, of a head that reads the speech too; 0 for other heads."""
        return 0

    @property
    def makes_recordings(self) -> bool:
        """True if recordings are made while training, so that states cannot be kept."""
        return False

    @property
    def is_for_transformers(self) -> bool:
        """True if transformers has a class for the head, where it has one for the model."""
        return True

    def recordings(self, manifest: str, column: Columns) -> list[ManifestEntry]:  # noqa: ARG002
        """Read the manifest of a set, with labels of files beside it in this column. Raises ManifestError."""
        return read_manifest(manifest)

    def with_columns(self, columns: tuple[str, ...]) -> "Task":
        """Return the task whose labels are the values of several fields, by name. Raises ConfigurationError."""
        raise ConfigurationError(
            f"label=[{','.join(columns)}] was given; the label of a {type(self).__name__} is that of one field: label="
            f"{columns[0] if columns else 'FIELD'}."
        )

    def normalized(self, value: Any) -> str:
        """Return the value of a row as the label that is learned; "" if there is nothing to learn.

        A label is text, JSON where it has structure. Raises ManifestError for a value that is none.
        """
        return plain_label(value)

    def pieces(self, entry: ManifestEntry, column: Columns, max_seconds: float) -> list[ManifestEntry]:  # noqa: ARG002
        """Divide a recording that is longer than this, with the label in a column, where parts have labels too."""
        return [entry]

    def unfit(self, label: str) -> str:  # noqa: ARG002
        """Return why a piece with this label cannot be learned, and is left out; "" if it can."""
        return ""

    def sources(self, entry: ManifestEntry) -> list[ManifestEntry]:  # noqa: ARG002
        """Return the recordings that are the target of one, and as long, if there are any."""
        return []

    def mixer(
        self,
        name: str,  # noqa: ARG002
        *,
        given: Mapping[int, Sequence[int]],  # noqa: ARG002
        labels: Mapping[int, str],  # noqa: ARG002
        folder: Path,  # noqa: ARG002
        sampling_rate: int,  # noqa: ARG002
    ) -> Mixer | None:
        """Return the maker of recordings with their sources, for a task that learns these; None for any other.

        Args:
            name: of the set, such as "train".
            given: numbers of the sources of each recording that has some.
            labels: of each other recording.
            folder: for decoded noises.
        """
        return None

    def fitted(
        self,
        labels: Sequence[str],  # noqa: ARG002
        *,
        checkpoint: Checkpoint,  # noqa: ARG002
        model: str,  # noqa: ARG002
        folder: Path,  # noqa: ARG002
        resumed: bool,  # noqa: ARG002
    ) -> Self:
        """Return the task with what it takes from the normalized labels of the training set and from the model.

        Args:
            checkpoint: the model that the training starts from.
            model: its name.
            folder: of the run, for files that are made.
            resumed: the run goes on, with the files that it made before; otherwise files there are of an earlier one.
        """
        return self

    def files(self) -> Mapping[str, Path]:
        """Return the files that units are made with, by name; the saved model has them beside it."""
        return {}

    @abstractmethod
    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the classes by number, from the normalized labels of the training set. Raises ManifestError."""

    def check_dev(self, labels: Sequence[str]) -> None:  # noqa: B027 - most tasks have nothing to check
        """Raise ManifestError if nothing can be measured on recordings with these labels."""

    def units(self, label: str) -> list[str]:
        """Return the classes that a normalized label names, in order."""
        return [label]

    def outside(self, label: str, known: frozenset[str]) -> list[str]:
        """Return the units of a normalized label that are not among the known classes; of an open set none are."""
        if self.is_open_set:
            return []
        return [unit for unit in self.units(label) if unit not in known]

    def target(self, label: str, numbers: Mapping[str, int]) -> Target:
        """Return what is learned of a recording: by default the units of its label, int64 (units,).

        Args:
            numbers: of the classes, by their names.
        """
        return torch.tensor([numbers[unit] for unit in self.units(label)], dtype=torch.int64)

    def min_frames(self, label: str) -> int:  # noqa: ARG002
        """Return the least frames that a recording with this label must have."""
        return 1

    @abstractmethod
    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> TaskHead:
        """Make the head, with fresh weights, over states of width `dim`. Raises ConfigurationError."""

    @abstractmethod
    def loss(self, outputs: Any, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:
        """Compute loss and metrics from the head's outputs and the targets, by default int64 (total_units,).

        Metrics that would make a training step slow are left out while `training`.
        """

    def of_vectors(self, vectors: Tensor) -> dict[str, float]:  # noqa: ARG002
        """Return metrics of the whole development set, as `sonant.loss.Objective.of_vectors`."""
        return {}

    def predicted(self, outputs: Any) -> Iterable[Tensor]:
        """Return what the head says of each recording of a batch, for `result`; by default its outputs."""
        return [output.float() for output in outputs]

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:  # noqa: ARG002
        """Measure the finished model on the development set; by default nothing."""
        return TaskResult()

    def add_files(  # noqa: B027 - most tasks add none
        self, folder: Path, waveforms: WaveformStore, labels: Mapping[int, str], classes: Sequence[str], *, device: str
    ) -> None:
        """Add files to the folder of the saved model, by the recordings of the development set.

        Args:
            labels: of the waveforms that are used, by number.
        """

    @abstractmethod
    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        """Return the metadata of the head in checkpoints."""


def settings_of(task: Task) -> dict[str, Any]:
    """Return the settings of a task by name, for a task of another class that adds to them."""
    return {each.name: getattr(task, each.name) for each in fields(task)}
