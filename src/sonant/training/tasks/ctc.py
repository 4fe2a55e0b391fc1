"""Recognition of speech by connectionist temporal classification (CTC)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonant.checkpoints import Checkpoint, Head
from sonant.data import ctc_frames
from sonant.data.subwords import Subwords
from sonant.data.text_normalization import Normalization, normalize_text
from sonant.decoding.ctc import BestPath, best_path, greedy_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.errors import ConfigurationError
from sonant.evaluation.bootstrap import bootstrap_interval
from sonant.evaluation.edits import edit_distance
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.tasks import CTCHead, LayerMix
from sonant.training.tasks.ctc_units import UNKNOWN, Bytes, Characters, Continued, Phones, Pieces, TextUnits
from sonant.training.tasks.results import Prediction, TaskResult, speakers_of
from sonant.training.tasks.task import Task
from sonant.training.validation import Criterion

NEVER = -10.0  # first logit of the unknown token, which no transcript has
SUBWORDS, LEXICON = "tokenizer.model", "lexicon.txt"  # in the folder of a trained model
Vocabulary = Literal["characters", "phones", "subwords", "bytes", "checkpoint"]


@dataclass(frozen=True, kw_only=True)
class CTCTask(Task):
    """Transcripts: a linear layer over the frames, and the CTC loss, over the number of units.

    Metrics, of the development set alone, are word and character error rates of the greedy transcripts, or the phone
    error rate.

    Attributes:
        vocabulary: units. "characters" of the training set; "phones", which the transcripts are, or which `lexicon`
            gives for their words; "subwords" of a sentencepiece model; "bytes" of UTF-8; or those of the "checkpoint",
            whose CTC head is trained further.
        lexicon: file with a word and its phones in each line; "": transcripts are phones.
        subwords: sentencepiece model; "": one is trained on the transcripts (with a checkpoint, that of its folder).
        num_subwords: tokens of a model that is trained, with four special ones.
        normalize: form of the transcripts, as in `normalize_text`; "none" leaves them as they are, except that any
            white space separates two words.
        digits: "refuse" lists rows with digits as errors.

    Source: Graves et al. 2006; the vocabulary and the head of transformers `Wav2Vec2ForCTC`.
    """

    kind: ClassVar[str] = "ctc"
    vocabulary: Vocabulary = "characters"
    lexicon: str = ""
    subwords: str = ""
    num_subwords: int = 500
    normalize: Normalization = "none"
    digits: Literal["keep", "refuse"] = "keep"

    def __post_init__(self) -> None:
        for name, fitting in (("lexicon", ("phones", "checkpoint")), ("subwords", ("subwords", "checkpoint"))):
            if getattr(self, name) and self.vocabulary not in fitting:
                raise ConfigurationError(
                    f"task.{name}={getattr(self, name)} was given, and task.vocabulary={self.vocabulary} has no use "
                    f"for it; expected task.vocabulary={' or '.join(fitting)}."
                )

    @property
    def criterion(self) -> Criterion:  # type: ignore[override]  # a class variable of other tasks
        return Criterion("per" if self.spelling.are_phones else "wer")

    @cached_property
    def spelling(self) -> TextUnits:
        """The units of the transcripts."""
        match self.vocabulary:
            case "characters":
                return Characters()
            case "phones":
                return Phones(_path(self.lexicon))
            case "subwords":
                return Pieces(Path(self.subwords).expanduser())
            case "bytes":
                return Bytes()
        raise ConfigurationError("task.vocabulary=checkpoint has the tokens of a model: see `CTCTask.fitted`.")

    def fitted(
        self, labels: Sequence[str], *, checkpoint: Checkpoint, model: str, folder: Path, resumed: bool
    ) -> "CTCTask":
        if self.vocabulary == "checkpoint":
            return _continued(self, checkpoint, model)
        if self.vocabulary != "subwords" or self.subwords:
            return self
        path = folder / SUBWORDS
        if not resumed or not path.is_file():
            Subwords.train(labels, path, size=self.num_subwords, kind="unigram")
        return replace(self, subwords=str(path))

    def files(self) -> Mapping[str, Path]:
        given = {SUBWORDS: self.subwords, LEXICON: self.lexicon}
        return {name: Path(path).expanduser() for name, path in given.items() if path}

    def normalized(self, label: str) -> str:
        return normalize_text(label, self.normalize)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        return self.spelling.tokens([label for label in labels if not self._digits(label)])

    def units(self, label: str) -> list[str]:
        return self._digits(label) or self.spelling.spell(label)

    def _digits(self, label: str) -> list[str]:
        """Name the digits of a label that are refused."""
        return [f"digit {each}" for each in label if each.isdecimal()] if self.digits == "refuse" else []

    def min_frames(self, label: str) -> int:
        return ctc_frames(self.units(label))

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> CTCHead:
        _require_one_state(mix)
        linear = nn.Linear(dim, len(classes))
        nn.init.constant_(linear.bias[classes.index(UNKNOWN)], NEVER)
        return CTCHead(linear)

    def loss(self, outputs: Packed, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:
        log_probabilities = outputs.with_values(outputs.values.float().log_softmax(-1))
        padded, lengths = log_probabilities.to_padded()  # (batch, frames, classes), (batch,)
        blank = self.notes(classes)["blank"]
        total = F.ctc_loss(
            padded.transpose(0, 1),
            targets.values,
            lengths,
            targets.lengths,
            blank=blank,
            reduction="sum",
            zero_infinity=True,
        )
        metrics = {} if training else self._error_rates(log_probabilities, targets, classes)
        return Loss(total, len(targets.values), metrics)

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return self.spelling.notes(classes)

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        found = list(predictions)
        logits, units = (each.output for each in found), (torch.tensor(each.units) for each in found)
        rates = {}
        for name, counts in self._counts(logits, units, classes).items():
            errors, sizes = np.array(counts).T  # (recordings,) each
            low, high = bootstrap_interval(errors, speakers_of(found), weights=sizes)
            rates[name] = {"value": float(errors.sum() / sizes.sum()), "low": low, "high": high}
        return TaskResult({"recordings": len(found), **rates})

    def _error_rates(self, logits: Packed, targets: Packed, classes: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Count errors and units of greedy transcripts, of words and of characters, or of phones."""
        found = self._counts(logits, targets, classes)
        return {
            name: (sum(errors for errors, _ in each), sum(size for _, size in each)) for name, each in found.items()
        }

    def _counts(
        self, logits: Iterable[Tensor], targets: Iterable[Tensor], classes: Sequence[str]
    ) -> dict[str, list[tuple[int, int]]]:
        """Return errors and units of each recording, by the name of their rate."""
        notes = self.notes(classes)
        vocabulary = CTCVocabulary.of(notes["vocabulary"], blank=notes["blank"], tokenizer=notes.get("tokenizer"))
        words, characters = [], []
        for clip, units in zip(logits, targets, strict=True):
            text, reference = _text(best_path(clip), vocabulary), _text(_path_of(units, vocabulary), vocabulary)
            words.append((edit_distance(reference.split(), text.split()), len(reference.split())))
            characters.append((edit_distance(reference, text), len(reference)))
        return {"per": words} if self.spelling.are_phones else {"wer": words, "cer": characters}


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
        _require_one_state(mix)
        return CTCHead.from_tensors({name: tensor.clone() for name, tensor in self.start.tensors.items()})


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
    units = Continued(start, model, lexicon=_path(given["lexicon"]), subwords=_path(given["subwords"]))
    settings = {each.name: getattr(task, each.name) for each in fields(CTCTask)} | given
    return _ContinuedCTCTask(**settings, units_of_head=units, start=start)


def _require_one_state(mix: LayerMix) -> None:
    if mix.num_states > 1:
        raise ConfigurationError(
            "layer=weighted was given; a CTC head reads one state. Set layer=last, or the number of layers to keep."
        )


def _path(given: str) -> Path | None:
    return Path(given).expanduser() if given else None


def _text(path: BestPath, vocabulary: CTCVocabulary) -> str:
    return greedy_transcript(path, vocabulary, frame_rate=1.0, duration_seconds=0.0).text


def _path_of(units: Tensor, vocabulary: CTCVocabulary) -> BestPath:
    """Return a path that spells units (count,): a blank between each two, so that none are collapsed."""
    tokens = np.full(2 * len(units), vocabulary.blank, np.int64)
    tokens[::2] = units.cpu().numpy()
    return BestPath(tokens, np.ones(len(tokens), np.float32))
