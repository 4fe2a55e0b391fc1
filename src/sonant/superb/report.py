"""Tables of an evaluation beside published results: Markdown, and JSON values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sonant.models.filter_bank import FILTER_BANKS
from sonant.models.published_results import SUPERB, SUPERB_FBANK, SUPERB_METRICS, WAVLM_README
from sonant.superb.measures import FoldResult, Measured, StateWeights, mean_of, mean_weights
from sonant.superb.settings import Way
from sonant.superb.tasks import SUPERB_TASKS, SuperbMetric

PUBLISHED = {"FBANK": SUPERB_FBANK} | {
    name: row for name, row in SUPERB.items() if name.startswith(("wav2vec2", "hubert", "wavlm"))
}
NOTE = (
    f"Published rows are on the official corpora with heads trained as in the paper, from {WAVLM_README}; they were "
    "not measured here. Intervals are of 95 %, over speakers where the manifests name them. Learning rates and layers "
    "were chosen on the development sets."
)

LAYERS_NOTE = (
    "Layers are those usually said to be the best for a task, of a model with 12, scaled to as many as a model has. "
    "The scaled weights there are beside those of a sum of equal parts."
)
OF_LAYERS = 12  # that the usual claims are of
DIGITS = {"bleu": 2, "chrf": 2, "mtwv": 4, "pesq": 2}


@dataclass(frozen=True)
class SuperbRow:
    """Results of one model on one task, learned in one way."""

    task: str
    model: str
    way: Way
    folds: tuple[FoldResult, ...]

    @property
    def measures(self) -> dict[str, Measured]:
        """Values by metric, the means of several folds; without those that a fold lacks."""
        return {
            metric.name: mean_of(self.folds, metric.name)
            for metric in SUPERB_TASKS[self.task].metrics
            if all(metric.name in fold.measures for fold in self.folds)
        }

    @property
    def weights(self) -> StateWeights | None:
        """Weights of the states, the means of several folds; None for a single state."""
        found = mean_weights(self.folds)
        return found if found is not None and len(found.raw) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        weights = self.weights
        return {
            "task": self.task,
            "model": self.model,
            "way": self.way,
            "measures": {name: asdict(each) for name, each in self.measures.items()},
            "weights": None if weights is None else asdict(weights),
            "folds": [asdict(fold) for fold in self.folds],
        }


def published_values() -> dict[str, dict[str, dict[str, float]]]:
    """Return published values by model, task and metric, in the units of the tables."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, row in PUBLISHED.items():
        of_model = dict(zip(SUPERB_METRICS, row, strict=True))
        found[name] = {
            task: {metric.name: of_model[metric.published] for metric in about.metrics if metric.published}
            for task, about in SUPERB_TASKS.items()
        }
    return found


def results_table(rows: Sequence[SuperbRow]) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells: a line for each model and way, then the published ones."""
    columns = list(_columns(rows))
    heads = ["model", "learned by", *(f"{task} {metric.title}" for task, metric in columns)]
    by_line: dict[tuple[str, Way], dict[str, SuperbRow]] = {}
    for row in rows:
        by_line.setdefault((row.model, row.way), {})[row.task] = row
    lines = [
        [
            model,
            way.replace("_", " "),
            *(
                shown(metric, found) if task in of_task and (found := of_task[task].measures.get(metric.name)) else ""
                for task, metric in columns
            ),
        ]
        for (model, way), of_task in by_line.items()
    ]
    for name, values in published_values().items():
        cells = [values[task].get(metric.name) for task, metric in columns]
        if any(cell is not None for cell in cells):
            lines.append([name, "published", *("" if cell is None else f"{cell:g}" for cell in cells)])
    return heads, lines


def choices_table(rows: Sequence[SuperbRow]) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells of what was chosen for each result."""
    heads = ["task", "model", "learned by", "fold", "lr", "layer", "dev", "test recordings"]
    lines = [
        [
            row.task, row.model, row.way.replace("_", " "), str(fold.fold or ""),
            "" if fold.lr is None else f"{fold.lr:g}",
            "" if fold.state is None else str(fold.state),
            shown(SUPERB_TASKS[row.task].metrics[0], fold.dev), f"{fold.recordings:,}",
        ]
        for row in rows
        for fold in row.folds
    ]  # fmt: skip
    return heads, lines


def weights_table(rows: Sequence[SuperbRow]) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells of the learned weights, raw and scaled, in percent; the last state is the output."""
    found = [(row, weights) for row in rows if (weights := row.weights) is not None]
    most = max((len(weights.raw) for _, weights in found), default=0)
    heads = ["task", "model", "weights", *map(str, range(most))]
    lines = [
        [row.task, row.model, name, *(f"{100 * each:.1f}" for each in values), *[""] * (most - len(values))]
        for row, weights in found
        for name, values in (("raw", weights.raw), ("scaled", weights.scaled))
    ]
    return heads, lines


def layers_table(rows: Sequence[SuperbRow]) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells: for each task and model the layers usually said to be the best, beside those found.

    What is said of 12 layers is scaled to the number of the model's.
    """
    heads = ["task", "model", "said of 12", "as many of its own", "weights there", "an equal share", "best layer"]
    lines = []
    for (task, model), of_model in _by_model(rows).items():
        usual = SUPERB_TASKS[task].usual_layers
        weights = next((each for row in of_model if (each := row.weights) is not None), None)
        best = [
            str(fold.state)
            for row in of_model
            if row.way == "best_layer" and row.model not in FILTER_BANKS
            for fold in row.folds
            if fold.state is not None
        ]
        if usual is None or (weights is None and not best):
            continue
        span, there, equal = "", "", ""
        if weights is not None:
            layers = len(weights.scaled) - 1
            first, last = (max(1, round(each * layers / OF_LAYERS)) for each in usual)
            span = f"{first} to {last}"
            there = f"{100 * sum(weights.scaled[first : last + 1]):.1f} %"
            equal = f"{100 * (last + 1 - first) / (layers + 1):.1f} %"
        lines.append([task, model, f"{usual[0]} to {usual[1]}", span, there, equal, ", ".join(best)])
    return heads, lines


def _by_model(rows: Sequence[SuperbRow]) -> dict[tuple[str, str], list[SuperbRow]]:
    found: dict[tuple[str, str], list[SuperbRow]] = {}
    for row in rows:
        found.setdefault((row.task, row.model), []).append(row)
    return found


def markdown(rows: Sequence[SuperbRow]) -> str:
    """Return all tables as Markdown."""
    parts = [_markdown(*results_table(rows)), NOTE, "## Chosen", _markdown(*choices_table(rows))]
    heads, lines = weights_table(rows)
    if lines:
        parts += ["## Weights of the states", _markdown(heads, lines)]
    heads, lines = layers_table(rows)
    if lines:
        parts += ["## Layers", _markdown(heads, lines), LAYERS_NOTE]
    return "\n\n".join(["# SUPERB", *parts]) + "\n"


def to_json(rows: Sequence[SuperbRow]) -> dict[str, Any]:
    """Return all results as JSON values."""
    published: Mapping[str, Any] = published_values()
    return {"results": [row.to_json() for row in rows], "published": {"source": WAVLM_README, "models": published}}


def shown(metric: SuperbMetric, found: Measured | float) -> str:
    """Return a value as text, with its interval if it has one."""
    factor, digits = (100, 1) if metric.percent else (1, DIGITS.get(metric.name, 3))
    if isinstance(found, Measured):
        low, high = (f"{factor * each:.{digits}f}" for each in (found.low, found.high))
        return f"{factor * found.value:.{digits}f} [{low}, {high}]"
    return f"{factor * found:.{digits}f}"


def _columns(rows: Sequence[SuperbRow]) -> Iterator[tuple[str, SuperbMetric]]:
    there = {row.task for row in rows}
    return ((task, metric) for task, about in SUPERB_TASKS.items() if task in there for metric in about.metrics)


def _markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
