"""`sonant lm`: language models of text."""

from pathlib import Path
from typing import Literal

from sonant.errors import ConfigurationError


def language_models() -> int:
    """Train language models of text, and measure them; each is a command of its own.

    Transformers are trained by sonant train transformer_lm data=TEXT, and measured like n-grams.

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
    from sonant.decoding.ngrams.files import check_name, save_ngrams
    from sonant.decoding.ngrams.kneser_ney import train_kneser_ney

    if not texts:
        raise ConfigurationError("No text was given; expected files, such as sonant lm train text.txt -o words.arpa.")
    check_name(output)
    lines = read_sentences(texts, label=label, normalize=normalize, units=units, progress=None)
    ngrams = train_kneser_ney(
        lines,
        order=order,
        prune=prune or (),
        vocabulary=None
        if vocabulary is None
        else [word for line in read_sentences([vocabulary]) for word in line.split()],
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
    device: str = "cpu",
    json: bool = False,
) -> int:
    """Measure the perplexity of texts under a language model.

    The end of each sentence counts as a word. A Transformer gets texts in the form that it was trained on, and has a
    perplexity by its tokens too.

    Args:
        model (LM): a language model: ARPA, plain or .gz, a .safetensors of sonant lm, or the folder of a Transformer.
        texts (FILE|MANIFEST|-): text files with one sentence a line, or manifests with transcripts.
        units: words or characters, as in the training of the model.
        normalize: of the text: none; cased (without punctuation), or lower or upper case as well.
        label (FIELD): field of a manifest with the transcript.
        device: device of torch, such as cpu or cuda.
        json: print the totals and the score of each sentence as JSON.

    Examples:
        sonant lm score words.arpa.gz dev.txt
        sonant lm score words.safetensors dev.jsonl --normalize lower --json
        sonant lm score runs/transformer_lm/model dev.txt --device cuda
    """
    from sonant.cli.json_output import print_json
    from sonant.data.sentences import read_sentences
    from sonant.decoding.perplexity import SentenceScore, perplexity_per_token, score_sentences, total
    from sonant.extraction.language_models import read_language_model, read_text_scorer

    if not texts:
        raise ConfigurationError("No text was given; expected files, such as sonant lm score words.arpa dev.txt.")
    lines = read_sentences(texts, label=label, normalize=normalize, units=units, progress=None)
    per_token = None
    if Path(model).expanduser().is_dir():
        if units != "words":
            raise ConfigurationError(f"units={units} was given, and {model} has a tokenizer of its own. Leave it out.")
        scorer = read_text_scorer(model)
        scorer.model.to(device)
        of_texts = scorer.score([line for line in lines if line.strip()])
        scores: list[SentenceScore] = [*of_texts]
        per_token = perplexity_per_token(of_texts) if of_texts else None
    else:
        scores = list(score_sentences(read_language_model(model).to(device), lines))
    found = total(scores)
    if json:
        by_tokens = {} if per_token is None else {"perplexity_per_token": per_token}
        print_json({**found.to_json(), **by_tokens, "sentences": [vars(each) for each in scores]})
        return 0
    print(f"sentences                        {found.num_sentences:,}")
    print(f"words                            {found.num_words:,}")
    print(f"unknown words                    {found.num_unknown:,} ({100 * found.unknown_rate:.2f} %)")
    print(f"perplexity                       {found.perplexity:.2f}")
    print(f"perplexity without unknown words {found.perplexity_of_known:.2f}")
    if per_token is not None:
        print(f"perplexity by tokens             {per_token:.2f}")
    return 0


def convert(model: str, output: Path, *, normalize: Literal["none", "cased", "lower", "upper"] | None = None) -> int:
    """Rewrite an n-gram model as .safetensors, which loads at once, or a Transformer with the form of its texts.

    Args:
        model (LM): ARPA, plain or .gz; or a Transformer of GPT-2's kind, a folder, or on the hub with --normalize.
        output (FILE|FOLDER): a .safetensors file, or a folder.
        normalize: form to which a Transformer's texts must be brought, where it does not say so: none; cased (without
            punctuation), or lower or upper case as well.

    Examples:
        sonant lm convert 4-gram.arpa.gz 4-gram.safetensors
        sonant lm convert openai-community/gpt2 gpt2 --normalize lower
    """
    from dataclasses import replace

    from sonant.checkpoints.transformer_lm import load_transformer_lm, save_transformer_lm
    from sonant.decoding.ngrams.files import load_ngram_model, save_ngram_model
    from sonant.decoding.ngrams.model import NgramModel

    path = Path(model).expanduser()
    if path.is_dir() or (normalize is not None and not path.is_file()):
        found = load_transformer_lm(model)
        if normalize is None and found.normalization is None:
            raise ConfigurationError(f"{model} does not say in what form its texts were. Name one: --normalize lower.")
        save_transformer_lm(replace(found, normalization=normalize or found.normalization), output)
        print(output)
        return 0
    if normalize is not None:
        raise ConfigurationError(f"normalize={normalize} was given, and {model} is an n-gram model. Leave it out.")
    if output.suffix != ".safetensors":
        raise ConfigurationError(f"{output} was given as the output; expected a name that ends in .safetensors.")
    ngrams = load_ngram_model(path)
    if not isinstance(ngrams, NgramModel):
        raise ConfigurationError(
            f"{model} is a KenLM file of hash tables, which hold hashes in place of n-grams. Use it as it is: it loads "
            "at once; or convert the ARPA file that it was made of."
        )
    save_ngram_model(output, ngrams)
    print(output)
    return 0
