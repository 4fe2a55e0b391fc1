"""Recognition of speech by connectionist temporal classification (CTC): characters from transcripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn
from torch.nn import functional as F

from sonant.data import ctc_frames
from sonant.decoding.ctc import best_path, greedy_transcript
from sonant.decoding.ctc_vocabulary import DELIMITER, CTCVocabulary
from sonant.errors import ConfigurationError, ManifestError
from sonant.evaluation.edits import edit_distance
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.tasks import CTCHead, LayerMix
from sonant.training.tasks.task import Task
from sonant.training.validation import Criterion

BLANK, UNKNOWN = "<pad>", "<unk>"  # the names of transformers
NEVER = -10.0  # first logit of a character that occurs in no transcript
TOKENIZER = {
    "tokenizer_class": "Wav2Vec2CTCTokenizer",
    "pad_token": BLANK,
    "unk_token": UNKNOWN,
    "bos_token": None,
    "eos_token": None,
    "word_delimiter_token": DELIMITER,
}


@dataclass(frozen=True, kw_only=True)
class CTCTask(Task):
    """Characters of a transcript: a linear layer over the frames, and the CTC loss, over the number of characters.

    The classes are a blank, an unknown character, which no transcript has, "|" between words, and the characters of the
    training set, sorted. Transcripts are taken as they are, except that any white space separates two words. Metrics,
    of the development set alone, are word and character error rates of the greedy transcripts.

    Source: Graves et al. 2006; the vocabulary and the head of transformers `Wav2Vec2ForCTC`.
    """

    kind: ClassVar[str] = "ctc"
    criterion: ClassVar[Criterion] = Criterion("wer")

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        characters = {character for label in labels for character in label} - {" "}
        if DELIMITER in characters:
            raise ManifestError(
                f"A transcript contains {DELIMITER!r}, which stands between the words in a CTC vocabulary. Take it out "
                "of the transcripts."
            )
        return (BLANK, UNKNOWN, DELIMITER, *sorted(characters))

    def normalized(self, label: str) -> str:
        return " ".join(label.split())

    def units(self, label: str) -> list[str]:
        return [DELIMITER if character == " " else character for character in label]

    def min_frames(self, label: str) -> int:
        return ctc_frames(label)

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> CTCHead:
        if mix.num_states > 1:
            raise ConfigurationError(
                "layer=weighted was given; a CTC head reads one state. Set layer=last, or the number of layers to keep."
            )
        linear = nn.Linear(dim, len(classes))
        nn.init.constant_(linear.bias[classes.index(UNKNOWN)], NEVER)
        return CTCHead(linear)

    def loss(self, outputs: Packed, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:
        log_probabilities = outputs.with_values(outputs.values.float().log_softmax(-1))
        padded, lengths = log_probabilities.to_padded()  # (batch, frames, classes), (batch,)
        total = F.ctc_loss(
            padded.transpose(0, 1), targets.values, lengths, targets.lengths, reduction="sum", zero_infinity=True
        )
        metrics = {} if training else _error_rates(log_probabilities, targets, classes)
        return Loss(total, len(targets.values), metrics)

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {"vocabulary": list(classes), "blank": 0, "tokenizer": TOKENIZER}


def _error_rates(logits: Packed, targets: Packed, classes: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Count errors and units of greedy transcripts, of words and of characters."""
    vocabulary = CTCVocabulary.of(classes, tokenizer=TOKENIZER)
    word_errors = words = character_errors = characters = 0
    for clip, units in zip(logits, targets, strict=True):
        text = greedy_transcript(best_path(clip), vocabulary, frame_rate=1.0, duration_seconds=0.0).text
        reference = "".join(classes[unit] for unit in units.tolist()).replace(DELIMITER, " ")
        word_errors += edit_distance(reference.split(), text.split())
        words += len(reference.split())
        character_errors += edit_distance(reference, text)
        characters += len(reference)
    return {"wer": (word_errors, words), "cer": (character_errors, characters)}
