"""Published results of several models, number by number."""

from collections.abc import Sequence
from typing import NamedTuple

from sonant.models.catalog import Card
from sonant.models.published_results import BENCHMARKS, higher_is_better, place_of


class Score(NamedTuple):
    """One number of a benchmark, for each model that has it."""

    benchmark: str
    condition: str
    metric: str
    values: dict[str, float]  # by the model's name

    @property
    def best(self) -> float | None:
        """The best of the values, where there is something to choose from."""
        if len(set(self.values.values())) < 2:
            return None
        return (max if higher_is_better(self.metric) else min)(self.values.values())

    @property
    def digits(self) -> int:
        """The number of digits after the point with which all values can be written and none loses any."""
        return max(len(repr(value).partition(".")[2]) for value in self.values.values())


def scores(cards: Sequence[Card]) -> list[Score]:
    """Every published number that at least one of the models has, benchmark by benchmark, condition by condition."""
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {benchmark: {} for benchmark in BENCHMARKS}
    for card in cards:
        for result in card.results:
            for metric, value in result.scores.items():
                conditions = found[result.benchmark].setdefault(result.condition, {})
                conditions.setdefault(metric, {})[card.name] = value
    return [
        Score(benchmark, condition, metric, values)
        for benchmark, conditions in found.items()
        for condition, metrics in sorted(conditions.items(), key=lambda item: place_of(item[0]))
        for metric, values in metrics.items()
    ]
