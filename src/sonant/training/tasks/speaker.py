"""Speaker embeddings, for verification and identification, learned by telling the speakers of a training set apart."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sonant.data import WaveformStore
from sonant.errors import ConfigurationError, ManifestError, MeasurementError, SonantWarning, warn
from sonant.evaluation.label_scores import score_labels
from sonant.evaluation.trial_scores import score_trials
from sonant.evaluation.vectors import cosine_scores, speaker_eer, speaker_pairs
from sonant.extraction.voice_calibrations import FILE_NAME
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.tasks import ECAPAHead, LayerMix, SpeakerClassifier, SpeakerOutputs, XVectorHead
from sonant.tasks.ecapa import SCALE
from sonant.tasks.margin_softmax import SpeakerLoss, margin_softmax
from sonant.tasks.xvector import DILATIONS, KERNELS
from sonant.training.tasks.results import Prediction, TaskResult
from sonant.training.tasks.speaker_calibration import calibrate_saved
from sonant.training.tasks.task import Task
from sonant.training.validation import Criterion

MOST_COMPARED = 2000  # recordings of a development set, in all pairs


@dataclass(frozen=True, kw_only=True)
class SpeakerTask(Task):
    """Speaker of a recording: a speaker embedding, and a vector of each speaker of the training set.

    The development set may be of other speakers, as in verification: its metric is the equal error rate of the cosines
    of all pairs of its recordings (of 2,000 at most). The share of the right speaker is measured on recordings of
    speakers of the training set, if there are any, and so is the loss.

    Attributes:
        architecture: of the embedding: "xvector", time-delay layers and statistics over time, for which transformers
            has a class; or "ecapa_tdnn", for which it has none.
        channels: width of its layers.
        pooled_dim: width of its last frames, which are pooled.
        embedding_dim: width of the speaker embedding.
        objective: loss, as in `sonant.tasks.margin_softmax`.
        scale, margin: of the losses with a margin.
        calibrated: set the threshold and the probabilities of `verify` on the recordings of the development set whose
            speakers are not in the training set, if there are ten or more.
    """

    kind: ClassVar[str] = "xvector"
    criterion: ClassVar[Criterion] = Criterion("eer")
    is_open_set: ClassVar[bool] = True
    is_of_every_part: ClassVar[bool] = True

    architecture: Literal["xvector", "ecapa_tdnn"] = "xvector"
    channels: int = 512
    pooled_dim: int = 1500
    embedding_dim: int = 512
    objective: SpeakerLoss = "aam_softmax"
    scale: float = 30.0
    margin: float = 0.2
    calibrated: bool = True

    def __post_init__(self) -> None:
        if self.scale <= 0 or not 0 <= self.margin < 1.5:
            raise ConfigurationError(
                f"task.scale={self.scale} and task.margin={self.margin} were given; expected a positive scale, and a "
                "margin from 0 to 1.5, such as 0.2."
            )
        if self.architecture == "ecapa_tdnn" and self.channels % SCALE:
            raise ConfigurationError(
                f"task.channels={self.channels} was given; an ECAPA-TDNN has a multiple of {SCALE}, such as 512."
            )

    @property
    def is_for_transformers(self) -> bool:
        return self.architecture == "xvector"

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        found = tuple(sorted(set(labels)))
        if len(found) < 2:
            raise ManifestError(
                f"All {len(labels)} recordings are of {found[0]!r}; expected two speakers or more. Is it the right "
                "field? Name another one: label=FIELD."
            )
        return found

    def check_dev(self, labels: Sequence[str]) -> None:
        counts = Counter(labels)
        if len(counts) < 2 or max(counts.values()) < 2:
            raise ManifestError(
                f"The {len(labels)} recordings of dev are of {len(counts)} speaker{'s' * (len(counts) > 1)}; expected "
                "two speakers or more, and several recordings of one, to be compared in pairs."
            )

    def min_frames(self, label: str) -> int:  # noqa: ARG002
        if self.architecture == "ecapa_tdnn":
            return 2
        return sum(dilation * (kernel - 1) for kernel, dilation in zip(KERNELS, DILATIONS, strict=True)) + 2

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> SpeakerClassifier:
        sizes = (dim, self.channels, self.pooled_dim, self.embedding_dim)
        cosines = self.objective != "softmax"
        if self.architecture == "ecapa_tdnn":
            return SpeakerClassifier(ECAPAHead(*sizes, mix), None, len(classes), cosines=cosines)
        hidden = nn.Linear(self.embedding_dim, self.embedding_dim)
        return SpeakerClassifier(XVectorHead.fresh(*sizes, mix), hidden, len(classes), cosines=cosines)

    def loss(self, outputs: SpeakerOutputs, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:
        labels, scores = targets.values, outputs.scores
        if not training:
            known = (labels < len(classes)).nonzero().flatten()
            vectors = torch.cat([labels[:, None], outputs.vectors.float()], dim=1)
            labels, scores = labels[known], scores[known]
        total = margin_softmax(scores, labels, self.objective, scale=self.scale, margin=self.margin)
        hits = (scores.detach().argmax(-1) == labels).sum()
        metrics = {"accuracy": (hits, len(labels))} if len(labels) else {}
        return Loss(total, len(labels), metrics, vectors=None if training else vectors)

    def of_vectors(self, vectors: Tensor) -> dict[str, float]:
        rows = _thinned(vectors.double().numpy())
        return {"eer": speaker_eer(rows[:, 1:], [str(int(label)) for label in rows[:, 0]])}

    def predicted(self, outputs: SpeakerOutputs) -> Iterable[Tensor]:
        return list(torch.cat([outputs.scores, outputs.vectors], dim=1).float())

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        found = [(int(each.target[0]), each.output.double().numpy()) for each in predictions]
        labels = np.array([label for label, _ in found])
        outputs = np.stack([output for _, output in found])  # (recordings, classes + dim)
        rows = _thinned(np.concatenate([labels[:, None], outputs[:, len(classes) :]], axis=1))
        speakers = rows[:, 0].astype(np.int64)
        pairs, same = speaker_pairs([str(speaker) for speaker in speakers])
        measures = score_trials(cosine_scores(rows[:, 1:], pairs), same, speakers[pairs])
        known = labels < len(classes)
        if known.any():
            groups = [str(label) for label in labels[known]]
            scored = score_labels(outputs[known, : len(classes)].argmax(1), labels[known], classes, groups=groups)
            measures |= {"accuracy": scored["accuracy"]}
        return TaskResult(measures)

    def add_files(
        self, folder: Path, waveforms: WaveformStore, labels: Mapping[int, str], classes: Sequence[str], *, device: str
    ) -> None:
        if not self.calibrated:
            return
        known = frozenset(classes)
        try:
            calibrate_saved(
                folder, waveforms, {row: name for row, name in labels.items() if name not in known}, device=device
            )
        except MeasurementError as error:
            warn(
                f"sonant verify will give cosines without a verdict by this model: {error} Calibrate it on other "
                f"speakers: sonant voices calibrate MANIFEST -m MODEL --output MODEL/{FILE_NAME}.",
                SonantWarning,
            )

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"labels": list(classes)}


def _thinned(rows: np.ndarray) -> np.ndarray:
    """Return at most `MOST_COMPARED` rows of labels and vectors, in a fixed order, of all labels alike.

    Two or more of each label are kept, of which there are several; where these are too many, they are of fewer labels.
    """
    ordered = np.asarray(rows[np.lexsort(rows.T[:2][::-1])])
    if len(ordered) <= MOST_COMPARED:
        return ordered
    _, starts, counts = np.unique(ordered[:, 0], return_index=True, return_counts=True)
    several_first = np.argsort(counts < 2, kind="stable")
    fitting = np.cumsum(np.minimum(counts[several_first], 2)) <= MOST_COMPARED
    kept = np.sort(several_first[fitting])
    largest = range(2, int(counts[kept].max()) + 1)
    most = max((size for size in largest if np.minimum(counts[kept], size).sum() <= MOST_COMPARED), default=2)
    sizes = np.minimum(counts[kept], most)
    chosen = [
        start + np.arange(size) * count // size
        for start, count, size in zip(starts[kept], counts[kept], sizes, strict=True)
    ]
    return np.asarray(ordered[np.concatenate(chosen)])
