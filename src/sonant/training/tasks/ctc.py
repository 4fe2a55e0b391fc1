"""Recognition of speech by connectionist temporal classification (CTC)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from sonant.checkpoints import Checkpoint, Head
from sonant.checkpoints.tokenizer_files import LEXICON, SUBWORDS
from sonant.data import ctc_frames
from sonant.decoding.ctc import best_path, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.errors import ConfigurationError
from sonant.extraction.continued_units import Continued
from sonant.extraction.text_units import UNKNOWN, TextUnits
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.tasks import CTCHead, LayerMix
from sonant.training.tasks.recurrent import RecurrentTask
from sonant.training.tasks.task import settings_of
from sonant.training.tasks.transcripts import TranscriptTask, path_of

NEVER = -10.0  # first logit of the unknown token, which no transcript has


@dataclass(frozen=True, kw_only=True)
class CTCTask(RecurrentTask, TranscriptTask):
    """Transcripts: a linear layer over the frames, or over an LSTM on them, and the CTC loss, over the number of units.

    Error rates are those of greedy transcripts.

    Source: Graves et al. 2006; the vocabulary and the head of transformers `Wav2Vec2ForCTC`; SUPERB (arXiv 2105.01051)
    for the LSTM.
    """

    kind: ClassVar[str] = "ctc"

    lstm_layers: int = 2
    lstm_dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lstm_dim and self.vocabulary == "checkpoint":
            raise ConfigurationError(
                f"task.lstm_dim={self.lstm_dim} was given, and task.vocabulary=checkpoint trains the head of the model "
                "further, with the layers that it has. Leave one of the two out."
            )

    def fitted(
        self, labels: Sequence[str], *, checkpoint: Checkpoint, model: str, folder: Path, resumed: bool
    ) -> "CTCTask":
        if self.vocabulary == "checkpoint":
            return _continued(self, checkpoint, model)
        return super().fitted(labels, checkpoint=checkpoint, model=model, folder=folder, resumed=resumed)

    def min_frames(self, label: str) -> int:
        return ctc_frames(self.units(label))

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> CTCHead:
        head = self.fresh(CTCHead, dim, classes, mix)
        nn.init.constant_(head.linear.bias[classes.index(UNKNOWN)], NEVER)
        return head

    def loss(self, outputs: Packed, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:
        log_probabilities = outputs.with_values(outputs.values.float().log_softmax(-1))
        total = ctc_loss(log_probabilities, targets, blank=self.notes(classes)["blank"])
        metrics = {} if training else self.error_rates(log_probabilities, targets, classes)
        return Loss(total, len(targets.values), metrics)

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return self.spelling.notes(classes)

    def text_of(self, output: Tensor, vocabulary: CTCVocabulary) -> str:
        return path_transcript(best_path(output), vocabulary, frame_rate=1.0, duration_seconds=0.0).text


def ctc_loss(log_probabilities: Packed, targets: Packed, *, blank: int) -> Tensor:
    """Sum the CTC loss over clips, from (total_frames, classes) and int64 (total_units,); impossible ones give 0."""
    padded, lengths = log_probabilities.to_padded()  # (batch, frames, classes), (batch,)
    return F.ctc_loss(
        padded.transpose(0, 1),
        targets.values,
        lengths,
        targets.lengths,
        blank=blank,
        reduction="sum",
        zero_infinity=True,
    )


@dataclass(frozen=True, kw_only=True)
class _ContinuedCTCTask(CTCTask):
    """Transcripts in the tokens of a head that is trained further.

    Attributes:
        units_of_head: tokens of the head.
        start: its weights.
    """

    units_of_head: TextUnits
    start: Head

    @cached_property
    def spelling(self) -> TextUnits:
        return self.units_of_head

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> CTCHead:  # noqa: ARG002
        head = CTCHead.from_tensors({name: tensor.clone() for name, tensor in self.start.tensors.items()})
        if head.mix.num_states != mix.num_states:
            raise ConfigurationError(
                f"The head of the model reads {head.mix.num_states} states, and with this layer it would read "
                f"{mix.num_states}. Set layer={'last' if head.mix.num_states == 1 else 'weighted'} to train it "
                "further, or leave task.vocabulary=checkpoint out for a new head."
            )
        return head


def _continued(task: CTCTask, checkpoint: Checkpoint, model: str) -> CTCTask:
    start = checkpoint.heads.get("ctc")
    if start is None:
        raise ConfigurationError(
            f"task.vocabulary=checkpoint was given, and {model} has no CTC head. Leave it out for the characters of "
            "the transcripts."
        )
    given = {"subwords": task.subwords, "lexicon": task.lexicon}
    for setting, file in (("subwords", SUBWORDS), ("lexicon", LEXICON)):
        beside = Path(model).expanduser() / file
        if not given[setting] and beside.is_file():
            given[setting] = str(beside)
    lexicon, subwords = path_of(given["lexicon"]), path_of(given["subwords"])
    units = Continued(start, model, lexicon=lexicon, subwords=subwords, setting="task.subwords")
    return _ContinuedCTCTask(**settings_of(task) | given, units_of_head=units, start=start)
