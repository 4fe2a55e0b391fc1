"""BLEU, the precision of n-grams of words, for translations."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError
from sonant.evaluation.error_rates import check_texts

ORDER = 4
# Rules of mteval-v13a, in their order: punctuation stands alone, but points, commas and hyphens within numbers.
_RULES = (
    (re.compile(r"([!-&(-+/:-@\[-`{-~])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """Compute BLEU of a corpus in percent, 0 to 100, with one reference for each text.

    With c and r the words of all texts and of all references, and p_n the share of the n-grams of the texts that are in
    their references, each as often as it is there:

        BLEU = min(1, exp(1 - r / c)) (p_1 p_2 p_3 p_4)^(1/4)

    A p_n of no matches counts half, a quarter, ... of one match. Words are those of mteval-v13a, with case.

    Raises MeasurementError: no texts, another number of references, or elements that are no text.

    Source: Papineni et al. 2002; Chen and Cherry 2014, the third smoothing. Equal to `corpus_bleu` of sacrebleu with
    its defaults.
    """
    if len(texts) != len(references) or not texts:
        raise MeasurementError(
            f"{len(texts)} texts and {len(references)} references were given; expected one reference for each text, "
            "and one text or more."
        )
    check_texts(references, texts)
    return float(bleu_of(np.sum([bleu_counts(*pair) for pair in zip(texts, references, strict=True)], axis=0)))


def bleu_counts(text: str, reference: str) -> npt.NDArray[np.float64]:
    """Return the counts of one text, which are added over a corpus: matches and n-grams of each order, and words of
    text and reference, (2 * ORDER + 2,).
    """
    found, wanted = _words(text), _words(reference)
    pairs = [(_ngrams(found, order), _ngrams(wanted, order)) for order in range(1, ORDER + 1)]
    matches = [(ours & theirs).total() for ours, theirs in pairs]
    return np.array([*matches, *(ours.total() for ours, _ in pairs), len(found), len(wanted)], dtype=np.float64)


def bleu_of(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Compute BLEU in percent (...,) from sums of `bleu_counts` (..., 2 * ORDER + 2)."""
    totals = np.asarray(counts, dtype=np.float64)
    matches, ngrams, (found, wanted) = totals[..., :ORDER], totals[..., ORDER:-2], np.moveaxis(totals[..., -2:], -1, 0)
    is_missing = matches == 0
    smoothed = np.where(is_missing, 0.5 ** np.cumsum(is_missing, -1), matches) / np.maximum(ngrams, 1)
    is_known = (ngrams > 0).all(-1) & (matches.sum(-1) > 0)
    logs = np.log(np.where(is_known[..., None], smoothed, 1.0)).mean(-1)
    brevity = np.minimum(0.0, 1 - wanted / np.maximum(found, 1))
    return np.asarray(np.where(is_known, 100 * np.exp(brevity + logs), 0.0))


def _words(text: str) -> list[str]:
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    text = f" {text} "
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.split()


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))
