"""Adapters by language in a folder of transformers (MMS): `adapter.LANGUAGE.safetensors` or `.bin`.

Each has the adapters of the layers and a CTC head; its tokens are one of the vocabularies in vocab.json.

Source: transformers `Wav2Vec2ForCTC.load_adapter` and `Wav2Vec2CTCTokenizer.set_target_lang`.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sonant.checkpoints.checkpoint import Checkpoint, Head, differing
from sonant.checkpoints.files import read_json
from sonant.checkpoints.folder import ADAPTER
from sonant.checkpoints.hf_config import head_metadata
from sonant.checkpoints.language_adapter import LanguageAdapter, layers_of, read_adapter, write_adapter
from sonant.checkpoints.language_codes import ISO_639_3, meant_by
from sonant.checkpoints.tokenizer_files import SETTINGS, TARGET, TOKENIZER_FILES, VOCABULARY, read_tokenizer
from sonant.errors import CheckpointUnavailable, ConfigurationError, ModelWarning, UnknownName, warn
from sonant.models.waveform_transformer import WaveformTransformerConfig

ENDINGS = ("safetensors", "bin")  # in the order of preference
LISTED = 40  # languages listed in an error

Get = Callable[[str], Path | None]  # name of a file to its path; None: no such file


class Languages:
    """The languages of one model.

    Args:
        folder: with vocab.json and the local adapters.
        config: config.json.
        ours: configuration of the backbone.
        prefix: of the backbone's tensors in transformers' model with a head.
        source: name of the model, for messages.
        get: fetches a file that is not in the folder; None: there are no others.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        ours: WaveformTransformerConfig,
        *,
        prefix: str,
        source: object,
        get: Get | None = None,
    ) -> None:
        self._folder, self._config, self._ours = folder, config, ours
        self._prefix, self._source, self._get = prefix, source, get
        self._kept: dict[str, LanguageAdapter] = {}
        table = read_json(folder / VOCABULARY) if (folder / VOCABULARY).is_file() else {}
        self._written = [name for name, entry in table.items() if isinstance(entry, dict) and Path(name).name == name]

    @property
    def known(self) -> tuple[str, ...]:
        """The languages with a vocabulary; for a local model, those that also have an adapter."""
        if self._get is not None:
            return tuple(self._written)
        return tuple(name for name in self._written if name in self._kept or self._file_here(name) is not None)

    def read(self, language: str) -> LanguageAdapter:
        """Return the adapter of a language (see `name_of`), as given to `keep` or from its file.

        Raises:
            UnknownName: no such language, or an ambiguous two-letter code.
            CheckpointUnavailable: there is no file, or the hub cannot be reached.
            CheckpointMismatch: the tensors are not those of adapters of this model and a head.
        """
        language = self.name_of(language)
        if language in self._kept:
            return self._kept[language]
        path = self._file_here(language) or self._fetched(language)
        layers, head = read_adapter(path, self._ours, prefix=self._prefix)
        metadata = head_metadata("ctc", self._config)
        metadata |= read_tokenizer(self._folder, len(head["weight"]), self._config, language=language)
        return LanguageAdapter(language, layers, Head(head, metadata))

    def name_of(self, language: str) -> str:
        """Return the known name of a language or two-letter code (ISO 639-1); raise UnknownName."""
        names = meant_by(language, self.known)
        if len(names) != 1:
            raise self._unknown(language, meant=names)
        return names[0]

    def named(self, language: str) -> str:
        """Return the known name of a language, as `name_of`, or the name of a new one.

        Raises:
            ConfigurationError: the name cannot be part of that of a file.
            UnknownName: a two-letter code of several languages or of none.
        """
        if language in ISO_639_3 or meant_by(language, self.known):
            return self.name_of(language)
        if Path(language).name != language:
            raise ConfigurationError(f"The language {language!r} was given; expected a name such as 'fra'.")
        return language

    def keep(self, adapter: LanguageAdapter) -> None:
        """Make `read` return this adapter in future, if it differs from its file: it may have been trained."""
        if self._file_here(adapter.language) is None or self._differs(adapter):
            self._kept[adapter.language] = adapter

    def confirm(self, adapter: LanguageAdapter) -> None:
        """Warn if the weights of a model seem to be of another language than its tokenizer, that of `adapter`."""
        file = self._file_here(adapter.language)
        if file is None and not fits(adapter.head):
            warn(
                f"The tokenizer of {self._source} is for {adapter.language!r} and does not name all "
                f"{len(adapter.head.tensors['weight'])} tokens of the head in its weights. Probably these are of "
                "another language. If transcripts are wrong, load it with the language that is wanted.",
                ModelWarning,
            )
        if file is not None and self._differs(adapter):
            warn(
                f"The tokenizer of {self._source} is for {adapter.language!r}, but the adapter and head in its weights "
                f"are not those of {file}. Those in the weights are used, as transformers "
                f"does. If transcripts are wrong, load it with language={adapter.language!r}, which takes the file.",
                ModelWarning,
            )

    def metadata(self, language: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return a head's metadata in which its vocabulary is one of those in vocab.json, by language."""
        files = {name: read_json(self._folder / name) for name in TOKENIZER_FILES if (self._folder / name).is_file()}
        tokens = {token: number for number, token in enumerate(metadata["vocabulary"]) if token}
        files[VOCABULARY] = files.get(VOCABULARY, {}) | {language: tokens}
        files[SETTINGS] = files.get(SETTINGS, {}) | {TARGET: language}
        return {**metadata, "language": language, "tokenizer": files[SETTINGS], "tokenizer_files": files}

    def write(self, folder: Path, current: LanguageAdapter | None) -> None:
        """Write the local adapters into another folder, `current` and kept ones with their present weights.

        A ModelWarning names the number of languages if some were never fetched.
        """
        for path in self._folder.iterdir():
            if ADAPTER.fullmatch(path.name):
                _copy(path, folder / path.name)
        for adapter in (*self._kept.values(), *([] if current is None else [current])):
            self._write_one(folder, adapter)
        here = {found["language"] for path in folder.iterdir() if (found := ADAPTER.fullmatch(path.name))}
        left = [name for name in self._written if name not in here]
        if left and self._get is not None:
            warn(
                f"{self._source} has adapters of {len(self._written)} languages on the hub. What is saved has those "
                f"that were fetched: {', '.join(sorted(here)) or 'none'}. To save more, choose each language once "
                "before.",
                ModelWarning,
            )

    def _write_one(self, folder: Path, adapter: LanguageAdapter) -> None:
        for ending in ENDINGS:
            (folder / _file_name(adapter.language, ending)).unlink(missing_ok=True)
        write_adapter(folder / _file_name(adapter.language, ENDINGS[0]), adapter, prefix=self._prefix)

    def _differs(self, adapter: LanguageAdapter) -> bool:
        """Return whether an adapter differs from its local file, compared in the model's type."""
        self._kept.pop(adapter.language, None)
        filed = self.read(adapter.language)
        ours, others = adapter.tensors, filed.tensors
        if ours.keys() != others.keys():
            return True
        return bool(differing(ours, {name: tensor.to(ours[name].dtype) for name, tensor in others.items()}))

    def _file_here(self, language: str) -> Path | None:
        paths = (self._folder / _file_name(language, ending) for ending in ENDINGS)
        return next((path for path in paths if path.is_file()), None)

    def _fetched(self, language: str) -> Path:
        for ending in ENDINGS if self._get is not None else ():
            path = self._get(_file_name(language, ending)) if self._get is not None else None
            if path is not None:
                return path
        raise CheckpointUnavailable(
            f"{self._source} has a vocabulary of {language!r}, but no adapter for it: there is no "
            f"{' and no '.join(_file_name(language, ending) for ending in ENDINGS)}. Choose another language."
        )

    def _unknown(self, language: object, *, meant: Sequence[str]) -> UnknownName:
        known = self.known
        listed = ""
        if not known:
            listed = f"No vocabulary of {VOCABULARY} has its adapter.LANGUAGE.safetensors beside it."
        elif len(known) > LISTED:
            listed = (
                f"It has {len(known)} languages, which `encoder.languages` lists, among them {', '.join(known[:8])}. "
                "The names are those of its vocab.json; MMS goes by ISO 639-3."
            )
        hint = f"It may mean {' or '.join(meant)}: name one." if meant else ""
        return UnknownName(f"language of {self._source}", language, known, hint=hint, listed=listed)


def _file_name(language: str, ending: str) -> str:
    return f"adapter.{language}.{ending}"


def _copy(path: Path, destination: Path) -> None:
    """Copy a file of tensors; as a hard link, if it is in the folder that will be replaced."""
    if path.parent.resolve() in destination.resolve().parents:
        os.link(path, destination)
    else:
        shutil.copyfile(path, destination)


def in_language(checkpoint: Checkpoint, languages: Languages, language: str | None) -> Checkpoint:
    """Return a checkpoint with the adapter of a language; None: that in its weights. Errors as in `Languages`."""
    checkpoint = replace(checkpoint, languages=languages)
    own = adapter_of(checkpoint)
    if own is not None and language is None:
        languages.confirm(own)
    if own is not None and own.language not in languages.known and fits(own.head):
        languages.keep(own.cloned())
    if language is None:
        return checkpoint
    adapter, state = languages.read(language), dict(checkpoint.backbone_state)
    state |= {name: tensor.to(state[name].dtype) for name, tensor in adapter.layers.items()}
    return replace(checkpoint, backbone_state=state, heads=checkpoint.heads | {"ctc": adapter.head})


def starting_in(checkpoint: Checkpoint, language: str, source: object, *, seed: int) -> Checkpoint:
    """Return a checkpoint with the adapter of a language, or with a new one, and without a CTC head, if it has none.

    A new adapter has weights from a normal distribution of standard deviation 0.02, as in transformers.

    Raises:
        ConfigurationError: the model has no adapters by language, or the name is none.
        UnknownName: a two-letter code of several languages or of none.
    """
    languages = checkpoint.languages
    if languages is None:
        raise ConfigurationError(
            f"adapter={language} was given, but {source} has no adapters by language, as models of MMS have. Leave it "
            "out, or start from such a model, as facebook/mms-1b-all is."
        )
    language = languages.named(language)
    if language in languages.known:
        return in_language(checkpoint, languages, language)
    draw, state = torch.Generator().manual_seed(seed), dict(checkpoint.backbone_state)
    for name, tensor in layers_of(state).items():
        fresh = torch.ones_like(tensor) if name.endswith("norm.weight") else torch.zeros_like(tensor)
        state[name] = fresh.normal_(0.0, 0.02, generator=draw) if tensor.ndim > 1 else fresh
    heads = {kind: head for kind, head in checkpoint.heads.items() if kind != "ctc"}
    return replace(checkpoint, backbone_state=state, heads=heads)


def adapter_of(checkpoint: Checkpoint) -> LanguageAdapter | None:
    """Return the adapter in a checkpoint's tensors; None if its language is unknown."""
    head = checkpoint.heads.get("ctc")
    if head is None or "language" not in head.metadata:
        return None
    return LanguageAdapter(head.metadata["language"], layers_of(checkpoint.backbone_state), head)


def fits(head: Head) -> bool:
    """Return whether a CTC head has as many tokens as its vocabulary; if not, they are of different languages."""
    return "" not in head.metadata["vocabulary"]


def refuse_language(language: str | None, source: object) -> None:
    """Raise ConfigurationError if a language was given for a model without adapters by language."""
    if language is not None:
        raise ConfigurationError(
            f"language={language!r} was given, but {source} has no adapters by language, as models of MMS have. Leave "
            "`language` out: what such a model writes was settled when it was trained."
        )
