"""Results of an analysis of layers, as small frozen types that go to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, get_args

from sonant.analysis.layer_report import Curve, Estimate, Measure
from sonant.errors import ConfigurationError
from sonant.models.families import Preset, Task

Kind = Literal["probe", "similarity", "units", "abx"]
Method = Literal["pca", "tsne"]
Shown = Literal["recordings", "segments"]
Matrix = tuple[tuple[float, ...], ...]

FORMAT = 1  # of the JSON; goes up when a reader of the old one would misread the new one


@dataclass(frozen=True, kw_only=True)
class LayerCurve:
    """One measure of one property by layer.

    Attributes:
        name: the property: a field of the manifest, "phone", "word", "pitch", "log-energy" or "log-mel".
        measure: such as "accuracy", "R2", "CKA", "PWCCA", "phone purity", "PNMI" or "ABX error across speakers".
        unit: "%" if the values, which are shares of one, are to be shown in percent; "" if as they are.
        chance: value without knowledge of the layer; None if unknown.
        values: one estimate for each layer, with 95 % intervals where resampling gives them.
        best: number of the best layer.
        as_good: layers that do not differ from the best one beyond the 95 % interval of the paired difference; with
            the best.
        baseline: the same measure of log-mel frames; None where it was not measured.
        how: method and data, in a sentence or two.
    """

    name: str
    measure: str
    kind: Kind
    unit: Literal["%", ""] = "%"
    higher_is_better: bool = True
    chance: float | None = None
    values: tuple[Estimate, ...]
    best: int
    as_good: tuple[int, ...] = ()
    baseline: Estimate | None = None
    how: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or not 0 <= self.best < len(self.values):
            raise ConfigurationError(
                f"kind={self.kind!r}, best={self.best} and {len(self.values)} values were given; expected one of "
                f"{', '.join(get_args(Kind))}, and the number of a layer that has a value."
            )

    @property
    def title(self) -> str:
        """Property and measure, such as "speaker, accuracy"."""
        return f"{self.name}, {self.measure}"


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Points of one layer in the plane.

    Attributes:
        points: (points, 2).
        labels: of each point, by field; None where the field is empty.
        clips: number of the recording of each point in `DataSummary.clips`, for its sound.
        times: begin and end of each segment in seconds of its recording; empty for recordings.
        explained: share of the variance along both axes, of PCA.
    """

    layer: int
    method: Method
    of: Shown
    points: Matrix
    labels: Mapping[str, tuple[str | None, ...]]
    clips: tuple[int, ...]
    times: tuple[tuple[float, float], ...] = ()
    explained: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        counts = {len(self.points), len(self.clips), *(len(each) for each in self.labels.values())}
        if self.times:
            counts.add(len(self.times))
        if len(counts) > 1 or self.method not in get_args(Method) or self.of not in get_args(Shown):
            raise ConfigurationError(
                f"A projection by {self.method!r} of {self.of!r} with {sorted(counts)} points, clips, times and labels "
                f"was given; expected as many of each, one of {', '.join(get_args(Method))}, and one of "
                f"{', '.join(get_args(Shown))}."
            )


@dataclass(frozen=True, kw_only=True)
class TaskWeights:
    """Weights of the states that a trained head learned.

    Attributes:
        task: what the head was trained for.
        source: folder or file.
        weights: of states 0, 1, ..., and the output of the model last; they add up to 1.
    """

    task: str
    source: str
    weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ModelAnalysis:
    """The measurements of one model.

    Attributes:
        revision: of the hub, or fingerprint of the weights.
        layer_names: "0", "1", ...: states as `layer=` of `encode` counts them.
        similarity: linear CKA of all pairs of layers: (layers, layers).
        presets: suggested layer and pooling by task, of tasks about which something was measured.
        summary: sentences in plain words.
    """

    name: str
    revision: str
    layer_names: tuple[str, ...]
    curves: tuple[LayerCurve, ...] = ()
    similarity: Matrix = ()
    projections: tuple[Projection, ...] = ()
    task_weights: tuple[TaskWeights, ...] = ()
    presets: Mapping[Task, Preset] = field(default_factory=dict)
    summary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        strange = [curve.title for curve in self.curves if len(curve.values) != len(self.layer_names)]
        if strange:
            raise ConfigurationError(
                f"The curves {strange} were given for {len(self.layer_names)} layers; expected a value for each layer."
            )

    def curve(self, name: str, measure: str) -> LayerCurve | None:
        """Return the curve of a property and measure, if it was measured."""
        return next((each for each in self.curves if (each.name, each.measure) == (name, measure)), None)


@dataclass(frozen=True, kw_only=True)
class AnalyzedClip:
    """A recording of the data, or a part of one.

    Attributes:
        name: as messages name it; relative to the folder of the manifest where possible.
        fields: its columns of the manifest with single values, as text.
    """

    name: str
    seconds: float
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The recordings that were analyzed.

    Attributes:
        source: manifest or folder, as given.
        seconds: of all recordings used.
        labels: number of different values by field, of the fields that were analyzed.
        splits: recordings in train, dev and test.
        split_by: how they were divided, in a sentence.
        clips: the recordings used; projections number them.
        failures: message for each recording that could not be used, by name.
        not_measured: what these data cannot show, with the reason, in sentences.
    """

    source: str
    recordings: int
    seconds: float
    labels: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    split_by: str = ""
    clips: tuple[AnalyzedClip, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    not_measured: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The analysis of one model, or of two on the same recordings.

    Attributes:
        command: that makes the same analysis again.
        created: date and time, ISO 8601.
        seconds: that it took.
    """

    models: tuple[ModelAnalysis, ...]
    data: DataSummary
    command: str
    created: str
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read JSON values that `to_json` wrote. Raises ConfigurationError for another format."""
        if values.get("format") != FORMAT:
            raise ConfigurationError(
                f"An analysis of format {values.get('format')!r} was given; this version of sonant reads format "
                f"{FORMAT}. Make it again with `sonant analyze`."
            )
        try:
            return cls(
                models=tuple(_model(each) for each in values["models"]),
                data=_data(values["data"]),
                command=values["command"],
                created=values["created"],
                seconds=values.get("seconds"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"The JSON of an analysis is incomplete or changed: {error!r}.") from error

    def measures(self) -> tuple[Measure, ...]:
        """Return what was measured, with a curve for each model, for `layer_table` and `plot_layers`."""
        titles = dict.fromkeys(curve.title for model in self.models for curve in model.curves)
        return tuple(
            Measure(
                title,
                tuple(
                    Curve(model.name, curve.values, chosen=curve.best)
                    for model in self.models
                    for curve in model.curves
                    if curve.title == title
                ),
            )
            for title in titles
        )


def _model(values: Mapping[str, Any]) -> ModelAnalysis:
    return ModelAnalysis(
        name=values["name"],
        revision=values["revision"],
        layer_names=tuple(values["layer_names"]),
        curves=tuple(_curve(each) for each in values["curves"]),
        similarity=tuple(map(tuple, values["similarity"])),
        projections=tuple(_projection(each) for each in values["projections"]),
        task_weights=tuple(
            TaskWeights(**{**each, "weights": tuple(each["weights"])}) for each in values["task_weights"]
        ),
        presets={task: Preset(**preset) for task, preset in values["presets"].items()},
        summary=tuple(values["summary"]),
    )


def _curve(values: Mapping[str, Any]) -> LayerCurve:
    baseline = values.get("baseline")
    return LayerCurve(
        **{
            **_known(LayerCurve, values),
            "values": tuple(Estimate(**each) for each in values["values"]),
            "as_good": tuple(values["as_good"]),
            "baseline": None if baseline is None else Estimate(**baseline),
        }
    )


def _projection(values: Mapping[str, Any]) -> Projection:
    explained = values.get("explained")
    return Projection(
        **{
            **_known(Projection, values),
            "points": tuple(map(tuple, values["points"])),
            "labels": {name: tuple(each) for name, each in values["labels"].items()},
            "clips": tuple(values["clips"]),
            "times": tuple(map(tuple, values["times"])),
            "explained": None if explained is None else tuple(explained),
        }
    )


def _data(values: Mapping[str, Any]) -> DataSummary:
    return DataSummary(
        **{
            **_known(DataSummary, values),
            "clips": tuple(AnalyzedClip(**each) for each in values["clips"]),
            "not_measured": tuple(values["not_measured"]),
        }
    )


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: values[each.name] for each in fields(kind) if each.name in values}
