"""A loaded model with its heads and languages, and its copies that compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from types import MappingProxyType
from typing import Any

from torch import nn

from sonant.api.options import ComputingOptions, Layers
from sonant.checkpoints import Head, save_pretrained
from sonant.checkpoints.language_adapter import LanguageAdapter, exchange_layers
from sonant.checkpoints.languages import Languages, refuse_language
from sonant.errors import UnknownName
from sonant.extraction.engine import Engine
from sonant.extraction.head_store import Heads
from sonant.extraction.pooling import Pool
from sonant.extraction.request import EncodeRequest, resolve_layers
from sonant.extraction.units import Coding
from sonant.inference import OptimizedCopies, Precision
from sonant.models import Backbone
from sonant.models.abilities import Ability
from sonant.models.devices import Device, usable_devices
from sonant.models.families import Task, presets
from sonant.models.identity import fingerprint


class ModelWithHeads:
    """A model, its heads and languages; it is optimized for inference on each device when it is first used there.

    Attributes:
        model: the backbone, an ordinary `torch.nn.Module` over packed waveforms.
        name: the name that it was loaded by.
        precision: of the arithmetic where a call names none; None: that of the weights. It is not saved with the model.
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
        self.precision = precision
        self._revision = revision
        self._copies = OptimizedCopies()
        self._languages = languages
        self._heads = Heads(heads or {})
        self._devices = [next(model.parameters()).device] if device is None else usable_devices(device)

    @property
    def dim(self) -> int:
        """The width of a frame's vector."""
        return self.model.dim

    @property
    def num_layers(self) -> int:
        """The number of Transformer blocks; layers are numbered 0 (the input of the first) to this."""
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
        """The abilities of the model: "embeddings", and those of its heads; for "diarization" see `diarize` too."""
        return self._heads.abilities

    @property
    def heads(self) -> Mapping[str, nn.Module]:
        """The heads that it was loaded with, by kind, in float32 and on the model's device; made when first asked for.

        They may be trained in place: every call and `save_pretrained` use them as they are then.
        """
        here = next(self.model.parameters()).device
        return MappingProxyType({kind: self._heads.made(kind, here) for kind in self._heads.runnable})

    @property
    def language(self) -> str | None:
        """The language of its adapter and CTC head; None if its files have no vocabularies by language."""
        return self._heads.language

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that `set_language` takes; none of a model without adapters by language."""
        return () if self._languages is None else self._languages.known

    def set_language(self, language: str) -> None:
        """Switch to the adapter, head and vocabulary of another language; the rest of the model stays as it is.

        Weights of the earlier language that were trained come back when it is chosen again. Do not call this while
        recordings are encoded in another thread.

        Args:
            language: one of `languages`, such as "fra", or its two letters ("fr") where these mean one of them.

        Raises:
            UnknownName: the model does not have it, or has several that it may mean; the message names those near it.
            ConfigurationError: the model has no adapters by language.
            CheckpointError: the adapter cannot be fetched, or is not one of this model.
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
    def revision(self) -> str:
        """The hub's revision if one was named, else a fingerprint of weights and configuration."""
        return self._revision or fingerprint(self.model)

    def __repr__(self) -> str:
        where = ", ".join(map(str, self._devices))
        how = "" if self.precision is None else f", precision={self.precision}"
        return (
            f"{type(self).__name__}({self.name!r}, dim={self.dim}, num_layers={self.num_layers}, device={where}{how})"
        )

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the model with its heads, that of pretraining too, in Hugging Face layout.

        transformers and `sonant.load` read it.
        """
        save_pretrained(self.model, folder, heads=self._heads.current(), languages=self._languages)

    def request(self, layer: Layers | None, pool: Pool | None, task: Task | None, **how: Any) -> EncodeRequest:
        """Return the request that arguments of `encode` make; `how` takes those that are fields of the request."""
        if task is not None:
            known = presets(self.model.config)
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
        """Return the model as it is run: optimized for inference, a copy for each device.

        Args:
            precision: None: the encoder's own.
            device: None: those that it was loaded for.
            weights: the fingerprint of the model, if the caller has it already; see `OptimizedCopies.get`.
        """
        precision = self.precision if precision is None else precision
        here = next(self.model.parameters()).device  # it may have been moved
        devices = usable_devices(device) if device is not None else self._devices if len(self._devices) > 1 else [here]
        return [self._copies.get(self.model, precision, place, weights=weights) for place in devices]

    def _engine(self, options: ComputingOptions, *, coded: bool = False, weights: str | None = None) -> Engine:
        """Return an engine with the model, or its codes alone, on the devices and in the precision of the options."""
        models = self.optimized(options["precision"], options["device"], weights=weights)
        return Engine([Coding(model) for model in models] if coded else models)
