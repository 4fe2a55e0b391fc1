"""chrF, the F-score of character n-grams, for translations."""

from collections import Counter

from sonant.evaluation.error_rates import check_texts

ORDER, BETA = 6, 2.0


def chrf(text: str, reference: str) -> float:
    """Return chrF of one text in percent, 0 to 100.

    Precision and recall are means over n-grams of 1 to 6 characters, white space left out, without those orders that
    one of the texts is too short for; recall counts twice as much.

    Raises MeasurementError: one of the two is no text.

    Source: Popović 2015; equal to `sentence_chrf` of sacrebleu with its defaults.
    """
    check_texts([reference], [text])
    found, wanted = "".join(text.split()), "".join(reference.split())
    rates = []
    for order in range(1, ORDER + 1):
        ours, theirs = _ngrams(found, order), _ngrams(wanted, order)
        if ours and theirs:
            matches = (ours & theirs).total()
            rates.append((matches / ours.total(), matches / theirs.total()))
    if not rates:
        return 0.0
    precision, recall = (sum(each) / len(rates) for each in zip(*rates, strict=True))
    if precision + recall == 0:
        return 0.0
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _ngrams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
