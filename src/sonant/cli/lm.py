"""`sonant lm`: language models of text."""

from pathlib import Path
from typing import Literal

from sonant.errors import ConfigurationError


def language_models() -> int:
    """Train language models of text, and measure them; each is a command of its own.

    Examples:
        sonant lm train text.txt -o words.arpa.gz
    """
    raise ConfigurationError("Name a command: sonant lm train ...; see sonant lm --help.")


def train(
    *texts: str,
    output: Path,
    order: int = 4,
    prune: list[int] | None = None,
    vocabulary: Path | None = None,
    units: Literal["words", "characters"] = "words",
    normalize: Literal["none", "cased", "lower", "upper"] = "none",
    label: str = "text",
    discount_fallback: bool = False,
    scratch: Path | None = None,
) -> int:
    """Train an n-gram model by modified Kneser-Ney smoothing.

    The text is read once and may be larger than memory; the n-grams that are kept must fit. Each sentence is a line of
    words separated by white space.

    Args:
        texts (FILE|MANIFEST|-): text files, plain or .gz, or manifests with transcripts.
        output (-o FILE): .arpa or .arpa.gz, which other tools read too; or .safetensors, which loads at once.
        order (N): words of the longest n-grams.
        prune (N,...): for each order the greatest count of n-grams that are removed; the last number is valid for all
            longer ones: 0,0,1 removes n-grams of three and more words that occur once.
        vocabulary (FILE): the words of the model, separated by white space; n-grams with others are removed.
        units: words; or characters, with "|" between words, for decoding without a lexicon.
        normalize: of the text: none; cased (without punctuation), or lower or upper case as well.
        label (FIELD): field of a manifest with the transcript.
        discount_fallback: take fixed discounts where the text is too small or too regular for its own, as it is for
            characters.
        scratch (FOLDER): where counts are kept meanwhile.

    Examples:
        sonant lm train books.txt.gz -o words.arpa.gz --prune 0,0,1
        sonant lm train train.jsonl --normalize lower -o words.safetensors
        sonant lm train train.jsonl --units characters --order 6 --discount-fallback -o letters.arpa
    """
    from sonant.data.sentences import read_sentences
    from sonant.decoding.kneser_ney import train_kneser_ney
    from sonant.decoding.ngram_files import check_name, save_ngrams

    if not texts:
        raise ConfigurationError("No text was given; expected files, such as sonant lm train text.txt -o words.arpa.")
    check_name(output)
    lines = read_sentences(texts, label=label, normalize=normalize, units=units, progress=None)
    ngrams = train_kneser_ney(
        lines,
        order=order,
        prune=prune or (),
        vocabulary=None if vocabulary is None else vocabulary.read_text(encoding="utf-8").split(),
        discount_fallback=discount_fallback,
        scratch=scratch,
        source=", ".join(texts),
    )
    save_ngrams(output, ngrams)
    sizes = (f"{len(table.words):,} {number}-grams" for number, table in enumerate(ngrams.tables, 1))
    print(f"{output}: {', '.join(sizes)}")
    return 0


def score(
    model: str,
    *texts: str,
    units: Literal["words", "characters"] = "words",
    normalize: Literal["none", "cased", "lower", "upper"] = "none",
    label: str = "text",
    json: bool = False,
) -> int:
    """Measure the perplexity of texts under a language model.

    The end of each sentence counts as a word.

    Args:
        model (LM): a language model: ARPA, plain or .gz, or a .safetensors of sonant lm.
        texts (FILE|MANIFEST|-): text files with one sentence a line, or manifests with transcripts.
        units: words or characters, as in the training of the model.
        normalize: of the text: none; cased (without punctuation), or lower or upper case as well.
        label (FIELD): field of a manifest with the transcript.
        json: print the totals and the score of each sentence as JSON.

    Examples:
        sonant lm score words.arpa.gz dev.txt
        sonant lm score words.safetensors dev.jsonl --normalize lower --json
    """
    from sonant.cli.json_output import print_json
    from sonant.data.sentences import read_sentences
    from sonant.decoding.perplexity import score_sentences, total
    from sonant.extraction.language_models import read_language_model

    if not texts:
        raise ConfigurationError("No text was given; expected files, such as sonant lm score words.arpa dev.txt.")
    lines = read_sentences(texts, label=label, normalize=normalize, units=units, progress=None)
    scores = list(score_sentences(read_language_model(model), lines))
    found = total(scores)
    if json:
        print_json({**found.to_json(), "sentences": [vars(each) for each in scores]})
        return 0
    print(f"sentences                        {found.num_sentences:,}")
    print(f"words                            {found.num_words:,}")
    print(f"unknown words                    {found.num_unknown:,} ({100 * found.unknown_rate:.2f} %)")
    print(f"perplexity                       {found.perplexity:.2f}")
    print(f"perplexity without unknown words {found.perplexity_of_known:.2f}")
    return 0


def convert(model: str, output: Path) -> int:
    """Rewrite a language model as .safetensors, which loads at once.

    Args:
        model (LM): ARPA, plain or .gz.
        output (FILE): a .safetensors file.

    Examples:
        sonant lm convert 4-gram.arpa.gz 4-gram.safetensors
    """
    from sonant.decoding.ngram_files import load_ngram_model, save_ngram_model

    if output.suffix != ".safetensors":
        raise ConfigurationError(f"{output} was given as the output; expected a name that ends in .safetensors.")
    save_ngram_model(output, load_ngram_model(model))
    print(output)
    return 0
