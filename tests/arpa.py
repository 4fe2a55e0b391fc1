"""Small language models in ARPA format, for tests of what decodes with them."""

from pathlib import Path

ARPA = """\\data\\
ngram 1={count}

\\1-grams:
-1.0\t<unk>
-99\t<s>
-1.0\t</s>
{words}

\\end\\
"""


def write_lm(path: Path, words: list[str]) -> Path:
    """A unigram model, of which each word is half as likely as the one before."""
    lines = [f"{-0.3 * number:.1f}\t{word}" for number, word in enumerate(words, start=1)]
    path.write_text(ARPA.format(count=len(words) + 3, words="\n".join(lines)))
    return path
