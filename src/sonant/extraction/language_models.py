"""Language models from files and folders, by what they contain."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from sonant.checkpoints.transformer_lm import TextModel, load_transformer_lm
from sonant.data.text_normalization import Normalization
from sonant.decoding.ngrams.files import load_ngram_model
from sonant.decoding.ngrams.model import BackOffModel
from sonant.decoding.prefix_beam.decoder import units_of_model
from sonant.decoding.prefix_beam.units import SearchUnits
from sonant.decoding.text_scores import TextScorer
from sonant.decoding.transformer_model import TransformerLanguageModel
from sonant.errors import ConfigurationError

File = str | os.PathLike[str]
AnyModel = TypeVar("AnyModel", BackOffModel, TransformerLanguageModel)


def read_language_model(given: File, *, words: Sequence[str] | None = None) -> BackOffModel | TransformerLanguageModel:
    """Read an n-gram model, see `load_ngram_model`, or the folder of a Transformer.

    Args:
        words: that a Transformer may score; one of subwords needs them.

    Raises:
        ConfigurationError: there is no such file or folder, or the folder does not say in what form its texts were.
        CheckpointError: it is no language model, or damaged.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        found = load_transformer_lm(path)
        return TransformerLanguageModel(found.model, found.tokenizer, normalization=_form_of(found), words=words)
    if not path.is_file():
        raise ConfigurationError(
            f"There is no language model {os.fspath(given)!r}; expected an n-gram file, or a folder."
        )
    return load_ngram_model(path)


def in_case_of(lm: AnyModel, units: SearchUnits, *, with_lexicon: bool) -> AnyModel:
    """Return a language model whose words have the case of a CTC vocabulary, if both have letters of one case alone.

    Words of a lexicon are written, and known to the language model, in the case that the lexicon has; characters that
    are the tokens of a vocabulary have the case of those.
    """
    written = b"".join(units.texts).decode(errors="ignore")
    words = [word for word in lm.words if not _is_special(word)]
    known = "".join(words)
    change = str.lower if written.lower() == written else str.upper
    cases = (written.lower() == written, written.upper() == written, known.lower() == known, known.upper() == known)
    changed = [word if _is_special(word) else change(word) for word in lm.words]
    if cases not in ((True, False, False, True), (False, True, True, False)) or len(set(changed)) < len(changed):
        return lm
    other = lm.named(changed)
    return other if not with_lexicon or units_of_model(other, units) is not None else lm


def _is_special(word: str) -> bool:
    return word.startswith("<") and word.endswith(">")


def read_text_scorer(given: File) -> TextScorer:
    """Read a Transformer language model that scores whole texts.

    Raises:
        CheckpointError: the folder has none.
        ConfigurationError: it does not say in what form its texts were.
    """
    found = load_transformer_lm(Path(given).expanduser())
    return TextScorer(found.model, found.tokenizer, normalization=_form_of(found))


def _form_of(found: TextModel) -> Normalization:
    if found.normalization is None:
        raise ConfigurationError(
            f"{found.source} does not say in what form its texts were, to which all that it scores must be brought: "
            "as they are written (none), without punctuation (cased), or in lower or upper case as well. Write a "
            f"folder that does: sonant lm convert {found.source} FOLDER --normalize lower"
        )
    return found.normalization
