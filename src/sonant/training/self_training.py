"""Settings of a self-training run."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from sonant.errors import ConfigurationError
from sonant.extraction.decoder_options import DecoderOptions
from sonant.extraction.decoders import beam_search
from sonant.models.devices import usable_devices
from sonant.training.checks import check_numbers
from sonant.training.named_run import NamedRun
from sonant.training.tasks import CTCTask, TaskRun
from sonant.training.text import LanguageModelRun
from sonant.training.trackers import TrackerName, check_trackers, installed_trackers

StageName = Literal[
    "teacher", "ngram", "transformer_lm", "tuning", "labeling", "selection", "ctc", "seq2seq", "evaluation"
]
STAGES: tuple[StageName, ...] = get_args(StageName)
TRAININGS = ("fine_tuning", "text_training", "ctc", "seq2seq")  # settings of a run
OF_THE_RUN = ("model", "data", "dev", "initial_model")  # what a stage gets from the run


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Limits for texts that the final models learn from; by default there are none, as in arXiv 2010.11430.

    Attributes:
        min_confidence: of a text, from 0 to 1.
        min_characters_per_second, max_characters_per_second: of a text, without spaces, to its recording; 0: no limit.
    """

    min_confidence: float = 0.0
    min_characters_per_second: float = 0.0
    max_characters_per_second: float = 0.0

    def accepts(self, confidence: float, characters_per_second: float) -> bool:
        """Return True for a text within the limits."""
        return (
            confidence >= self.min_confidence
            and characters_per_second >= self.min_characters_per_second
            and not 0 < self.max_characters_per_second < characters_per_second
        )


@dataclass(frozen=True, kw_only=True)
class SelfTrainingRun(NamedRun):
    """Settings of a self-training run.

    A fine-tuned model, the teacher, labels recordings without transcripts, and final models learn from its texts.

    Attributes:
        name: of its folder under `output`.
        model: pretrained model, which the teacher and the final CTC model start from: hub id, folder or file.
        teacher: fine-tuned model with a CTC head that labels; "": `model`, trained on `data`.
        data: manifest of the recordings with transcripts.
        unlabeled: manifest or folder of the recordings without. Those of `data`, `dev` and `test` are left out, and the
            same recording is labeled once; transcripts that rows have are not learned from.
        dev: manifest of the development set: it chooses the best weights, and tunes the decoder.
        test: manifest of the test set.
        label: field of the manifests with the transcript.
        lm: n-gram language model of words; "": one of the order `ngram_order` is made.
        lm_text: texts that language models are made of, see `sonant.data.texts.Texts`; "": the transcripts of `data`.
        ngram_order: longest n-grams of the one that is made.
        transformer_lm: Transformer language model that ranks the texts of the beam search again; "": none.
        train_transformer_lm: train one, by `text_training`.
        decoder: of the teacher's labels, and in the evaluation; the language models are added. `rescoring_lm_weight`
            and `rescoring_word_score` count where there is a Transformer.
        trials: values of the decoder's weights that are tried on `dev`, in place of those given; 0: none.
        selection: of the texts.
        final: final models: a "ctc" model, made of `model`; a "seq2seq" model with fresh weights; or "both".
        fine_tuning: of the teacher.
        text_training: of a Transformer language model.
        ctc, seq2seq: trainings of the final models; `seq2seq.model` names what the second one starts from.
        stages: those to carry out. What another stage would give is taken from an earlier call, or goes without.
        seed: of all trainings and trials.
        trackers: where metrics are shown; by default TensorBoard, if it is installed.
    """

    name: str
    fine_tuning: TaskRun
    text_training: LanguageModelRun
    ctc: TaskRun
    seq2seq: TaskRun
    model: str = ""
    teacher: str = ""
    data: str = ""
    unlabeled: str = ""
    dev: str = ""
    test: str = ""
    label: str = "text"
    lm: str = ""
    lm_text: str = ""
    ngram_order: int = 4
    transformer_lm: str = ""
    train_transformer_lm: bool = False
    decoder: DecoderOptions = DecoderOptions()
    trials: int = 128
    selection: Selection = Selection()
    final: Literal["ctc", "seq2seq", "both"] = "both"
    stages: tuple[StageName, ...] = STAGES
    output: str = "runs"
    device: str = "cpu"
    seed: int = 0
    trackers: tuple[TrackerName, ...] = field(default_factory=installed_trackers)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stages or len(set(self.stages)) < len(self.stages):
            raise ConfigurationError(f"stages={','.join(self.stages)} was given; expected one of each, or several.")
        for training, setting in ((each, name) for each in TRAININGS for name in OF_THE_RUN):
            value = getattr(getattr(self, training), setting, "")
            if (training, setting) in (("text_training", "model"), ("seq2seq", "model")):  # sizes; random weights
                continue
            if value:
                raise ConfigurationError(
                    f"{training}.{setting}={value} was given; the run gives each of its trainings its models and "
                    f"data. Name them there: model=, data=, unlabeled=, dev=."
                )
        for training in ("fine_tuning", "ctc"):
            if not isinstance(getattr(self, training).task, CTCTask):
                raise ConfigurationError(f"{training}.task must be of the type CTCTask.")

    @property
    def planned(self) -> tuple[StageName, ...]:
        """The stages to carry out, in order."""
        return tuple(name for name in STAGES if name in self.stages and name in set(self._useful()))

    def _useful(self) -> Iterator[StageName]:
        """Yield the stages that the other settings leave something to do for."""
        yield from ("labeling", "selection")
        if not self.teacher:
            yield "teacher"
        if not self.lm:
            yield "ngram"
        if self.train_transformer_lm:
            yield "transformer_lm"
        if self.dev and self.trials:
            yield "tuning"
        if self.final != "seq2seq":
            yield "ctc"
        if self.final != "ctc":
            yield "seq2seq"
        if self.dev or self.test:
            yield "evaluation"


def check(run: SelfTrainingRun) -> None:
    """Raise ConfigurationError if a run cannot start with these settings."""
    planned = run.planned
    for name, example in (("data", "data=train.jsonl"), ("unlabeled", "unlabeled=recordings")):
        if not getattr(run, name):
            raise ConfigurationError(f"The run has no {name}. Name it, such as {example}")
    if not run.model and {"teacher", "ctc"} & set(planned):
        raise ConfigurationError("The run has no pretrained model. Name one, such as model=microsoft/wavlm-base-plus")
    if not planned:
        raise ConfigurationError(f"stages={','.join(run.stages)} was given, and these have nothing to do in this run.")
    if run.transformer_lm and run.train_transformer_lm:
        raise ConfigurationError(
            f"transformer_lm={run.transformer_lm} was given with train_transformer_lm=true. Leave one of them out."
        )
    for name, instead in (
        ("lm", "lm=FILE"),
        ("rescoring_lm", "transformer_lm=FOLDER"),
        ("decoder", "decoder.beam=N ..."),
    ):
        if getattr(run.decoder, name) is not None:
            raise ConfigurationError(f"decoder.{name} was given; the run wants {instead} in its place.")
    if run.trials < 0 or run.ngram_order < 1:
        raise ConfigurationError(
            f"trials={run.trials} and ngram_order={run.ngram_order} were given; expected 0 trials, and n-grams of 1 "
            "word, or more."
        )
    beam_search(run.decoder)
    check_numbers(run.selection)
    for name in TRAININGS:
        check_numbers(getattr(run, name))
    usable_devices(run.device)
    check_trackers(run.trackers)
