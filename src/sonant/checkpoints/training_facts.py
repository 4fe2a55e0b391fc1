"""Facts of a training on labels, which are saved in the metadata of the head, and the README.md that says them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sonant.checkpoints.checkpoint import Head

KEY = "training"  # of the metadata
PIPELINES = {  # the names of tasks on the hub, by kind of head
    "sequence_classification": "audio-classification",
    "ctc": "automatic-speech-recognition",
}
SPEAKERS = "xvector"  # the kind of head with speaker embeddings, whose labels are people
MOST_LABELS = 100


@dataclass(frozen=True)
class MeasuredValue:
    """A measure on the development set, with a confidence interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """Data of a training, and its measures on the development set.

    Attributes:
        task: kind of the head.
        base: name of the model from which it was trained.
        license: of that model; None if it is unknown.
        recordings: number of labeled recordings.
        hours: of them together.
        labels: classes of the head.
        dev: measures on the development set, which also chose the weights; empty without one.
    """

    task: str
    base: str
    license: str | None
    recordings: int
    hours: float
    labels: tuple[str, ...] = ()
    dev: Mapping[str, MeasuredValue] = field(default_factory=dict)

    @classmethod
    def of(cls, heads: Mapping[str, Head]) -> Self | None:
        """Read them from the head that has them; None if no head has, or they cannot be understood."""
        for kind, head in heads.items():
            noted: Any = head.metadata.get(KEY)
            try:
                return cls(
                    task=kind,
                    base=str(noted["base"]),
                    license=None if noted["license"] is None else str(noted["license"]),
                    recordings=int(noted["recordings"]),
                    hours=float(noted["hours"]),
                    labels=tuple(map(str, head.metadata.get("labels") or head.metadata.get("vocabulary") or ())),
                    dev={str(name): _measure(measure) for name, measure in noted["dev"].items()},
                )
            except (TypeError, KeyError, ValueError, AttributeError):  # of another head, or of another version
                continue
        return None

    def notes(self) -> dict[str, Any]:
        """Return them as metadata of the head, which has the labels itself."""
        return {KEY: {name: value for name, value in asdict(self).items() if name not in ("task", "labels")}}

    def sentences(self) -> list[str]:
        """Say them in sentences."""
        return list(self._sentences())

    @property
    def _purpose(self) -> str:
        return "speaker verification" if self.task == SPEAKERS else self.task.replace("_", " ")

    def _sentences(self) -> Iterator[str]:
        yield (
            f"Trained by sonant from {self.base} for {self._purpose}, on {self.recordings:,} labeled "
            f"recordings, {self.hours:.3g} hours."
        )
        if self.task == SPEAKERS:
            yield f"{len(self.labels):,} speakers, whose names are the labels of the head."
        elif self.labels:
            shown = ", ".join(self.labels[:MOST_LABELS])
            yield f"{len(self.labels):,} labels: {shown}{' ...' if len(self.labels) > MOST_LABELS else '.'}"
        if self.dev:
            told = (f"{name} {each.value:.4g} ({each.low:.4g} to {each.high:.4g})" for name, each in self.dev.items())
            yield (
                f"On the development set, which chose the weights: {', '.join(told)}; intervals of 95 %. Other "
                "recordings may fare worse."
            )
        known = self.license or "not known to sonant"
        yield f"License of {self.base}: {known}. It holds for this model, too, as do the terms of the recordings."

    def readme(self) -> str:
        """Write the README.md of the model, a model card of the Hugging Face hub."""
        pipeline = [f"pipeline_tag: {PIPELINES[self.task]}"] if self.task in PIPELINES else []
        base = [f"base_model: {self.base}"] if "/" in self.base else []
        head = ["---", *pipeline, *base, "tags:", "- sonant", "- speech", "---"]
        title = f"# {self.base}, trained for {self._purpose}"
        return "\n\n".join(["\n".join(head), title, *_escaped(self.sentences())]) + "\n"


def _measure(noted: Mapping[str, Any]) -> MeasuredValue:
    return MeasuredValue(*(float(noted[name]) for name in ("value", "low", "high")))


def _escaped(sentences: Sequence[str]) -> list[str]:
    """Keep Markdown from reading labels such as "<unk>" as markup."""
    return [sentence.replace("<", "&lt;").replace("|", "&#124;") for sentence in sentences]
