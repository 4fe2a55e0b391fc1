"""A loaded model: recordings in, vectors, units, transcripts and speakers out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from types import MappingProxyType
from typing import Any, BinaryIO, Literal, Unpack

from torch import Tensor, nn

from sonant.api.recordings import Recordings
from sonant.api.running import Running, check_on_error, results_of
from sonant.api.similarity import VERIFICATION_THRESHOLD, compare_voices, cosines, vectors_of
from sonant.api.unit_request import unit_request
from sonant.audio import Channel
from sonant.checkpoints import Head, save_pretrained
from sonant.checkpoints.language_adapter import LanguageAdapter, exchange_layers
from sonant.checkpoints.languages import Languages, refuse_language
from sonant.decoding.results import SpeakerTurn
from sonant.decoding.speaker_clustering import check_cosine
from sonant.decoding.speaker_turns import on_channel
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.bulk import run_job
from sonant.extraction.channels import of_channel
from sonant.extraction.classification import classification
from sonant.extraction.destination import UNITS, VECTORS, UnitFormat
from sonant.extraction.engine import Engine, OnError
from sonant.extraction.formats import Format
from sonant.extraction.heads import Heads, HeadTask, diarization, transcription, voice
from sonant.extraction.inputs import gather, origin
from sonant.extraction.pooling import Pool
from sonant.extraction.request import (
    WINDOW_SECONDS,
    Layer,
    Request,
    resolve_layers,
)
from sonant.extraction.sources import is_many
from sonant.extraction.summary import Estimate, Summary
from sonant.extraction.units import Coding, UnitSink, unit_writer
from sonant.extraction.units import deduplicate as without_repetitions
from sonant.extraction.vectors import Identity, StoredType, VectorWriter
from sonant.inference import OptimizedCopies, Precision
from sonant.models import Backbone
from sonant.models.abilities import HEADS_FOR, Ability
from sonant.models.devices import Device, usable_devices
from sonant.models.families import Task, presets
from sonant.models.identity import fingerprint
from sonant.pretraining.kmeans import KMeans

Layers = Layer | Literal["all"] | Sequence[Layer]


class SpeechEncoder:
    """A loaded model and the methods that use it.

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
            language: one of `languages`, such as "fra".

        Raises:
            UnknownName: the model does not have it; the message names those near it.
            ConfigurationError: the model has no adapters by language.
            CheckpointError: the adapter cannot be fetched, or is not one of this model.
        """
        if self._languages is None:
            refuse_language(language, self.name)
        elif language != self.language:
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
        return f"SpeechEncoder({self.name!r}, dim={self.dim}, num_layers={self.num_layers}, device={where}{how})"

    def encode(
        self,
        audio: Any,
        *,
        layer: Layers | None = None,
        pool: Pool | None = None,
        task: Task | None = None,
        sampling_rate: int | None = None,
        channel: Channel | None = None,
        normalize: bool = False,
        batch_seconds: float | None = None,
        window_seconds: float | None = WINDOW_SECONDS,
        overlap_seconds: float | None = None,
        precision: Precision | None = None,
        to: Literal["numpy", "torch"] = "numpy",
        on_error: OnError = "raise",
        progress: bool | None = False,
        device: Device | Sequence[Device] | None = None,
    ) -> Any:
        """Encode one recording, or a list of them into a list in the same order.

        Args:
            audio: path, bytes, file object, array, tensor, `(array, rate)` or `{"array", "sampling_rate"}`; or several
                of these.
            layer: a hidden state by number (0: input of the first block, i: raw output of block i), "last" (the model's
                output, after its final norm where it has one; the default), several in a list, or "all" (0 to L).
            pool: "mean", "max" or "mean+std" make one vector of a recording; None keeps its frames, or does what `task`
                says.
            task: "speaker", "content", "emotion" or "semantic": layer and pooling that serve it, unless given here.
            sampling_rate: of bare arrays; None: they are at the model's.
            channel: None or "mix" takes the mean of a recording's channels, a number one of them, counted from 0; "all"
                gives a list with the result of each channel in place of the result. An array (several, samples) may
                be a batch, and is refused without it.
            normalize: scale each vector (or frame) to length one.
            batch_seconds: audio that shares one forward pass; None: what suits the device. Halved when memory runs out.
            window_seconds: longer recordings are cut into windows and stitched; None never cuts.
            overlap_seconds: what neighboring windows share; every frame has at least half of it as context. None: 8 s,
                or a quarter of windows shorter than 32 s.
            precision: None: that which `load` was given, else that of the weights. "float32"; "bfloat16", or "int8" (on
                a CPU), for more speed where states may differ a little (see docs/performance.md); "float16" (on a GPU).
            to: "numpy" or "torch" (float32 on the CPU).
            on_error: "skip" gives None for a recording that cannot be used, and warns; "raise" raises.
            progress: a bar on stderr; None: if that is a terminal.
            device: where to compute this time; several share the work.

        Returns:
            float32 (frames, dim); with several layers (layers, frames, dim); pooled (dim,) or (layers, dim), twice as
            wide for "mean+std".
        """
        if to not in ("numpy", "torch"):
            raise UnknownName("array type to return", to, ["numpy", "torch"])
        check_on_error(on_error)
        request = self.request(
            layer,
            pool,
            task,
            normalize=normalize,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        )
        recordings = Recordings(audio, self.model, sampling_rate, channel=channel)
        engine = self._engine(device, precision)
        values = results_of(engine, recordings, request, on_error=on_error, progress=progress)
        return recordings.as_given([None if value is None else _as_asked(value, request, to) for value in values])

    def units(
        self,
        audio: Any,
        *,
        kmeans: str | PathLike[str] | KMeans | None = None,
        layer: Layer | None = None,
        deduplicate: bool = False,
        sampling_rate: int | None = None,
        channel: Channel | None = None,
        batch_seconds: float | None = None,
        window_seconds: float | None = WINDOW_SECONDS,
        overlap_seconds: float | None = None,
        precision: Precision | None = None,
        on_error: OnError = "raise",
        progress: bool | None = False,
        device: Device | Sequence[Device] | None = None,
    ) -> Any:
        """Return the discrete units of one recording, or of a list of them in the same order: a number for each frame.

        A vq-wav2vec (and a BERT on top of one) gives its own codes, one for each of its groups. Of any other model the
        units are the clusters that `kmeans` makes of a hidden state.

        Args:
            kmeans: cluster centers, or a file of them as pretraining saves it (`targets/kmeans.safetensors`); not for a
                model with codes of its own.
            layer: the state that the centers were made of: a number, or "last". Needed with `kmeans`.
            deduplicate: take out repetitions, and say how long each unit lasted.
            audio, sampling_rate, batch_seconds, window_seconds, overlap_seconds, precision, on_error, progress, device:
                as in `encode`, like `channel`. A frame of a long recording has the unit of the window in whose middle
                it lies.

        Returns:
            int64 (frames,), or (frames, num_codebooks) for codes; with `deduplicate` `Units(values, durations)`.
        """
        check_on_error(on_error)
        request, label, coded = unit_request(
            self.model,
            self.name,
            kmeans,
            layer,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        )
        recordings = Recordings(audio, self.model, sampling_rate, channel=channel)
        engine = self._engine(device, precision, coded=coded)
        values = results_of(
            engine,
            recordings,
            request,
            on_error=on_error,
            progress=progress,
            make_sink=lambda _: UnitSink(label),
        )
        return recordings.as_given(
            [without_repetitions(value) if deduplicate and value is not None else value for value in values]
        )

    def similarity(self, a: Any, b: Any, *, task: Task = "speaker", **how: Any) -> Any:
        """Return the cosine similarity of recordings, or of vectors that `encode` has made.

        Args:
            a, b: one recording or several (paths, bytes, file objects, `{"array", ...}`), or vectors (dim,) or
                (vectors, dim) as arrays or tensors.
            task: the preset by which recordings are encoded.
            **how: further arguments of `encode`; no channel="all".

        Returns:
            A float for one and one; else an array, a row for each of `a` and a column for each of `b`, without the axis
            of what was one.
        """
        _check_one_channel(how.get("channel"))
        left, right = (vectors_of(side, self.dim, lambda item: self.encode(item, task=task, **how)) for side in (a, b))
        return cosines(left, right)

    def transcribe(self, audio: Any, **how: Unpack[Running]) -> Any:
        """Transcribe one recording, or each of a list of them in the same order.

        Args:
            audio: as in `encode`.
            **how: sampling_rate, channel, batch_seconds, window_seconds, overlap_seconds, precision, on_error, progress
                and device, as in `encode`; and on_failure, called with the number of a recording that is skipped and
                the error, in place of a warning. A frame of a long recording is read in the window in whose middle it
                lies.

        Returns:
            `Transcript`, with times and a confidence for each word; with channel="all" a list of one for each channel.

        Raises:
            ConfigurationError: the model has no CTC head; see `abilities`.
            CheckpointError: nothing says what the tokens of the head are.
        """
        return self._run_head(self.head_task("transcription"), audio, **how)

    def speaker_vectors(self, audio: Any, **how: Unpack[Running]) -> Any:
        """Return the vector of the speaker in one recording, or in each of a list, by the model's x-vector head.

        Args:
            audio, how: as in `transcribe`.

        Returns:
            float32 (dim,), the width of the head; vectors of one voice have a high cosine.
        """
        return self._run_head(self.head_task("verification"), audio, **how)

    def verify(self, a: Any, b: Any, *, threshold: float | None = None, **how: Unpack[Running]) -> Any:
        """Return whether one voice speaks in two recordings, by the model's x-vector head.

        Args:
            a, b: a recording each, or lists of the same length, compared in pairs.
            threshold: the cosine from which on voices count as one; None: 0.86, which the authors of
                wavlm-base-plus-sv name. Where the price of an error is known, choose it on recordings like yours.
            **how: as in `transcribe`, without channel="all"; a recording that cannot be used raises.

        Returns:
            `Verification`, or a list of them.
        """
        _check_one_channel(how.get("channel"))
        how["on_error"] = "raise"
        limit = VERIFICATION_THRESHOLD if threshold is None else threshold
        check_cosine(limit)
        left, right = (list(side) if is_many(side) else [side] for side in (a, b))
        if len(left) != len(right) or is_many(a) != is_many(b):
            raise ConfigurationError(
                f"{len(left)} and {len(right)} recordings were given; they are compared in pairs: give two recordings, "
                "or two lists of the same length."
            )
        vectors = self.speaker_vectors([*left, *right], **how)
        pairs = zip(vectors[: len(left)], vectors[len(left) :], strict=True)
        answers = [compare_voices(one, other, threshold=limit) for one, other in pairs]
        return answers if is_many(a) else answers[0]

    def diarize(
        self, audio: Any, *, num_speakers: int | None = None, threshold: float | None = None, **how: Unpack[Running]
    ) -> Any:
        """Return who speaks when in one recording, or in each of a list of them in the same order.

        A model with a head for frames (wavlm-base-plus-sd) finds its speakers, two for the published ones, even where
        they talk at once. Any other model's vectors of two seconds are clustered, those of its x-vector head if it has
        one; then one voice at a time is found.

        Args:
            audio, how: as in `transcribe`.
            num_speakers: None finds out, where there is a head for frames.
            threshold: to find out by clustering x-vectors: the cosine below which two groups of them are two speakers.

        Returns:
            A list of `SpeakerTurn` in the order in which they begin; with channel="all" a list of one for each channel,
            its speakers called "channel_0_speaker_0" ...

        Raises:
            ConfigurationError: the vectors are to be clustered, and nothing says when to stop.
        """
        task = self.head_task("diarization", num_speakers=num_speakers, threshold=threshold)
        answer = self._run_head(task, audio, **how)
        if how.get("channel") != "all":
            return answer
        return [_named_by_channel(channels) for channels in answer] if is_many(audio) else _named_by_channel(answer)

    def classify(self, audio: Any, **how: Unpack[Running]) -> Any:
        """Classify one whole recording, or each in a list, by the model's head: a number for each label.

        A recording in windows is pooled over all of its frames, as one piece is.

        Args:
            audio, how: as in `transcribe`.

        Returns:
            A dict of floats by label, in the order of the head's outputs: probabilities of a classifier; of a
            regression the numbers as they are ("arousal", "dominance", "valence"); of a head for age and gender
            "age_years" and a probability for each gender. With channel="all" a list of one for each channel.

        Raises:
            ConfigurationError: the model has no such head; see `abilities`.
            CheckpointError: the labels in its config.json do not fit the head.
        """
        return self._run_head(self.head_task("classification"), audio, **how)

    def head_task(
        self, ability: Ability, *, num_speakers: int | None = None, threshold: float | None = None
    ) -> HeadTask:
        """Return the states and the sink that an ability of a head needs, for callers that do their own batching.

        Raises:
            ConfigurationError: it has no head for that.
        """
        match ability:
            case "transcription":
                return transcription(self.model, self._heads, name=self.name)
            case "verification":
                return voice(self.model, self._heads, name=self.name)
            case "diarization":
                return diarization(
                    self.model, self._heads, name=self.name, num_speakers=num_speakers, threshold=threshold
                )
            case "classification":
                return classification(self.model, self._heads, name=self.name)
        raise UnknownName("ability of a head", ability, HEADS_FOR)

    def embed(
        self,
        source: str | PathLike[str],
        output: str | PathLike[str],
        *,
        layer: Layers | None = None,
        pool: Pool | None = None,
        task: Task | None = None,
        format: Format | None = None,  # noqa: A002 - the name that the command line has too
        dtype: StoredType = "float32",
        channel: Channel | None = None,
        normalize: bool = False,
        batch_seconds: float | None = None,
        window_seconds: float | None = WINDOW_SECONDS,
        overlap_seconds: float | None = None,
        precision: Precision | None = None,
        on_error: OnError = "skip",
        progress: bool | None = None,
        device: Device | Sequence[Device] | None = None,
        stdin: BinaryIO | None = None,
        on_start: Callable[[Estimate], None] | None = None,
    ) -> Summary:
        """Encode a recording, a folder, a manifest or standard input into files; resume where it was interrupted.

        Args:
            source: a recording, a folder (searched through), a manifest, or "-" for bytes on standard input.
            output: a folder (see `sonant.extraction.bulk`); or, for one recording, a file whose ending
                names a format.
            format: "npy", "npz", "safetensors", "parquet" or "jsonl"; None: by the ending of `output`, else npy.
            dtype: of the numbers on disk.
            channel: as in `encode`; "all" gives each channel of a recording a file (or row) and a line in the index.
            stdin: what "-" reads; None: the program's own.
            on_start: called before a folder is filled, with how much there is to do.
            layer: as in `encode`, like all that is not listed here.

        Raises:
            AudioError: nothing to encode; or, with on_error="raise" or a single file, a recording that cannot be used.
            ConfigurationError: the output holds the results of other settings, or the disk is too small.
        """
        check_on_error(on_error)
        place = VECTORS.place(output, format, source)
        request = self.request(
            layer,
            pool,
            task,
            normalize=normalize,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        )
        weights = fingerprint(self.model)
        identity = Identity(
            model=self.name,
            revision=self._revision or weights,
            weights=weights,
            dim=self.dim,
            frame_rate=self.frame_rate,
            precision=self.precision if precision is None else precision,
        )
        writer = VectorWriter(identity, request, kind=place.kind, dtype=dtype, channel=channel)
        entries = of_channel(gather(source, stdin=stdin or sys.stdin.buffer, leave_out=place.path), channel)
        engine = self._engine(device, precision, weights=weights)
        return run_job(
            engine,
            entries,
            place,
            writer,
            source=origin(source),
            on_error=on_error if place.is_folder else "raise",
            show_progress=progress,
            on_start=on_start,
        )

    def write_units(
        self,
        source: str | PathLike[str],
        output: str | PathLike[str] | None,
        *,
        kmeans: str | PathLike[str] | KMeans | None = None,
        layer: Layer | None = None,
        deduplicate: bool = False,
        format: UnitFormat | None = None,  # noqa: A002 - the name that the command line has too
        channel: Channel | None = None,
        batch_seconds: float | None = None,
        window_seconds: float | None = WINDOW_SECONDS,
        overlap_seconds: float | None = None,
        precision: Precision | None = None,
        on_error: OnError = "skip",
        progress: bool | None = None,
        device: Device | Sequence[Device] | None = None,
        stdin: BinaryIO | None = None,
        on_start: Callable[[Estimate], None] | None = None,
        on_failure: Callable[[str, Exception], None] | None = None,
    ) -> Summary:
        """Write the units of a recording, a folder, a manifest or standard input, as lines or arrays.

        A run that was interrupted is resumed when it is started again, unless it writes to standard output.

        Args:
            source, stdin, on_start: as in `embed`.
            output: a file of lines (.txt or .jsonl) or a folder of arrays, see `sonant.extraction.units`; None writes
                lines to standard output.
            format: "text", "jsonl" or "npy"; None: by the ending of `output`.
            on_failure: called with the name of each recording that could not be used, and why.
            kmeans, layer, deduplicate, channel: as in `units`, like all that is not listed here; with "all" there is a
                line or array for each channel.
        """
        check_on_error(on_error)
        place = UNITS.place(output, format, source)
        wanted = unit_request(
            self.model,
            self.name,
            kmeans,
            layer,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        )
        entries = of_channel(gather(source, stdin=stdin or sys.stdin.buffer, leave_out=place.path), channel)
        weights = fingerprint(self.model)
        settings = {
            "model": self.name,
            "weights": weights,
            **wanted.settings(),
            "channel": None if channel == "mix" else channel,
            "precision": self.precision if precision is None else precision,
        }
        writer = unit_writer(
            place.kind,
            wanted.request,
            wanted.label,
            settings=settings,
            without_repetitions=deduplicate,
            frame_rate=self.frame_rate,
        )
        return run_job(
            self._engine(device, precision, coded=wanted.coded, weights=weights),
            entries,
            place,
            writer,
            source=origin(source),
            on_error=on_error,
            show_progress=progress,
            on_start=on_start,
            on_failure=on_failure,
        )

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write the model with its heads, that of pretraining too, in Hugging Face layout.

        transformers and `sonant.load` read it.
        """
        save_pretrained(self.model, folder, heads=self._heads.current(), languages=self._languages)

    def _run_head(
        self,
        task: HeadTask,
        audio: Any,
        *,
        sampling_rate: int | None = None,
        channel: Channel | None = None,
        batch_seconds: float | None = None,
        window_seconds: float | None = WINDOW_SECONDS,
        overlap_seconds: float | None = None,
        precision: Precision | None = None,
        on_error: OnError = "raise",
        on_failure: Callable[[int, Exception], None] | None = None,
        progress: bool | None = False,
        device: Device | Sequence[Device] | None = None,
    ) -> Any:
        check_on_error(on_error)
        request = Request(
            layers=task.layers,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        )
        recordings = Recordings(
            audio,
            self.model,
            sampling_rate,
            channel=channel,
            min_samples=task.min_samples,
            twice_at_once=task.reads_source,
        )
        engine = self._engine(device, precision)
        values = results_of(
            engine,
            recordings,
            request,
            on_error=on_error,
            on_failure=on_failure,
            progress=progress,
            make_sink=task.make_sink,
        )
        return recordings.as_given(values)

    def request(self, layer: Layers | None, pool: Pool | None, task: Task | None, **how: Any) -> Request:
        """Return the request that arguments of `encode` make; `how` takes those that are fields of the request."""
        if task is not None:
            known = presets(self.model.config)
            if task not in known:
                raise UnknownName("task preset", task, known)
            layer = known[task].layer if layer is None else layer
            pool = known[task].pool if pool is None else pool
        layers, stacked = resolve_layers("last" if layer is None else layer, self.num_layers)
        return Request(layers=layers, stacked=stacked, pool=pool, **how)

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
        here = next(self.model.parameters()).device  # somebody may have moved it
        devices = usable_devices(device) if device is not None else self._devices if len(self._devices) > 1 else [here]
        return [self._copies.get(self.model, precision, place, weights=weights) for place in devices]

    def _engine(
        self,
        device: Device | Sequence[Device] | None,
        precision: Precision | None,
        *,
        coded: bool = False,
        weights: str | None = None,
    ) -> Engine:
        """Return an engine with the model (or its codes alone) on one device or several."""
        models = self.optimized(precision, device, weights=weights)
        return Engine([Coding(model) for model in models] if coded else models)


def _check_one_channel(channel: Channel | None) -> None:
    if channel == "all":
        raise ConfigurationError(
            'channel="all" was given, and one voice is compared with one: name a channel by its number, or "mix".'
        )


def _named_by_channel(channels: list[list[SpeakerTurn] | None] | None) -> list[list[SpeakerTurn] | None] | None:
    if channels is None:
        return None
    return [None if turns is None else on_channel(turns, channel) for channel, turns in enumerate(channels)]


def _as_asked(value: Tensor, request: Request, to: str) -> Any:
    result = value if request.stacked else value[0]
    return result.numpy() if to == "numpy" else result
