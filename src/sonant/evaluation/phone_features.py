"""Phone feature error rate (PFER): edits between phones, of which alike ones cost less."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sonant.errors import MissingExtra, SonantWarning, some_of, warn
from sonant.evaluation.edits import weighted_edit_distance
from sonant.evaluation.error_rates import check_texts

Features = npt.NDArray[np.integer]  # (phones, features): -1, 0 or 1


class FeatureErrors(NamedTuple):
    """Errors of one utterance: a cost between 0 and 1 for each edit, and the phones of its reference."""

    errors: float
    length: int


def feature_distance(reference: Features, hypothesis: Features) -> float:
    """Return the least cost of edits between phones, given by their features (phones, features).

    A substitution costs the share of features in which the two phones differ, an insertion or deletion 1.

    Source: the Hamming feature edit distance of PanPhon (Mortensen et al., COLING 2016).
    """
    return weighted_edit_distance((reference[:, None] != hypothesis[None]).mean(axis=-1))


def phone_feature_errors(references: Sequence[str], hypotheses: Sequence[str]) -> list[FeatureErrors]:
    """Compute the feature errors of each utterance, from texts in IPA.

    PFER is the sum of the errors over the sum of the lengths, never above the phone error rate of the same segments.
    (The benchmark PRiSM reports the mean of the errors of an utterance.) Segments are those of PanPhon, whatever spaces
    there are, so that a diphthong is two; segments that it does not know are left out, with a warning.

    Raises:
        MeasurementError: lists of different lengths, or elements that are not text.
        MissingExtra: PanPhon, of the extra `phones`, is not installed.
    """
    check_texts(references, hypotheses)
    unknown: dict[str, None] = {}
    found = [[_features(text, unknown) for text in pair] for pair in zip(references, hypotheses, strict=True)]
    if unknown:
        names = some_of(list(map(repr, unknown)), 8)
        warn(f"PanPhon knows no features of {names}; they were left out of the PFER.", SonantWarning)
    return [FeatureErrors(feature_distance(left, right), len(left)) for left, right in found]


def _features(text: str, unknown: dict[str, None]) -> Features:
    """Return the features of a text's segments; add what has none to `unknown`."""
    table = _feature_table()
    word = table.normalize("".join(text.split()))
    segments = table.ipa_segs(word, normalize=False)
    rest = word
    for segment in segments:
        strange, _, rest = rest.partition(segment)
        unknown |= dict.fromkeys(strange)
    unknown |= dict.fromkeys(rest)
    vectors = [table.fts(segment, normalize=False).numeric() for segment in segments]
    return np.array(vectors, dtype=np.int8).reshape(len(segments), len(table.names))


@cache
def _feature_table() -> Any:
    try:
        import panphon
    except ImportError as error:
        raise MissingExtra("panphon", extra="phones", purpose="The phone feature error rate") from error
    return panphon.FeatureTable()
