"""The tokens of a CTC head of fairseq: a dictionary pickled with the model, or the file dict.ltr.txt beside it.

Source: fairseq `Dictionary`, which adds four special tokens before those of the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sonant.checkpoints.stand_ins import StandIn, plain
from sonant.errors import CorruptedCheckpoint
from sonant.models.code_vocabulary import SPECIALS

OVERWRITE = "#fairseq:overwrite"  # ends a line that replaces an earlier symbol
LABELS = ("ltr", "phn", "wrd", "char")  # names of the file, if the settings have none
BLANK = 0  # fairseq's criterion uses the first symbol, "<s>", as blank
PHONEMES = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "pad_token": "<pad>"}


def symbols_of(dictionary: Any) -> list[str] | None:
    """Return the symbols of a pickled Dictionary."""
    values = plain(dictionary) if isinstance(dictionary, StandIn) else None
    symbols = values.get("symbols") if isinstance(values, dict) else None
    return [str(symbol) for symbol in symbols] if isinstance(symbols, list) else None


def dictionary_symbols(text: str, source: object) -> list[str]:
    """Return the symbols of a dictionary's text, which has a line "symbol count" for each.

    Raises:
        CorruptedCheckpoint: a line is malformed.
    """
    symbols = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        symbol, _, count = line.rstrip().removesuffix(OVERWRITE).rstrip().rpartition(" ")
        if not symbol or not count.isdecimal():
            raise CorruptedCheckpoint(
                f"{source}: line {number} of the dictionary is {line[:80]!r}; expected a symbol and how often it "
                "occurs, as in '| 94802'."
            )
        symbols.append(symbol)
    return symbols


def ctc_metadata(
    dictionary: Any, task: Mapping[str, Any], source: object, *, size: int | None = None
) -> dict[str, Any]:
    """Return metadata with the tokens of a head, named as in transformers: the blank "<s>" becomes "<pad>".

    Args:
        dictionary: the pickled one of fairseq's task, if any.
        task: settings of the fine-tuning.
        source: the file of weights; its folder is searched for a dictionary.
        size: number of the head's tokens; dictionaries of another size are ignored.
    """
    labels = task.get("labels")
    symbols = symbols_of(dictionary)
    if symbols is None and isinstance(source, Path) and size is not None:
        symbols = _beside(source, (labels, *LABELS), size)
    known: dict[str, Any] = {"blank": BLANK}
    if symbols:
        swap = {"<s>": "<pad>", "<pad>": "<s>"} if symbols[0] == "<s>" else {}
        known["vocabulary"] = [swap.get(symbol, symbol) for symbol in symbols]
        if labels == "phn" or _are_phonemes(symbols[len(SPECIALS) :]):
            known["tokenizer"] = dict(PHONEMES)
    return known


def _beside(source: Path, labels: Sequence[Any], size: int) -> list[str] | None:
    """Return the symbols of a dictionary of the right size in the folder of a file."""
    for label in labels:
        path = source.parent / f"dict.{label}.txt"
        if isinstance(label, str) and path.is_file():
            symbols = [*SPECIALS, *dictionary_symbols(path.read_text(encoding="utf-8"), path)]
            if len(symbols) == size:
                return symbols
    return None


def _are_phonemes(symbols: list[str]) -> bool:
    """Return whether symbols are phonemes: some have several letters, and none marks a word boundary."""
    plain_symbols = [symbol for symbol in symbols if not symbol.startswith(("<", "madeupword"))]
    marked = any(symbol == "|" or "▁" in symbol for symbol in plain_symbols)
    return not marked and any(len(symbol) > 1 for symbol in plain_symbols)
