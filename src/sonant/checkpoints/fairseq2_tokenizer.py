"""The tokens of a CTC head of fairseq2: the pieces of a sentencepiece model.

fairseq2 stores that model separately. Here it must be in the folder of the weights, under any name ending in ".model";
it is identified by its number of pieces.

Sources: fairseq2 `data/tokenizers/char.py` (a piece's number is the token's) and `models/wav2vec2/asr/model.py` (the
blank is number 0, torch's default); omnilingual-asr `cards/models`, for the published tokenizers.
"""

from pathlib import Path
from typing import Any

from sonant.checkpoints.sentencepiece_model import SentencePieceModel, read_sentencepiece_model
from sonant.errors import CorruptedCheckpoint

BLANK = 0
SPACE, DELIMITER = "▁", "|"  # the piece for a space (U+2581), and its name in transformers
ADDRESS = "https://dl.fbaipublicfiles.com/mms/"
PUBLISHED = {  # by number of pieces
    9_812: "omniASR_tokenizer.model",
    9_818: "omniASR_tokenizer_v7.model",
    10_288: "omniASR_tokenizer_written_v2.model",
}


def tokenizer_metadata(source: object, size: int) -> dict[str, Any]:
    """Return metadata of a CTC head: `vocabulary` or `unusable`, and `blank`.

    As in transformers, the blank is named "<pad>" (a piece of that name gets the blank's name), and the space "|",
    unless there is such a piece.

    Args:
        source: the file of weights.
        size: number of the head's tokens.
    """
    known: dict[str, Any] = {"blank": BLANK}
    fitting: dict[str, SentencePieceModel] = {}
    others: list[str] = []
    for path in sorted(source.parent.glob("*.model")) if isinstance(source, Path) else ():
        try:
            pieces = read_sentencepiece_model(path)
        except (CorruptedCheckpoint, OSError) as error:
            others.append(str(error).removesuffix("."))
            continue
        if len(pieces.texts) == size:
            fitting[path.name] = pieces
        else:
            others.append(f"{path.name} has {len(pieces.texts)} pieces")
    if not fitting:
        return known | {"unusable": _missing(size, others)}
    if len(set(fitting.values())) > 1:
        return known | {
            "unusable": f"several sentencepiece models beside the file have {size} pieces, which differ: "
            f"{', '.join(fitting)}. Leave the one that the model was trained with"
        }
    name, pieces = next(iter(fitting.items()))
    reason = unusable(pieces)
    if reason:
        return known | {"unusable": f"{name} {reason}"}
    vocabulary = _named(pieces)
    return known | {"vocabulary": vocabulary, "tokenizer": _settings(pieces, vocabulary)}


def _missing(size: int, others: list[str]) -> str:
    name = PUBLISHED.get(size)
    wanted = (
        f"download {ADDRESS}{name}, the tokenizer of the published models of {size} tokens, into the folder of the file"
        if name
        else f"put the sentencepiece model that it was trained with, of {size} pieces, into the folder of the file, "
        'under a name that ends in ".model"'
    )
    return f"the file does not hold them: {wanted}" + (f" (there now: {'; '.join(others)})" if others else "")


def unusable(pieces: SentencePieceModel) -> str | None:
    """Return the reason why pieces cannot be joined to text; None if they can."""
    if "byte" in pieces.kinds:
        return "has pieces that are single bytes; sonant joins pieces that are text"
    if pieces.mark_behind:
        return "marks the ends of words (treat_whitespace_as_suffix); sonant reads marks of their beginnings"
    if pieces.rewrites:
        return "rewrites text after joining it (denormalizer_spec); sonant takes pieces as they are"
    if pieces.kinds[BLANK] not in ("control", "unknown"):
        return (
            f"gives number {BLANK}, which is taken for the blank of CTC, to the piece {pieces.texts[BLANK]!r}; "
            "expected one that is never written, such as '<s>'"
        )
    if len(set(pieces.texts)) < len(pieces.texts):
        return "has the same piece twice: it is damaged"
    return None


def _named(pieces: SentencePieceModel) -> list[str]:
    blank, pad = pieces.texts[BLANK], "<pad>"
    renamed = {blank: pad, pad: blank} | ({} if DELIMITER in pieces.texts else {SPACE: DELIMITER})
    return [renamed.get(text, text) for text in pieces.texts]


def _settings(pieces: SentencePieceModel, vocabulary: list[str]) -> dict[str, Any]:
    """Return the settings of the equivalent tokenizer_config.json of transformers."""
    special = [name for name, kind in zip(vocabulary, pieces.kinds, strict=True) if kind in ("control", "unknown")]
    usual = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": vocabulary[BLANK]}
    others = [name for name in special if name not in usual.values()]
    return {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        **usual,
        "word_delimiter_token": SPACE if SPACE in vocabulary else DELIMITER,
        **({"additional_special_tokens": others} if others else {}),
    }
