"""The alternatives of a beam search on the page: their scores, and the language model's for each word."""

from collections.abc import Sequence

from sonant.decoding.hypotheses import Hypothesis
from sonant.evaluation.error_rates import TextUnit, error_counts
from sonant.pages.html import Markup, joined, table, tag

LEGEND = (
    "Of the alternatives of a beam search, the emission is the natural logarithm of the probability of a text by the "
    "model, LM that by the language model; the score adds them with their weights, and what is added for each word. "
    "Below a word is its share of LM: −2.3 is one in ten, −6.9 one in a thousand."
)


def alternatives_table(found: Sequence[Hypothesis], texts: Sequence[str], reference: str, unit: TextUnit) -> Markup:
    """Return a table of the texts that a beam search found, best first, folded up.

    Args:
        texts: of the hypotheses, normalized as the reference is.
    """
    counts = error_counts([reference] * len(texts), texts, unit=unit)
    rows = [
        [str(rank), _words(each), str(count.errors), *map(_score, (each.score, each.emission_score, each.lm_score))]
        for rank, (each, count) in enumerate(zip(found, counts, strict=True), start=1)
    ]
    least = min(count.errors for count in counts)
    best = f"{least} error{'' if least == 1 else 's'}"
    caption = f"The {len(found)} most likely texts; the best of them has {best}" if len(found) > 1 else "Scores"
    return tag(
        "details",
        tag("summary", caption),
        table(caption, ["", "Text", "Errors", "Score", "Emission", "LM"], rows),
        class_="alternatives",
    )


def _words(hypothesis: Hypothesis) -> Markup:
    words = [
        joined(
            word.before if number else None,
            tag("span", word.text, tag("sub", _score(word.lm_score, 1)) if word.lm_score is not None else None),
        )
        for number, word in enumerate(hypothesis.words)
    ]
    if words:
        return joined(*words)
    written = hypothesis.text  # by a decoder, whose texts have no words with times
    return tag("span", written) if written else tag("span", "(no words)", class_="dim")


def _score(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")
