"""The tokens of a CTC head in fairseq: a dictionary pickled with the model, or the file dict.ltr.txt beside it.

Source: fairseq `Dictionary`, which puts four tokens of its own before those of the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sonant.checkpoints.stand_ins import StandIn, plain
from sonant.errors import CorruptedCheckpoint
from sonant.models.code_vocabulary import SPECIALS

OVERWRITE = "#fairseq:overwrite"  # behind a line whose symbol stands in the file already
LABELS = ("ltr", "phn", "wrd", "char")  # what the file is named after, where the settings do not say
BLANK = 0  # fairseq's criterion takes the first symbol of its dictionary, "<s>", for CTC's blank
PHONEMES = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "pad_token": "<pad>"}


def symbols_of(dictionary: Any) -> list[str] | None:
    """The symbols of a pickled Dictionary."""
    values = plain(dictionary) if isinstance(dictionary, StandIn) else None
    symbols = values.get("symbols") if isinstance(values, dict) else None
    return [str(symbol) for symbol in symbols] if isinstance(symbols, list) else None


def dictionary_symbols(text: str, source: object) -> list[str]:
    """The symbols of a dictionary's text, which has a line "symbol count" for each.

    Raises:
        CorruptedCheckpoint: it is no such text.
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
    """The tokens of a head, named as transformers names them: there the blank is "<pad>", in fairseq "<s>".

    Args:
        dictionary: that of the task's state, if there is one.
        task: settings of the fine-tuning.
        source: the file of weights, in whose folder a dictionary may lie.
        size: number of tokens of the head; a dictionary of another size is not its own.
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
    """The symbols of a dictionary in the folder of a file, if it is of the right size."""
    for label in labels:
        path = source.parent / f"dict.{label}.txt"
        if isinstance(label, str) and path.is_file():
            symbols = [*SPECIALS, *dictionary_symbols(path.read_text(encoding="utf-8"), path)]
            if len(symbols) == size:
                return symbols
    return None


def _are_phonemes(symbols: list[str]) -> bool:
    """Symbols of several letters where nothing marks the beginning or end of a word."""
    plain_symbols = [symbol for symbol in symbols if not symbol.startswith(("<", "madeupword"))]
    marked = any(symbol == "|" or "▁" in symbol for symbol in plain_symbols)
    return not marked and any(len(symbol) > 1 for symbol in plain_symbols)
