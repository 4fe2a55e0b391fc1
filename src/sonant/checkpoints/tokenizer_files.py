"""Files of the tokenizer of a CTC model of transformers: vocab.json, tokenizer_config.json and others.

They are read into a vocabulary, and kept unchanged for saving.

Source: transformers 5 `PreTrainedTokenizerBase._from_pretrained`, for the precedence of files.
"""

import warnings
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sonant.checkpoints.checkpoint import Head
from sonant.checkpoints.files import read_json, write_json
from sonant.errors import ModelWarning, some_of

VOCABULARY, SETTINGS, PIECES = "vocab.json", "tokenizer_config.json", "tokenizer.json"
ADDED, SPECIAL = "added_tokens.json", "special_tokens_map.json"
TOKENIZER_FILES = (VOCABULARY, SETTINGS, ADDED, SPECIAL, PIECES)
OTHERS = ("tokenizer.model", "sentencepiece.bpe.model", "spm.model", "spiece.model", "vocab.txt")  # not read
SUBWORDS, LEXICON = "tokenizer.model", "lexicon.txt"  # by which texts are spelled; not read into the vocabulary
PAD = "pad_token"  # the token that CTC tokenizers use as blank
USUAL_PAD = "<pad>"
TARGET, USUAL = "target_lang", "eng"  # the setting for a head's language, and its default
# Whose vocab.json is read; ByT5Tokenizer needs none, and has one in folders that sonant writes.
CLASSES = ("Wav2Vec2CTCTokenizer", "Wav2Vec2Tokenizer", "Wav2Vec2PhonemeCTCTokenizer", "ByT5Tokenizer")


class _Unusable(Exception):
    """An error for files that do not determine the tokens; the message gives the reason."""


def read_tokenizer(
    folder: Path, size: int, config: Mapping[str, Any], *, language: str | None = None
) -> dict[str, Any]:
    """Return metadata of a CTC head from the tokenizer files in a folder.

    Args:
        size: number of the head's tokens.
        config: config.json.
        language: selects one of several vocabularies in vocab.json; None: that of the files.

    Returns:
        `vocabulary` (tokens by number), `blank`, `tokenizer` (settings), `tokenizer_files` (unchanged but for the
        language), `spelling_files` (contents in base64) and, with vocabularies by language, `language`; or `unusable`,
        the reason for a missing vocabulary; empty without files.
    """
    files = {name: read_json(folder / name) for name in TOKENIZER_FILES if (folder / name).is_file()}
    if language is not None:
        files[SETTINGS] = files.get(SETTINGS, {}) | {TARGET: language}
    if VOCABULARY not in files and PIECES not in files:
        other = next((name for name in OTHERS if (folder / name).is_file()), None)
        return {"unusable": f"they are in {other}, which toolkits number differently"} if other else {}
    kept: dict[str, Any] = {"tokenizer_files": files}
    if spelling := {
        name: b64encode((folder / name).read_bytes()).decode()
        for name in (SUBWORDS, LEXICON)
        if (folder / name).is_file()
    }:
        kept["spelling_files"] = spelling
    settings = _settings(files, config)
    try:
        names = _names(files, settings)
        vocabulary = [names.get(number, "") for number in range(size)]
        if _languages(files.get(VOCABULARY, {})):
            kept["language"] = _chosen(files[VOCABULARY], settings)
        blank = _blank(vocabulary, names, settings, config.get("pad_token_id"))
    except _Unusable as error:
        return kept | {"unusable": str(error)}
    if VOCABULARY in files and settings.get("tokenizer_class", CLASSES[0]) not in CLASSES:
        warnings.warn(
            f"{folder} has a tokenizer of the class {settings['tokenizer_class']!r}. How it joins tokens is not known "
            f"here: they are joined as {CLASSES[0]} does. If transcripts look odd, decode with transformers.",
            ModelWarning,
            stacklevel=2,
        )
    lost = [name for number, name in names.items() if number >= size and not _is_special(name, settings)]
    if lost:
        warnings.warn(
            f"{folder} names {len(lost)} tokens that its CTC head, of {size}, does not have (among them {lost[0]!r}): "
            f"they can never be written. Probably {VOCABULARY} belongs to another model.",
            ModelWarning,
            stacklevel=2,
        )
    return kept | {"vocabulary": vocabulary, "blank": blank, "tokenizer": settings}


def _settings(files: Mapping[str, dict[str, Any]], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return tokenizer_config.json, updated by special_tokens_map.json unless the former lists added tokens."""
    settings = dict(files.get(SETTINGS, {}))
    if not isinstance(settings.get("tokenizer_class"), str) and isinstance(config.get("tokenizer_class"), str):
        settings["tokenizer_class"] = config["tokenizer_class"]
    if "added_tokens_decoder" not in settings:
        settings |= files.get(SPECIAL, {})
    return settings


def _names(files: Mapping[str, dict[str, Any]], settings: Mapping[str, Any]) -> dict[int, str]:
    """Return tokens by number; added tokens replace those of the vocabulary."""
    table = _of_language(files[VOCABULARY], settings) if VOCABULARY in files else _pieces(files[PIECES])
    return _added(files) | {number: token for token, number in table.items()}


def _of_language(table: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers in vocab.json, or those of one language if it has several (MMS)."""
    if not _languages(table):
        return _numbers(table, VOCABULARY)
    wanted = _chosen(table, settings)
    return _numbers(table[wanted], f"{VOCABULARY} ({wanted})")


def _languages(table: Mapping[str, Any]) -> list[str]:
    """Return the languages in vocab.json; empty if it is a single vocabulary."""
    return [name for name, entry in table.items() if isinstance(entry, dict)]


def _chosen(table: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return the language of the head; by default the only one, or English as in transformers."""
    languages = _languages(table)
    usual = languages[0] if len(languages) == len(table) == 1 else USUAL if USUAL in languages else None
    wanted = settings.get(TARGET) or usual
    if wanted not in languages:
        raise _Unusable(
            f"its {VOCABULARY} holds vocabularies of {len(languages)} languages ({some_of(languages, 8)}), and "
            + ("nothing says which of them the head writes" if wanted is None else f"{TARGET}={wanted!r} is not one")
            + f'. Choose a language when the model is loaded, or put "{TARGET}" into {SETTINGS}'
        )
    return str(wanted)


def _numbers(table: Mapping[str, Any], where: str) -> dict[str, int]:
    wrong = next(((token, number) for token, number in table.items() if type(number) is not int or number < 0), None)
    if wrong is not None:
        raise _Unusable(f"its {where} gives the token {wrong[0]!r} the number {wrong[1]!r}; expected 0 or more")
    if not table:
        raise _Unusable(f"its {where} holds no tokens")
    return dict(table)


def _pieces(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Return the pieces of a tokenizer.json of sentencepiece (Metaspace), with their numbers."""
    model, decoder = tokenizer.get("model"), tokenizer.get("decoder")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    kinds = set(_decoders(decoder))
    if "Metaspace" not in kinds or kinds & {"ByteLevel", "ByteFallback", "WordPiece"}:
        raise _Unusable(
            f"its tokens are in {PIECES}, with the decoder {', '.join(sorted(kinds)) or None}; only pieces of "
            f"sentencepiece (Metaspace) are read from there. Put a {VOCABULARY}, tokens to numbers, into the folder"
        )
    if isinstance(vocabulary, list):
        named = [entry[0] if isinstance(entry, list) and entry else entry for entry in vocabulary]
        vocabulary = {str(name): number for number, name in enumerate(named)}
    if not isinstance(vocabulary, dict):
        raise _Unusable(f"its {PIECES} has no model.vocab")
    return _numbers(vocabulary, PIECES)


def _decoders(decoder: Any) -> Iterator[str]:
    if not isinstance(decoder, dict):
        return
    if decoder.get("type") != "Sequence":
        yield str(decoder.get("type"))
    for inner in _objects(decoder.get("decoders")):
        yield from _decoders(inner)


def _added(files: Mapping[str, dict[str, Any]]) -> dict[int, str]:
    """Return the added tokens by number."""
    pairs: list[tuple[Any, Any]]
    listed = files.get(SETTINGS, {}).get("added_tokens_decoder")
    if isinstance(listed, dict):
        pairs = [(int(number), _content(entry)) for number, entry in listed.items() if str(number).isdecimal()]
    else:
        pairs = [(number, token) for token, number in files.get(ADDED, {}).items()]
        pairs += [(entry.get("id"), _content(entry)) for entry in _objects(files.get(PIECES, {}).get("added_tokens"))]
    return {number: token for number, token in pairs if type(number) is int and isinstance(token, str)}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _blank(vocabulary: list[str], names: Mapping[int, str], settings: Mapping[str, Any], given: Any) -> int:
    """Return the number of the padding token; if the head lacks it, `given` by config.json if plausible."""
    size = len(vocabulary)
    pad = _content(settings.get(PAD, USUAL_PAD))
    if pad and pad in vocabulary:
        found = vocabulary.index(pad)
        if type(given) is int and given != found:
            warnings.warn(
                f"config.json says pad_token_id={given}, but the tokenizer's {PAD} {pad!r} has the number {found}. The "
                f"latter is taken for the blank, as transformers does; if transcripts are wrong, correct {SETTINGS}.",
                ModelWarning,
                stacklevel=3,
            )
        return found
    number = 0 if given is None else given
    is_token = type(number) is int and 0 <= number < size
    if is_token and _may_be_blank(vocabulary[number], settings, is_configured=given is not None):
        return int(number)
    beyond = next((at for at, name in names.items() if pad and name == pad), None)
    raise _Unusable(
        f"nothing says which of its {size} tokens is the blank. The tokenizer's {PAD}, {pad!r}, "
        + ("is not in its vocabulary" if beyond is None else f"has the number {beyond}, beyond the head")
        + f", and pad_token_id={given} in config.json "
        + (f"means {vocabulary[number]!r}" if is_token else "is beyond the head too")
        + f". Name the blank as {PAD} in {SETTINGS}"
    )


def _may_be_blank(name: str, settings: Mapping[str, Any], *, is_configured: bool) -> bool:
    """Return whether a token may be the blank: no letter or space; other characters only if config.json names it."""
    if not name or _is_special(name, settings):
        return True
    delimiter = _content(settings.get("word_delimiter_token", "|"))
    return is_configured and not any(map(str.isalnum, name)) and name.strip() not in ("", delimiter, "▁")


def _is_special(name: str, settings: Mapping[str, Any]) -> bool:
    named = (_content(settings.get(f"{kind}_token")) for kind in ("bos", "eos", "unk", "pad", "mask"))
    return (name[:1], name[-1:]) in {("<", ">"), ("[", "]")} or name in named


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def write_tokenizer(folder: Path, head: Head) -> None:
    """Write a head's original tokenizer files, or new ones for its vocabulary."""
    tokens, kept = head.metadata.get("vocabulary"), head.metadata.get("tokenizer_files")
    spelling: dict[str, str] = {}
    if isinstance(kept, dict) and _agree(kept, tokens):
        files, spelling = kept, head.metadata.get("spelling_files", {})
    else:
        files = _made(head) if tokens else {}
    for name, settings in files.items():
        write_json(folder / name, settings)
    for name, content in spelling.items():
        (folder / name).write_bytes(b64decode(content))


def _agree(files: Mapping[str, dict[str, Any]], tokens: list[str] | None) -> bool:
    """Return whether files still match the tokens, which may have been replaced."""
    if tokens is None:
        return True
    try:
        names = _names(files, files.get(SETTINGS, {}))
    except _Unusable:
        return False
    return [names.get(number, "") for number in range(len(tokens))] == tokens


def _made(head: Head) -> dict[str, dict[str, Any]]:
    tokens = list(head.metadata["vocabulary"])
    blank = head.metadata.get("blank", 0)
    if not tokens[blank] and USUAL_PAD not in tokens:
        tokens[blank] = USUAL_PAD
    settings = head.metadata.get("tokenizer") or {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        PAD: tokens[blank],
        "word_delimiter_token": "|" if "|" in tokens else None,
    }
    return {VOCABULARY: {token: number for number, token in enumerate(tokens) if token}, SETTINGS: settings}
