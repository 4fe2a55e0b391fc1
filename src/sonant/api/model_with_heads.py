"""A loaded model with heads and languages, and its copies optimized for inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import nn

from sonant.analysis import Analysis
from sonant.analysis.card import read_card, write_card
from sonant.api.audio_inputs import AudioInput, AudioInputs
from sonant.api.option_values import INFERENCE, completed, of_request
from sonant.api.options import ComputingOptions, InferenceOptions, Layers
from sonant.api.running import answers_of
from sonant.checkpoints import Head, note_presets, save_pretrained
from sonant.checkpoints.language_adapter import LanguageAdapter, exchange_layers
from sonant.checkpoints.languages import Languages, refuse_language
from sonant.checkpoints.location import shipped
from sonant.checkpoints.training_facts import TrainingFacts
from sonant.decoding.ctc_vocabulary import PHONEME_TOKENIZER
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.engine import Engine
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.pooling import Pool
from sonant.extraction.request import EncodeRequest, resolve_layers
from sonant.extraction.units import Coding
from sonant.inference import OptimizedCopies, Precision
from sonant.models import Backbone
from sonant.models.abilities import Ability
from sonant.models.devices import Device, usable_devices
from sonant.models.families import Preset, Task, presets_of
from sonant.models.identity import fingerprint


class ModelWithHeads:
    """A model with heads and languages; on its first use, a copy for each device is optimized for inference.

    Attributes:
        model: the backbone, a `torch.nn.Module` on packed waveforms.
        name: the name by which it was loaded.
        precision: default precision of the arithmetic; None: that of the weights. Not saved with the model.
    """

    def __init__(
        self,
        model: Backbone,
        *,
        name: str = "unnamed",
        revision: str | None = None,
        device: Device | Sequence[Device] | None = None,
        heads: Mapping[str, Head] | None = None,
        precision: Precision | None = None,
        languages: Languages | None = None,
    ) -> None:
        self.model = model
        self.name = name
        self._place = Path(name).expanduser()  # where it was loaded from, if that is a folder
        self.precision = precision
        self._revision = revision
        self._copies = OptimizedCopies()
        self._languages = languages
        self._heads = Heads(heads or {})
        self._devices = [model.device] if device is None else usable_devices(device)

    @property
    def dim(self) -> int:
        """The width of a frame's vector."""
        return self.model.dim

    @property
    def num_layers(self) -> int:
        """The number of blocks L; layers are numbered from 0 (input of the first block) to L."""
        return self.model.num_layers

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.model.frame_rate

    @property
    def sampling_rate(self) -> int:
        """The sampling rate of the model in hertz; recordings at other rates are resampled."""
        return self.model.sampling_rate

    @property
    def abilities(self) -> tuple[Ability, ...]:
        """Abilities of the model: "embeddings", and those of its heads. `diarize` needs no head."""
        return self._heads.abilities

    @property
    def training(self) -> TrainingFacts | None:
        """Data and measures of a model that `sonant.train` made; None for any other."""
        return TrainingFacts.of(self._heads.stored)

    @property
    def analysis(self) -> Analysis | None:
        """Measurements of the layers, from the folder of the model; None if it has none of the present weights."""
        folder = shipped(self.name) or self._place
        card = read_card(folder) if folder.is_dir() else None
        return card if card is not None and card.models[0].revision == self.revision else None

    @property
    def heads(self) -> Mapping[str, nn.Module]:
        """The heads of the checkpoint by kind, in float32 on the model's device.

        They may be trained in place: every call and `save_pretrained` use their present weights.
        """
        here = self.model.device
        return MappingProxyType({kind: self._heads.made(kind, here) for kind in self._heads.runnable})

    @property
    def phones(self) -> frozenset[str]:
        """The tokens of a model whose transcripts are sequences of phones; empty for one that writes words."""
        head = self._heads.stored.get("ctc")
        notes = {} if head is None else head.metadata
        is_of_phones = (notes.get("tokenizer") or {}).get("tokenizer_class") == PHONEME_TOKENIZER
        return frozenset(notes.get("vocabulary") or ()) if is_of_phones else frozenset()

    @property
    def language(self) -> str | None:
        """The language of adapter and CTC head; None if the model has no vocabularies by language."""
        return self._heads.language

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages for `set_language`; empty without adapters by language."""
        return () if self._languages is None else self._languages.known

    def set_language(self, language: str) -> None:
        """Switch to the adapter, head and vocabulary of another language.

        Trained weights of the previous language are kept for switching back. Not thread-safe: do not call this while
        recordings are encoded.

        Args:
            language: one of `languages`, such as "fra", or an unambiguous two-letter code ("fr").

        Raises:
            UnknownName: no such language, or an ambiguous code; the message lists similar ones.
            ConfigurationError: the model has no adapters by language.
            CheckpointError: the adapter cannot be fetched, or does not belong to this model.
        """
        if self._languages is None:
            refuse_language(language, self.name)
        elif language != self.language and self._languages.name_of(language) != self.language:
            adapter = self._languages.read(language)
            with self._copies.following(self.model):
                before = exchange_layers(self.model, adapter)
            if self.language is not None:
                self._languages.keep(LanguageAdapter(self.language, before, self._heads.current()["ctc"]))
            self._heads.replace("ctc", adapter.head)

    @property
    def heads_fingerprint(self) -> str:
        """A short hash of the present weights and settings of the heads."""
        return self._heads.fingerprint()

    @property
    def revision(self) -> str:
        """The revision given to `load`, else a fingerprint of weights and configuration."""
        return self._revision or fingerprint(self.model)

    def __repr__(self) -> str:
        where = ", ".join(map(str, self._devices))
        how = "" if self.precision is None else f", precision={self.precision}"
        return (
            f"{type(self).__name__}({self.name!r}, dim={self.dim}, num_layers={self.num_layers}, device={where}{how})"
        )

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the model with all heads in Hugging Face layout, for transformers and `sonant.load`.

        A model that `sonant.train` made gets a README.md that says so, unless the folder has one. Measurements of the
        layers (`analysis`) are written too: analysis.json, and a section of README.md.
        """
        measured = self.analysis
        saved = save_pretrained(self.model, folder, heads=self._heads.current(), languages=self._languages)
        readme = saved.path / "README.md"
        if self.training is not None and not readme.exists():
            readme.write_text(self.training.readme(), encoding="utf-8")
        if measured is not None:
            write_card(saved.path, measured)

    @property
    def folder(self) -> Path | None:
        """The folder that the model was loaded from; None if it was a file, or from elsewhere."""
        return self._place if self._place.is_dir() else None

    def write_presets(self, presets: Mapping[Task, Preset]) -> None:
        """Make measured presets those of `task=`, here and in the folder that the model was loaded from.

        Those of other tasks are kept. Raises ConfigurationError if it was loaded from elsewhere.
        """
        if self.folder is None:
            raise ConfigurationError(
                f"{self.name!r} was not loaded from a folder, which the presets would be written into. Save it with "
                "save_pretrained, and load that folder."
            )
        self.model.measured_presets = {**self.model.measured_presets, **presets}
        note_presets(self.folder, self.model.measured_presets)

    def request(self, layer: Layers | None, pool: Pool | None, task: Task | None, **how: Any) -> EncodeRequest:
        """Return the request for arguments of `encode`; `how`: further fields of the request."""
        if task is not None:
            known = presets_of(self.model)
            if task not in known:
                raise UnknownName("task preset", task, known)
            layer = known[task].layer if layer is None else layer
            pool = known[task].pool if pool is None else pool
        layers, stacked = resolve_layers("last" if layer is None else layer, self.num_layers)
        return EncodeRequest(layers=layers, stacked=stacked, pool=pool, **how)

    def optimized(
        self,
        precision: Precision | None = None,
        device: Device | Sequence[Device] | None = None,
        *,
        weights: str | None = None,
    ) -> list[Backbone]:
        """Return the copies optimized for inference, one per device.

        Args:
            precision: None: the encoder's own.
            device: None: those of `load`.
            weights: fingerprint of the model, if the caller has it already; see `OptimizedCopies.get`.
        """
        precision = self.precision if precision is None else precision
        here = self.model.device  # the caller may have moved it
        devices = usable_devices(device) if device is not None else self._devices if len(self._devices) > 1 else [here]
        return [self._copies.get(self.model, precision, place, weights=weights) for place in devices]

    def _engine(self, options: ComputingOptions, *, coded: bool = False, weights: str | None = None) -> Engine:
        """Return an engine for the devices and precision of the options; `coded`: for the model's codes alone."""
        models = self.optimized(options["precision"], options["device"], weights=weights)
        return Engine([Coding(model) for model in models] if coded else models)

    def _by_head(
        self,
        verb: Callable[..., Any],
        pipeline: HeadPipeline[Any],
        audio: AudioInput | AudioInputs,
        options: InferenceOptions,
        text: str | Sequence[str] | None = None,
    ) -> Any:
        """Return the answer of a head for one recording or several; `text`: what is said in each."""
        options = completed(options, INFERENCE, verb)
        return answers_of(
            self._engine(options),
            audio,
            EncodeRequest(layers=pipeline.layers, **of_request(options)),
            options,
            min_samples=pipeline.min_samples,
            twice_at_once=pipeline.reads_source,
            make_sink=pipeline.make_sink,
            text=text,
        )
