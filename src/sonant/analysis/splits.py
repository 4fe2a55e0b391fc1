"""Recordings to learn from, to choose by and to test on, for each label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError
from sonant.evaluation.probes import folds_of

Numbers = npt.NDArray[np.int64]
PARTS = ("train", "dev", "test")
PART_OF = {"train": 0, "training": 0, "dev": 1, "valid": 1, "validation": 1, "test": 2, "eval": 2}
FOLDS = 5  # the first is test, the second dev
LEAST_OF_LABEL = FOLDS  # recordings
MOST_LABELS = 200


@dataclass(frozen=True, eq=False)
class Parts:
    """The division of recordings for one label.

    Attributes:
        train, dev, test: places of recordings.
        by: how it was made, in words.
        across_speakers: whether no speaker is in two parts.
    """

    train: Numbers
    dev: Numbers
    test: Numbers
    by: str
    across_speakers: bool

    @property
    def each(self) -> tuple[Numbers, Numbers, Numbers]:
        """Train, dev and test."""
        return self.train, self.dev, self.test

    def mapped(self, owners: Numbers) -> Parts:
        """Return the division of rows, such as frames, whose recordings are the `owners`."""
        train, dev, test = (np.flatnonzero(np.isin(owners, part)) for part in self.each)
        return Parts(train, dev, test, self.by, self.across_speakers)


def parts_for(
    labels: Sequence[str | None],
    speakers: Sequence[str | None],
    given: Sequence[str | None],
    recordings: Sequence[int] | None = None,
) -> Parts:
    """Divide the recordings, or segments of them, that have a label.

    The parts of the manifest are taken if train has the labels of most test recordings. Otherwise recordings are
    divided by speaker if each label has several, and at random if not, as for the speaker itself. Rare labels, and
    those in dev or test that train lacks, are left out.

    Args:
        labels: None: left out. speakers: None: unknown.
        given: part of each recording that the manifest names; None: none.
        recordings: of each segment; those of one stay together. None: whole recordings are divided.

    Raises MeasurementError: too few recordings or labels; the message says which.
    """
    counts = Counter(label for label in labels if label is not None)
    kept = {label for label, count in counts.most_common(MOST_LABELS) if count >= LEAST_OF_LABEL}
    if len(kept) < 2:
        raise MeasurementError(
            f"{len(kept)} of its {len(counts)} values have {LEAST_OF_LABEL} recordings or more; two are needed"
        )
    places = np.array([place for place, label in enumerate(labels) if label in kept], dtype=np.int64)
    parts = [PART_OF.get((each or "").strip().lower()) for each in given]
    if all(parts[place] is not None for place in places):
        train, dev, test = (np.array([p for p in places if parts[p] == number], dtype=np.int64) for number in range(3))
        known = {labels[place] for place in train}
        known_dev, known_test = (
            np.array([p for p in part if labels[p] in known], dtype=np.int64) for part in (dev, test)
        )
        if len(known) > 1 and len(known_dev) and 2 * len(known_test) > len(test) > 0:
            apart = _are_apart(speakers, train, known_dev, known_test)
            return Parts(train, known_dev, known_test, "as the manifest divides them", apart)
    return _made(labels, speakers, places, recordings)


def plain_parts(speakers: Sequence[str | None], given: Sequence[str | None]) -> Parts:
    """Divide recordings without regard to labels, by speaker if there are enough.

    Raises MeasurementError: fewer than 5 recordings.
    """
    parts = [PART_OF.get((each or "").strip().lower()) for each in given]
    if None not in parts and {0, 1, 2} <= set(parts):
        train, dev, test = (np.flatnonzero(np.array(parts) == number) for number in range(3))
        return Parts(train, dev, test, "as the manifest divides them", _are_apart(speakers, train, dev, test))
    known = None not in speakers and len(set(speakers)) >= FOLDS
    folds = folds_of([""] * len(speakers), [str(each) for each in speakers] if known else None, folds=FOLDS)
    by = "by speaker" if known else "at random by recording"
    return Parts(np.flatnonzero(folds > 1), np.flatnonzero(folds == 1), np.flatnonzero(folds == 0), by, known)


def _are_apart(speakers: Sequence[str | None], *parts: Numbers) -> bool:
    """Return True if all speakers are known, and none is in two parts."""
    names = [{speakers[place] for place in part.tolist()} for part in parts]
    together = set[str | None]().union(*names)
    return None not in together and sum(map(len, names)) == len(together)


def _made(
    labels: Sequence[str | None],
    speakers: Sequence[str | None],
    places: Numbers,
    recordings: Sequence[int] | None,
) -> Parts:
    names = [str(labels[place]) for place in places]
    groups = [speakers[place] for place in places]
    owners: dict[str, set[str]] = {}
    for name, group in zip(names, groups, strict=True):
        owners.setdefault(name, set()).add(str(group))
    by_speaker = None not in groups and all(len(each) >= 3 for each in owners.values())
    folds = None
    if by_speaker:
        try:
            folds = folds_of(names, [str(each) for each in groups], folds=FOLDS)
        except MeasurementError:  # too few speakers
            by_speaker = False
    if folds is None:
        owner = None if recordings is None else [str(recordings[place]) for place in places]
        folds = folds_of(names, owner, folds=FOLDS)
    by = "by speaker" if by_speaker else "at random by recording, so that speakers are in several parts"
    train, dev, test = places[folds > 1], places[folds == 1], places[folds == 0]
    known = {labels[place] for place in train}
    dev, test = (np.array([p for p in part if labels[p] in known], dtype=np.int64) for part in (dev, test))
    if not len(dev) or not len(test):
        raise MeasurementError(f"{len(places)} recordings are too few to divide")
    return Parts(train, dev, test, by, by_speaker)
