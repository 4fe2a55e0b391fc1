"""Published results of a model, and their ranks in the catalog."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from sonant.models.catalog import CATALOG
from sonant.models.published_results import Result, higher_is_better
from sonant.models.side_by_side import Score, scores

METRICS: Mapping[str, str] = {  # of SUPERB, with full names
    "PR PER": "Phoneme recognition, PER",
    "ASR WER": "Speech recognition, WER",
    "KS acc": "Keyword spotting, accuracy",
    "IC acc": "Intent classification, accuracy",
    "SID acc": "Speaker identification, accuracy",
    "ER acc": "Emotion recognition, accuracy",
    "ASV EER": "Speaker verification, EER",
    "SD DER": "Speaker diarization, DER",
    "QbE MTWV": "Query by example, MTWV",
    "SF F1": "Slot filling, F1",
    "SF CER": "Slot filling, CER",
}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One published result of a model, and its rank.

    Attributes:
        value: in percent, except MTWV.
        text: the value, with the number of digits used for this metric in the catalog.
        place: rank, 1 for the best; None where no other model has this result.
        of: number of models with this result.
    """

    metric: str
    value: float
    text: str
    higher_is_better: bool
    place: int | None
    of: int


@dataclass(frozen=True, kw_only=True)
class StandingsRow:
    """The results in one condition."""

    condition: str
    source: str
    standings: tuple[Standing, ...]


@dataclass(frozen=True, kw_only=True)
class BenchmarkTable:
    """The results of a model in one benchmark."""

    benchmark: str
    metrics: tuple[str, ...]
    rows: tuple[StandingsRow, ...]

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(row.source for row in self.rows))


def in_full(metric: str) -> str:
    """Return the full name of a metric."""
    return METRICS.get(metric, metric)


def tables(results: tuple[Result, ...]) -> list[BenchmarkTable]:
    """Make a table for each benchmark."""
    return list(_tables(results))


def _tables(results: tuple[Result, ...]) -> Iterator[BenchmarkTable]:
    for benchmark, group in groupby(results, key=lambda result: result.benchmark):
        rows = tuple(_row(result) for result in group)
        metrics = dict.fromkeys(standing.metric for row in rows for standing in row.standings)
        yield BenchmarkTable(benchmark=benchmark, metrics=tuple(metrics), rows=rows)


def _row(result: Result) -> StandingsRow:
    standings = []
    for metric, value in result.scores.items():
        score = _all_scores()[result.benchmark, result.condition, metric]
        is_higher = higher_is_better(metric)
        better = sum(other > value if is_higher else other < value for other in score.values.values())
        count = len(score.values)
        standings.append(
            Standing(
                metric=metric,
                value=value,
                text=f"{value:.{score.digits}f}",
                higher_is_better=is_higher,
                place=better + 1 if count > 1 else None,
                of=count,
            )
        )
    return StandingsRow(condition=result.condition, source=result.source, standings=tuple(standings))


@cache
def _all_scores() -> Mapping[tuple[str, str, str], Score]:
    return {(score.benchmark, score.condition, score.metric): score for score in scores(list(CATALOG.values()))}
