"""Tasks whose labels are transcripts: their units, and the error rates of texts."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from torch import Tensor

from sonant.checkpoints import Checkpoint
from sonant.checkpoints.tokenizer_files import LEXICON, SUBWORDS
from sonant.data import plain_label
from sonant.data.subwords import Subwords
from sonant.data.text_normalization import Normalization, normalize_text
from sonant.decoding.ctc import spelled_text
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.errors import ConfigurationError
from sonant.evaluation.bootstrap import measured_ratio
from sonant.evaluation.edits import edit_distance
from sonant.extraction.piece_units import Pieces
from sonant.extraction.text_units import Bytes, Characters, Phones, TextUnits
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.task import Task
from sonant.training.validation import Criterion

Vocabulary = Literal["characters", "phones", "subwords", "bytes", "checkpoint"]


@dataclass(frozen=True, kw_only=True)
class TranscriptTask(Task):
    """Settings of the units of transcripts.

    Metrics, of the development set alone, are word and character error rates, or the phone error rate.

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
    """

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
        # Writing nothing is an error rate of 100 %: a model that gets letters right, and is above it, is no worse.
        if self.spelling.are_phones:
            return Criterion("per", most=1.0, tie_break="loss")
        return Criterion("wer", most=1.0, tie_break="cer")

    @cached_property
    def spelling(self) -> TextUnits:
        """The units of the transcripts."""
        match self.vocabulary:
            case "characters":
                return Characters()
            case "phones":
                return Phones(path_of(self.lexicon))
            case "subwords":
                return Pieces(Path(self.subwords).expanduser())
            case "bytes":
                return Bytes()
        raise ConfigurationError("task.vocabulary=checkpoint has the tokens of a model: see `CTCTask.fitted`.")

    def fitted(
        self,
        labels: Sequence[str],
        *,
        checkpoint: Checkpoint,  # noqa: ARG002
        model: str,  # noqa: ARG002
        folder: Path,
        resumed: bool,
    ) -> Self:
        if self.vocabulary != "subwords" or self.subwords:
            return self
        path = folder / SUBWORDS
        if not resumed or not path.is_file():
            Subwords.train(labels, path, size=self.num_subwords, kind="unigram")
        return replace(self, subwords=str(path))

    def files(self) -> Mapping[str, Path]:
        given = {SUBWORDS: self.subwords, LEXICON: self.lexicon}
        return {name: Path(path).expanduser() for name, path in given.items() if path}

    def normalized(self, value: Any) -> str:
        return normalize_text(plain_label(value), self.normalize)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        return self.spelling.tokens([label for label in labels if not self._digits(label)])

    def units(self, label: str) -> list[str]:
        return self._digits(label) or self.spelling.spell(label)

    def _digits(self, label: str) -> list[str]:
        """Name the digits of a label that are refused."""
        return [f"digit {each}" for each in label if each.isdecimal()] if self.digits == "refuse" else []

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        speakers: list[str | None] = []

        def pairs() -> Iterator[tuple[Tensor, Tensor]]:
            for each in predictions:  # the outputs for all recordings together may not fit the memory
                speakers.append(each.speaker)
                yield each.output, each.target

        rates = {}
        for name, counts in self.counts(pairs(), classes).items():
            errors, sizes = np.array(counts).T  # (recordings,) each
            rates[name] = measured_ratio(errors, groups_of(speakers), weights=sizes)
        return TaskResult({"recordings": len(speakers), **rates})

    def error_rates(
        self, outputs: Iterable[Tensor], targets: Iterable[Tensor], classes: Sequence[str]
    ) -> dict[str, tuple[float, float]]:
        """Count errors and units of the texts of a batch, of words and of characters, or of phones."""
        found = self.counts(zip(outputs, targets, strict=True), classes)
        return {
            name: (sum(errors for errors, _ in each), sum(size for _, size in each)) for name, each in found.items()
        }

    def counts(
        self, recordings: Iterable[tuple[Tensor, Tensor]], classes: Sequence[str]
    ) -> dict[str, list[tuple[float, float]]]:
        """Return errors and units of each recording, given by output and units, by the name of their rate."""
        vocabulary = self.text_vocabulary(classes)
        words: list[tuple[float, float]] = []
        characters: list[tuple[float, float]] = []
        for output, units in recordings:
            text, reference = self.text_of(output, vocabulary), spelled_text(units.tolist(), vocabulary)
            words.append((edit_distance(reference.split(), text.split()), len(reference.split())))
            characters.append((edit_distance(reference, text), len(reference)))
        return {"per": words} if self.spelling.are_phones else {"wer": words, "cer": characters}

    @abstractmethod
    def text_of(self, output: Tensor, vocabulary: CTCVocabulary) -> str:
        """Return the text of a `Prediction.output`."""

    def text_vocabulary(self, classes: Sequence[str]) -> CTCVocabulary:
        """Return the vocabulary of the head, which joins tokens to texts."""
        notes = self.notes(classes)
        return CTCVocabulary.of(notes["vocabulary"], blank=notes["blank"], tokenizer=notes.get("tokenizer"))


def path_of(given: str) -> Path | None:
    """Return the path of a file that may be given, "" if it is not."""
    return Path(given).expanduser() if given else None
