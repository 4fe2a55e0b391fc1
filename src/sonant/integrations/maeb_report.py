"""Tables of an evaluation by MAEB's protocols: Markdown, and JSON values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sonant.evaluation.maeb import Kind, MaebScores

MEASURE_TITLES = {"accuracy": "accuracy", "v_measure": "V-measure", "max_ap": "average precision"}
NOTE = (
    "Percent, with 95 % intervals over the recordings that were tested, by speaker where they are known. "
    "Classification: mean of 10 draws of 8 clips a label (5 folds where data are not divided)."
)


@dataclass(frozen=True, kw_only=True)
class MaebRow:
    """The result of one model, layer and pooling on one set of recordings.

    Attributes:
        layer: as it was asked for.
        state: the state that was taken; that which was best on dev if `layer` is "best".
        standardized: whether each dimension was scaled.
        recordings, labels: numbers of those that were tested.
    """

    model: str
    data: str
    kind: Kind
    layer: str
    state: str
    pool: str
    standardized: bool
    recordings: int
    labels: int
    scores: MaebScores

    @property
    def way(self) -> tuple[str, str, str]:
        """Model, layer and pooling, as in tables."""
        return self.model, self.layer, f"{self.pool}, standardized" if self.standardized else self.pool

    def shown(self) -> str:
        """Return the main measure in percent, with its interval, and the state that was chosen."""
        measure = self.scores.measures[self.scores.main]
        low, high = measure["low"], measure["high"]
        text = f"{100 * self.scores.value:.1f}"
        text += "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
        return text if self.state == self.layer else f"{text} (layer {self.state})"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**vars(self), "scores": self.scores.to_json()}


def results_table(rows: Sequence[MaebRow]) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells: a line for each model, layer and pooling, a column for each data and kind."""
    columns = list(dict.fromkeys((row.data, row.kind) for row in rows))
    measures = {(row.data, row.kind): MEASURE_TITLES[row.scores.main] for row in rows}
    cells: dict[tuple[str, str, str], dict[tuple[str, str], str]] = {}
    for row in rows:
        cells.setdefault(row.way, {})[row.data, row.kind] = row.shown()
    heads = ["model", "layer", "pooling", *(f"{data}, {measures[data, kind]}" for data, kind in columns)]
    return heads, [[*way, *(of_way.get(column, "") for column in columns)] for way, of_way in cells.items()]


def markdown(rows: Sequence[MaebRow]) -> str:
    """Return the table with its note."""
    heads, lines = results_table(rows)
    table = [heads, ["---"] * 3 + ["---:"] * (len(heads) - 3), *lines]
    return "\n".join(["# MAEB's protocols", "", *(f"| {' | '.join(line)} |" for line in table), "", NOTE, ""])


def to_json(rows: Sequence[MaebRow], failures: Mapping[str, str]) -> dict[str, Any]:
    """Return JSON values."""
    return {"rows": [row.to_json() for row in rows], "failures": dict(failures)}
