"""The table of SUPERB's tasks: corpus, recipe and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sonant.recipes import TASKS as RECIPES


class SuperbMetric(NamedTuple):
    """A metric of a task.

    Attributes:
        name: of the measure of a training, see `sonant.training.tasks.TaskResult`.
        title: in tables.
        percent: values are shares, shown in percent.
        higher_is_better: True for accuracies.
        published: its name in `sonant.models.published_results.SUPERB_METRICS`; "" where nothing is published.
    """

    name: str
    title: str
    percent: bool = True
    higher_is_better: bool = False
    published: str = ""


@dataclass(frozen=True)
class SuperbTask:
    """A task.

    Attributes:
        title: in words.
        head: what is trained over the states, and its loss, in words.
        corpus: of `sonant.data.corpora.CORPORA`, that of the published results.
        metrics: the first one chooses learning rates and layers on the development set; others may be missing from
            results, such as PESQ without its package.
        fields: of the manifests, where the label of the recipe is none of them.
        parts: sets of recordings; a task without "train" has no head and no recipe, and a state is chosen on "dev".
        trials: parts with a list of pairs to compare.
        needs_trials: False where all pairs are compared without a list.
        usual_layers: first and last of 12 layers that are usually said to be the best.
    """

    title: str
    head: str
    corpus: str
    metrics: tuple[SuperbMetric, ...]
    fields: tuple[str, ...] = ()
    parts: tuple[str, ...] = ("train", "dev", "test")
    trials: tuple[str, ...] = ()
    needs_trials: bool = True
    usual_layers: tuple[int, int] | None = None

    @property
    def is_trained(self) -> bool:
        """True if a head is trained."""
        return "train" in self.parts


DOCUMENTS = "documents"  # that are searched
WHOLE = "projection to 256, mean over time, linear layer; cross-entropy"
FIELDS = "projection to 256, mean over time, linear layer; cross-entropy of each field"
FRAMES = "linear layer of each frame; CTC"
RECURRENT = "two LSTM layers of 1,024, linear layer of each frame; CTC"

MASKS = "three LSTM layers of 896 in both directions; squared error of the phase-sensitive spectrum of"
IMPROVEMENT = (SuperbMetric("si_sdr_improvement", "SI-SDRi dB", percent=False, higher_is_better=True),)


def _accuracy(published: str) -> tuple[SuperbMetric, ...]:
    return (SuperbMetric("accuracy", "accuracy %", higher_is_better=True, published=published),)


# By the names of the paper: SUPERB (arXiv 2105.01051), and SUPERB-SG (arXiv 2203.06849) for the last three.
SUPERB_TASKS: Mapping[str, SuperbTask] = {
    "pr": SuperbTask(
        "phone recognition",
        FRAMES,
        "librispeech",
        (SuperbMetric("per", "PER %", published="PR PER"),),
        usual_layers=(4, 6),
    ),
    "asr": SuperbTask(
        "speech recognition",
        RECURRENT,
        "librispeech",
        (SuperbMetric("wer", "WER %", published="ASR WER"),),
        usual_layers=(6, 9),
    ),
    "ks": SuperbTask("keyword spotting", WHOLE, "speech_commands", _accuracy("KS acc")),
    "qbe": SuperbTask(
        "query by example",
        "none; dynamic time warping over one state",
        "quesst14",
        (SuperbMetric("mtwv", "MTWV", percent=False, higher_is_better=True, published="QbE MTWV"),),
        parts=(DOCUMENTS, "dev", "test"),
        trials=("dev", "test"),
    ),
    "ic": SuperbTask("intents", FIELDS, "fluent_speech_commands", _accuracy("IC acc"), usual_layers=(10, 12)),
    "sf": SuperbTask(
        "slot filling",
        RECURRENT,
        "snips",
        (
            SuperbMetric("slot_type_f1", "slot F1 %", higher_is_better=True, published="SF F1"),
            SuperbMetric("slot_value_cer", "slot CER %", published="SF CER"),
        ),
    ),
    "er": SuperbTask("emotions", WHOLE, "iemocap", _accuracy("ER acc"), usual_layers=(8, 12)),
    "sid": SuperbTask("speaker identification", WHOLE, "voxceleb1", _accuracy("SID acc"), usual_layers=(4, 6)),
    "asv": SuperbTask(
        "speaker verification",
        "x-vector of 512; AM-softmax",
        "voxceleb1",
        (SuperbMetric("eer", "EER %", published="ASV EER"),),
        trials=("test",),
        needs_trials=False,
        usual_layers=(4, 6),
    ),
    "sd": SuperbTask(
        "diarization",
        "LSTM of 512; cross-entropy of two speakers in the best order",
        "libri2mix_diarization",
        (SuperbMetric("der", "DER %", published="SD DER"),),
    ),
    "se": SuperbTask(
        "enhancement",
        f"{MASKS} a mask",
        "voicebank_demand",
        (
            *IMPROVEMENT,
            SuperbMetric("pesq", "PESQ", percent=False, higher_is_better=True),
            SuperbMetric("stoi", "STOI %", higher_is_better=True),
        ),
        ("clean",),
    ),
    "ss": SuperbTask("separation", f"{MASKS} two masks", "libri2mix", IMPROVEMENT, ("source_1", "source_2")),
    "st": SuperbTask(
        "translation",
        "Transformer decoder of 3 layers; smoothed cross-entropy",
        "covost2",
        tuple(SuperbMetric(name.lower(), name, percent=False, higher_is_better=True) for name in ("BLEU", "chrF")),
    ),
}


def recipe_of(task: str) -> str:
    """Return the name of the recipe of a task."""
    return f"superb_{task}"


def is_there(task: str) -> bool:
    """Return True for a task that can be measured; others have no recipe yet."""
    return not SUPERB_TASKS[task].is_trained or recipe_of(task) in RECIPES


AVAILABLE = tuple(filter(is_there, SUPERB_TASKS))
