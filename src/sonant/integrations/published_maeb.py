"""The published tasks of MAEB, which mteb downloads and scores, with models of sonant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from sonant.data.settings import write_settings
from sonant.errors import MissingExtra, UnknownName
from sonant.extraction.pooling import Pool

BENCHMARK = "MAEB(v1, audio-only)"  # 19 tasks, without those of texts
RESULTS = "published.json"


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """Scores of one model, layer and pooling.

    Attributes:
        scores: main score of each task, from 0 to 1.
        failures: message for each task that failed.
    """

    model: str
    layer: str
    pool: str
    scores: dict[str, float]
    failures: dict[str, str]

    @property
    def mean(self) -> float:
        """The mean over the tasks, as the leaderboard has it; NaN if one failed."""
        return float(np.mean([*self.scores.values()])) if self.scores and not self.failures else float("nan")


def rerun_maeb(
    models: Sequence[str | PathLike[str]],
    *,
    layer: Sequence[int | str] = ("last",),
    pool: Sequence[Pool] = ("mean",),
    tasks: Sequence[str] = (),
    output: str | PathLike[str] = "maeb",
    device: str | None = None,
) -> list[PublishedRow]:
    """Measure models on the audio-only tasks of MAEB by mteb itself, which fetches the corpora from the hub.

    Finished tasks are kept in `output/mteb`, and not measured again.

    Args:
        models: arguments of `load`.
        layer, pool: see `ClipVectors`; each of one with each of the other.
        tasks: names of mteb, by default the 19 of `BENCHMARK`.
        output: folder of mteb's results, and `published.json`.
        device: as in `load`.

    Raises:
        MissingExtra: mteb is not installed.
        UnknownName: mteb has no such task.
    """
    try:
        import mteb
    except ImportError as error:
        raise MissingExtra("mteb", extra="maeb", purpose="The published tasks of MAEB") from error
    from sonant.integrations.mteb_model import MtebEncoder

    try:
        wanted = mteb.get_tasks(tasks=list(tasks)) if tasks else mteb.get_benchmark(BENCHMARK).tasks
    except KeyError as error:
        known = [task.metadata.name for task in mteb.get_benchmark(BENCHMARK).tasks]
        raise UnknownName("task of mteb", ", ".join(tasks), known) from error
    folder = Path(output)
    cache = mteb.ResultCache(folder / "mteb")
    rows = []
    for name in models:
        for each in layer:
            for one in pool:
                loaded = MtebEncoder(str(name), layer=each, pool=one, device=device)
                done: Any = mteb.evaluate(loaded, wanted, cache=cache, raise_error=False)
                scores = {task.task_name: float(task.get_score()) for task in done.task_results}
                failures = {failed.task_name: str(failed.exception) for failed in done.exceptions or []}
                rows.append(PublishedRow(model=str(name), layer=str(each), pool=one, scores=scores, failures=failures))
                write_settings(folder / RESULTS, {"rows": [vars(row) for row in rows]})
    return rows
