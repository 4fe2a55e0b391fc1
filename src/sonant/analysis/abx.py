"""ABX discrimination of segments, such as phones or words.

A and X are segments of one category, B of another, all in one context (for phones, the neighbors on both sides). An
error is d(A, X) > d(B, X); equal distances count one half. Within speakers all three are of one speaker; across
speakers A and B are of one, and X is of another. Errors are averaged over the triples of each cell (both categories,
context, speakers), then over the cells of both categories and a pair of speakers, then over speakers, and then over the
pairs of categories: frequent ones do not count more.

Source: Schatz et al., Interspeech 2013; the Zero Resource Speech challenges of 2017 and 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

from sonant.analysis.warping import warped_distances

Floats = npt.NDArray[np.floating]
Mode = Literal["within", "across"]

MOST_TOKENS = 5  # of a category, context and speaker
MOST_CELLS = 3000


@dataclass(frozen=True, kw_only=True)
class AbxItem:
    """One segment.

    Attributes:
        category: what is told apart, such as the phone.
        context: that A, B and X share, such as the neighbors of a phone; "" for none.
        speaker: who says it.
    """

    category: str
    context: str
    speaker: str


@dataclass(frozen=True, eq=False)
class AbxCell:
    """The triples of one cell: each A and B with each X, except a segment with itself.

    Attributes:
        a, b, x: numbers of items.
        speakers: of A and B, and of X.
    """

    categories: tuple[str, str]
    context: str
    speakers: tuple[str, str]
    a: tuple[int, ...]
    b: tuple[int, ...]
    x: tuple[int, ...]


def abx_cells(
    items: Sequence[AbxItem], mode: Mode, *, most_tokens: int = MOST_TOKENS, most_cells: int = MOST_CELLS, seed: int = 0
) -> list[AbxCell]:
    """Return the cells of items; where there are more than the most, those that are drawn at random.

    Args:
        most_tokens: of a category, context and speaker.
    """
    generator = np.random.default_rng(seed)
    tokens: dict[tuple[str, str, str], list[int]] = {}
    for number, item in enumerate(items):
        tokens.setdefault((item.context, item.speaker, item.category), []).append(number)
    drawn = {
        key: tuple(sorted(generator.choice(found, most_tokens, replace=False))) if len(found) > most_tokens else found
        for key, found in tokens.items()
    }
    by_context: dict[str, dict[str, dict[str, tuple[int, ...]]]] = {}
    for (context, speaker, category), found in drawn.items():
        by_context.setdefault(context, {}).setdefault(speaker, {})[category] = tuple(int(each) for each in found)
    cells: list[AbxCell] = []
    for context, speakers in sorted(by_context.items()):
        for speaker, categories in sorted(speakers.items()):
            for one, other in product(sorted(categories), repeat=2):
                if one == other:
                    continue
                others = [speaker] if mode == "within" else sorted(set(speakers) - {speaker})
                for of_x in others:
                    x = speakers[of_x].get(one, ())
                    if len(x) >= (2 if mode == "within" else 1):
                        cells.append(
                            AbxCell((one, other), context, (speaker, of_x), categories[one], categories[other], x)
                        )
    if len(cells) > most_cells:
        kept = np.sort(generator.choice(len(cells), most_cells, replace=False))
        cells = [cells[number] for number in kept]
    return cells


def cell_errors(cells: Sequence[AbxCell], segments: Sequence[Floats]) -> npt.NDArray[np.float64]:
    """Compute the error of each cell from the frames (frames, dim) of each item: (cells,)."""
    wanted = sorted(
        {(min(one, x), max(one, x)) for cell in cells for x in cell.x for one in (*cell.a, *cell.b) if one != x}
    )
    pairs = np.array(wanted, dtype=np.int64).reshape(-1, 2)
    used = {int(number): place for place, number in enumerate(np.unique(pairs))}
    places = np.array([[used[one], used[other]] for one, other in wanted], dtype=np.int64).reshape(-1, 2)
    found = warped_distances([segments[number] for number in used], places)
    distance = dict(zip(wanted, found.tolist(), strict=True))

    def apart(one: int, other: int) -> float:
        return distance[min(one, other), max(one, other)]

    errors = np.empty(len(cells))
    for number, cell in enumerate(cells):
        values = [
            (near > far) + 0.5 * (near == far)
            for x in cell.x
            for a in cell.a
            if a != x
            for near in (apart(a, x),)
            for far in (apart(b, x) for b in cell.b)
        ]
        errors[number] = np.mean(values)
    return errors


def abx_error(
    cells: Sequence[AbxCell], errors: npt.NDArray[np.float64], kept: npt.NDArray[np.bool_] | None = None
) -> float:
    """Average the errors of cells as described above; `kept`: cells that count (cells,), None: all."""
    chosen = range(len(cells)) if kept is None else np.flatnonzero(kept).tolist()
    by_speakers: dict[tuple[tuple[str, str], tuple[str, str]], list[float]] = {}
    for number in chosen:
        cell = cells[number]
        by_speakers.setdefault((cell.categories, cell.speakers), []).append(errors[number])
    by_speaker: dict[tuple[tuple[str, str], str], list[float]] = {}
    for (categories, (speaker, _)), values in by_speakers.items():
        by_speaker.setdefault((categories, speaker), []).append(float(np.mean(values)))
    by_categories: dict[tuple[str, str], list[float]] = {}
    for (categories, _), values in by_speaker.items():
        by_categories.setdefault(categories, []).append(float(np.mean(values)))
    return float(np.mean([np.mean(values) for values in by_categories.values()]))
