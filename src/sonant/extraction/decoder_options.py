"""Options of decoding: the language model, the lexicon, the hot words and the numbers of a beam search.

This module imports no torch, since the command line has these options as flags.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sonant.configuration import changed
from sonant.errors import ConfigurationError

if TYPE_CHECKING:
    from sonant.decoding.language_model import LanguageModel
    from sonant.decoding.text_scores import TextScorer

    LanguageModelFile: TypeAlias = str | os.PathLike[str] | LanguageModel[Any]
    RescoringFile: TypeAlias = str | os.PathLike[str] | TextScorer
    File: TypeAlias = str | os.PathLike[str]
else:  # what a command line can say
    LanguageModelFile = RescoringFile = File = Path

FILES = ("lm", "lexicon", "rescoring_lm")
DECODER = "decoder.json"
NUMBERS: Mapping[Any, tuple[type, type, str]] = {  # by annotation: what is taken, what it becomes, its name
    int | None: (Integral, int, "a whole number"),
    float | None: (Real, float, "a number"),
}
NEEDED = {  # by option: those of which it needs one
    "lm_weight": ("lm",),
    "unknown_score": ("lm", "lexicon"),
    "hot_word_score": ("hot_words",),
    "rescoring_lm_weight": ("rescoring_lm",),
    "rescoring_word_score": ("rescoring_lm",),
}


@dataclass(frozen=True, kw_only=True)
class DecoderOptions:
    """Options of decoding. Without any of them decoding is greedy; one of them, or several, asks for a beam search.

    Attributes:
        decoder (FILE|FOLDER): further options, as sonant tune-decoder writes them, or a model's folder with the
            language_model of transformers; those that are given besides win.
        lm (FILE|FOLDER): language model: an n-gram in ARPA format (.gz too), a KenLM binary or a file of sonant lm, or
            the folder of a Transformer (which needs a lexicon if it is one of subwords).
        lexicon (FILE): the only words that may be written: one on each line, alone or with its tokens behind a tab.
        hot_words (WORD,...|@FILE): words that are more likely than others; of a file, one on each line.
        hot_word_score (X): added to the score of a hypothesis for each hot word. Without it: 10.
        beam (N): hypotheses that are kept at each frame. Without it: 50.
        beam_threshold (X): hypotheses whose score is lower than the best one's by more are dropped. Without it:
            50.
        beam_tokens (N): most likely tokens that are considered at each frame. Without it: all.
        lm_weight (X): factor of the language model's log-probabilities, which are natural. Without it: 0.87.
        word_score (X): added to the score for each word; above 0 it makes texts longer. Without it: 0.
        silence_weight (X): added to the score for each frame that is a word boundary. Without it: 0.
        unknown_score (X): added to the score for each word that the language model does not know. Without
            it: -10.
        rescoring_lm (FOLDER): Transformer language model by which the texts of the search are ranked again.
        rescoring_lm_weight (X): factor of its log-probabilities. Without it: 1.
        rescoring_word_score (X): added to the score of rescoring for each word. Without it: 0.
        n_best (N): most likely texts that are returned, with their scores. Without it: 1.
    """

    decoder: File | None = None
    lm: LanguageModelFile | None = None
    lexicon: File | None = None
    hot_words: tuple[str, ...] = ()
    hot_word_score: float | None = None
    beam: int | None = None
    beam_threshold: float | None = None
    beam_tokens: int | None = None
    lm_weight: float | None = None
    word_score: float | None = None
    silence_weight: float | None = None
    unknown_score: float | None = None
    rescoring_lm: RescoringFile | None = None
    rescoring_lm_weight: float | None = None
    rescoring_word_score: float | None = None
    n_best: int | None = None

    def __post_init__(self) -> None:
        words: Any = self.hot_words
        if isinstance(words, str):
            raise ConfigurationError(f"hot_words={words!r} was given; expected a list: [{words!r}].")
        object.__setattr__(self, "hot_words", tuple(words))
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and each.type in NUMBERS:
                kind, number, wanted = NUMBERS[each.type]
                if isinstance(value, bool) or not isinstance(value, kind):
                    raise ConfigurationError(f"{each.name}={value!r} was given; expected {wanted}.")
                object.__setattr__(self, each.name, number(value))
        for name in ("decoder", *FILES):
            if isinstance(file := getattr(self, name), str):
                from sonant.data.files import as_path  # whose package imports torch

                object.__setattr__(self, name, as_path(file, name))

    @property
    def given(self) -> dict[str, Any]:
        """The options that differ from their defaults, by name."""
        return {
            each.name: value for each in fields(self) if (value := getattr(self, each.name)) not in (each.default, None)
        }

    @property
    def numbers(self) -> dict[str, Any]:
        """The options that are given and no files or words, by name."""
        return {name: value for name, value in self.given.items() if name not in ("decoder", "hot_words", *FILES)}

    def resolved(self) -> "DecoderOptions":
        """Return the options with those of the file `decoder`, and hot words of a file.

        Raises ConfigurationError: a file that cannot be read, or an option without another that it needs.
        """
        options = self
        if self.decoder is not None:
            options = replace(read_decoder_options(Path(self.decoder)), **self.given | {"decoder": None})
        words = [word for given in options.hot_words for word in _hot_words(given)]
        options = replace(options, hot_words=tuple(dict.fromkeys(words)))
        for name, needed in NEEDED.items():
            if name in options.given and not any(each in options.given for each in needed):
                raise ConfigurationError(
                    f"{name}={getattr(options, name)} was given, which has no effect without {' or '.join(needed)}."
                )
        return options

    def settings(self) -> dict[str, Any]:
        """Return what determines results, as JSON values: the resolved options, with a digest for each file.

        Raises ConfigurationError: a language model that is not a file.
        """
        options = self.resolved()
        files = {name: digest_of_files(file, name) for name in FILES if (file := getattr(options, name)) is not None}
        words = {"hot_words": list(options.hot_words)} if options.hot_words else {}
        return {**options.numbers, **words, **files}


GREEDY = DecoderOptions()


def read_decoder_options(path: Path) -> DecoderOptions:
    """Read a file of options, `decoder.json` of a folder, or its `language_model` as transformers has it.

    Files that it names are relative to its folder.

    Raises ConfigurationError: it cannot be read, or has an unknown option or a value that does not fit.
    """
    if path.is_dir():
        if not (path / DECODER).exists() and (path / "language_model").is_dir():
            return _of_transformers(path / "language_model")
        path /= DECODER
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The decoder's options in {path} cannot be read: {error}") from error
    options = found.get("decoder") if isinstance(found, Mapping) else None
    if not isinstance(options, Mapping) or "decoder" in options:
        raise ConfigurationError(
            f'{path} holds no options of a decoder; expected what sonant tune-decoder writes: {{"decoder": {{"lm": '
            '"FILE", "lm_weight": 1.5 ...}}.'
        )
    try:
        read = changed(DecoderOptions(), options)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return replace(read, **{name: path.parent / file for name in FILES if (file := getattr(read, name)) is not None})


def _of_transformers(folder: Path) -> DecoderOptions:
    """Return the options of the folder that `Wav2Vec2ProcessorWithLM` of transformers saves with pyctcdecode.

    Its attrs.json has the weights of pyctcdecode: alpha and beta are LM weight and word score, for natural logarithms;
    the offset of unknown words is in log10, and weighted by alpha. Where they are missing, pyctcdecode's defaults hold.
    """
    models = [path for path in sorted(folder.iterdir()) if path.suffix in (".arpa", ".bin", ".binary", ".gz")]
    if len(models) != 1:
        names = ", ".join(path.name for path in models) or "none"
        raise ConfigurationError(
            f"{folder} should have one n-gram model, .arpa or .bin; it has {names}. Name one as lm."
        )
    try:
        found = json.loads((folder / "attrs.json").read_text(encoding="utf-8"))
        alpha, beta, unknown = (
            float(found.get(name, usual))
            for name, usual in (("alpha", 0.5), ("beta", 1.5), ("unk_score_offset", -10.0))
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"The weights in {folder / 'attrs.json'} cannot be read: {error}") from error
    return DecoderOptions(lm=models[0], lm_weight=alpha, word_score=beta, unknown_score=alpha * unknown * math.log(10))


def write_decoder_options(path: Path, options: DecoderOptions, **facts: Any) -> None:
    """Write options to a file, with facts about them; files are named relative to its folder."""
    from sonant.data.files import atomic

    folder = path.parent.resolve()
    values = {
        name: os.path.relpath(Path(value).resolve(), folder) if name in FILES else value
        for name, value in options.given.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as draft:
        draft.write_text(json.dumps({"decoder": values, **facts}, indent=2, ensure_ascii=False) + "\n", "utf-8")


def digest_of_files(given: Any, what: str) -> str:
    """Return the SHA-256 of a file, or of all files of a folder with their names."""
    if not isinstance(given, str | os.PathLike):
        raise ConfigurationError(
            f"The {what} is a {type(given).__name__}; expected a file, by whose content the results can be told apart "
            "from those of another."
        )
    path, digest = Path(given), sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode(errors="surrogateescape"))
        try:
            with file.open("rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise ConfigurationError(f"The {what} {str(path)!r} cannot be read: {error.strerror}.") from error
    return f"sha256:{digest.hexdigest()}"


def _hot_words(given: str) -> list[str]:
    """Return a hot word, or those of a file that is named after an @."""
    if not given.startswith("@"):
        return [given.strip()]
    try:
        lines = Path(given[1:]).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The hot words in {given[1:]!r} cannot be read: {error}") from error
    words = [word for line in lines if (word := line.strip())]
    if not words:
        raise ConfigurationError(f"The file {given[1:]!r} has no hot words; expected one on each line.")
    return words
