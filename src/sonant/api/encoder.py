"""A loaded model: recordings in, vectors, units, transcripts and speakers out."""

from __future__ import annotations

import sys
from os import PathLike
from typing import Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs, Container, ManyAnswers, OneAnswer
from sonant.api.options import (
    BULK,
    INFERENCE,
    AnyUnit,
    AnyVector,
    BulkOptions,
    Clusters,
    ComparisonOptions,
    InferenceOptions,
    Layers,
    PlainUnit,
    PlainVector,
    SkippingUnit,
    SkippingVector,
    check_one_channel,
    completed,
    of_request,
)
from sonant.api.recognition import Recognition
from sonant.api.running import answers_of, tell
from sonant.api.similarity import cosines, num_vectors, vectors_of
from sonant.api.unit_request import unit_request
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.bulk import run_job
from sonant.extraction.channels import of_channel
from sonant.extraction.destination import UNITS, VECTORS, Destination, UnitFormat
from sonant.extraction.engine import Engine
from sonant.extraction.formats import Format
from sonant.extraction.inputs import gather, origin
from sonant.extraction.pooling import Pool
from sonant.extraction.request import Layer, Request, resolve_layers
from sonant.extraction.summary import Summary
from sonant.extraction.units import Units, UnitSink, unit_writer
from sonant.extraction.units import deduplicate as without_repetitions
from sonant.extraction.vectors import Identity, StoredType, VectorWriter
from sonant.extraction.writers import Writer
from sonant.models.families import Task, presets
from sonant.models.identity import fingerprint

Frames = NDArray[np.float32]
Codes = NDArray[np.int64]
Given = AudioInput | AudioInputs
Array = Frames | Tensor
Labels = Codes | Units
No = Literal[False]
Yes = Literal[True]
Numpy = Literal["numpy"]
Torch = Literal["torch"]
To = Literal["numpy", "torch"]


class SpeechEncoder(Recognition):
    """A loaded model and the methods that use it."""

    @overload
    def encode(self, audio: AudioInput, *, to: Numpy = ..., **how: Unpack[PlainVector]) -> Frames: ...
    @overload
    def encode(self, audio: AudioInputs, *, to: Numpy = ..., **how: Unpack[PlainVector]) -> list[Frames]: ...
    @overload
    def encode(self, audio: AudioInputs, *, to: Numpy = ..., **how: Unpack[SkippingVector]) -> list[Frames | None]: ...
    @overload
    def encode(self, audio: AudioInput, *, to: Torch, **how: Unpack[PlainVector]) -> Tensor: ...
    @overload
    def encode(self, audio: AudioInputs, *, to: Torch, **how: Unpack[PlainVector]) -> list[Tensor]: ...
    @overload
    def encode(self, audio: AudioInputs, *, to: Torch, **how: Unpack[SkippingVector]) -> list[Tensor | None]: ...
    @overload
    def encode(self, audio: AudioInput, *, to: To = ..., **how: Unpack[AnyVector]) -> OneAnswer[Array]: ...
    @overload
    def encode(self, audio: AudioInputs, *, to: To = ..., **how: Unpack[AnyVector]) -> ManyAnswers[Array]: ...
    def encode(
        self,
        audio: Given,
        *,
        layer: Layers | None = None,
        pool: Pool | None = None,
        task: Task | None = None,
        normalize: bool = False,
        to: To = "numpy",
        **options: Unpack[InferenceOptions],
    ) -> Answers[Array]:
        """Encode one recording, or a list of them into a list in the same order.

        Args:
            audio: path, bytes, file object, array, tensor, `(array, rate)` or `{"array", "sampling_rate"}`; or several
                of these.
            layer: a hidden state by number (0: input of the first block, i: raw output of block i), "last" (the model's
                output, after its final norm where it has one; the default), several in a list, or "all" (0 to L).
            pool: "mean", "max" or "mean+std" make one vector of a recording; None keeps its frames, or does what `task`
                says.
            task: "speaker", "content", "emotion" or "semantic": layer and pooling that serve it, unless given here.
            normalize: scale each vector (or frame) to length one.
            to: "numpy" or "torch" (float32 on the CPU).
            **options: see `InferenceOptions`.

        Returns:
            float32 (frames, dim); with several layers (layers, frames, dim); pooled (dim,) or (layers, dim), twice as
            wide for "mean+std".
        """
        if to not in ("numpy", "torch"):
            raise UnknownName("array type to return", to, ["numpy", "torch"])
        options = completed(options, INFERENCE)
        request = self.request(layer, pool, task, normalize=normalize, **of_request(options))

        def finish(value: Tensor) -> Array:
            result = value if request.stacked else value[0]
            return result.numpy() if to == "numpy" else result

        return answers_of(self._engine(options), audio, request, options, finish=finish)

    @overload
    def units(self, audio: AudioInput, *, deduplicate: No = ..., **how: Unpack[PlainUnit]) -> Codes: ...
    @overload
    def units(self, audio: AudioInputs, *, deduplicate: No = ..., **how: Unpack[PlainUnit]) -> list[Codes]: ...
    @overload
    def units(
        self, audio: AudioInputs, *, deduplicate: No = ..., **how: Unpack[SkippingUnit]
    ) -> list[Codes | None]: ...
    @overload
    def units(self, audio: AudioInput, *, deduplicate: Yes, **how: Unpack[PlainUnit]) -> Units: ...
    @overload
    def units(self, audio: AudioInputs, *, deduplicate: Yes, **how: Unpack[PlainUnit]) -> list[Units]: ...
    @overload
    def units(self, audio: AudioInputs, *, deduplicate: Yes, **how: Unpack[SkippingUnit]) -> list[Units | None]: ...
    @overload
    def units(self, audio: AudioInput, *, deduplicate: bool = ..., **how: Unpack[AnyUnit]) -> OneAnswer[Labels]: ...
    @overload
    def units(self, audio: AudioInputs, *, deduplicate: bool = ..., **how: Unpack[AnyUnit]) -> ManyAnswers[Labels]: ...
    def units(
        self,
        audio: Given,
        *,
        kmeans: Clusters | None = None,
        layer: Layer | None = None,
        deduplicate: bool = False,
        **options: Unpack[InferenceOptions],
    ) -> Answers[Labels]:
        """Return the discrete units of one recording, or of a list of them in the same order: a number for each frame.

        A vq-wav2vec (and a BERT on top of one) gives its own codes, one for each of its groups. Of any other model the
        units are the clusters that `kmeans` makes of a hidden state.

        Args:
            audio: as in `encode`.
            kmeans: cluster centers, or a file of them as pretraining saves it (`targets/kmeans.safetensors`); not for a
                model with codes of its own.
            layer: the state that the centers were made of: a number, or "last". Needed with `kmeans`.
            deduplicate: take out repetitions, and say how long each unit lasted.
            **options: see `InferenceOptions`.

        Returns:
            int64 (frames,), or (frames, num_codebooks) for codes; with `deduplicate` `Units(values, durations)`.
        """
        options = completed(options, INFERENCE)
        request, label, coded = unit_request(self.model, self.name, kmeans, layer, **of_request(options))
        finish = without_repetitions if deduplicate else None
        engine = self._engine(options, coded=coded)
        return answers_of(engine, audio, request, options, make_sink=lambda _: UnitSink(label), finish=finish)

    @overload
    def similarity(self, a: Container, b: Container, **options: Unpack[ComparisonOptions]) -> float: ...
    @overload
    def similarity(self, a: AudioInput, b: AudioInput, **options: Unpack[ComparisonOptions]) -> float | Frames: ...
    @overload
    def similarity(self, a: AudioInput, b: AudioInputs, **options: Unpack[ComparisonOptions]) -> Frames: ...
    @overload
    def similarity(self, a: AudioInputs, b: Given, **options: Unpack[ComparisonOptions]) -> Frames: ...
    def similarity(
        self,
        a: Given,
        b: Given,
        *,
        task: Task = "speaker",
        layer: Layer | None = None,
        pool: Pool | None = None,
        **options: Unpack[InferenceOptions],
    ) -> float | Frames:
        """Return the cosine similarity of recordings, or of vectors that `encode` has made.

        Args:
            a, b: one recording or several (paths, bytes, file objects, `{"array", ...}`), or vectors (dim,) or
                (vectors, dim) as arrays or tensors.
            task: the preset by which recordings are encoded.
            layer, pool: in place of the preset's, as in `encode`; one layer.
            **options: see `InferenceOptions`; no channel="all". With on_error="skip" a recording that cannot be used
                has NaN for its cosines; the numbers of recordings in `b` go on from those in `a`.

        Returns:
            A float for one and one; else an array, a row for each of `a` and a column for each of `b`, without the axis
            of what was one.
        """
        options = completed(options, INFERENCE)
        check_one_channel(options["channel"])
        request = self.request(layer, pool, task, **of_request(options))
        if request.stacked or request.pool is None:
            raise ConfigurationError(
                f"layer={layer!r} and pool={request.pool!r} were given, and one vector a recording is compared: "
                'give one layer, and pool="mean", "max" or "mean+std".'
            )
        failures: list[tuple[int, Exception]] = []

        def encode(items: list[AudioInput], first: int) -> list[Tensor | None]:
            own: InferenceOptions = {
                **options,
                "on_failure": lambda number, error: failures.append((first + number, error)),
            }
            return answers_of(self._engine(own), items, request, own, finish=lambda value: value[0])

        left = vectors_of(a, self.dim, lambda items: encode(items, 0))
        right = vectors_of(b, self.dim, lambda items: encode(items, num_vectors(left)))
        tell(failures, num_vectors(left) + num_vectors(right), options["on_failure"], instead="NaN")
        return cosines(left, right)

    def embed(
        self,
        source: str | PathLike[str],
        output: str | PathLike[str],
        *,
        layer: Layers | None = None,
        pool: Pool | None = None,
        task: Task | None = None,
        normalize: bool = False,
        format: Format | None = None,  # noqa: A002 - the name that the command line has too
        dtype: StoredType = "float32",
        **options: Unpack[BulkOptions],
    ) -> Summary:
        """Encode a recording, a folder, a manifest or standard input into files; resume where it was interrupted.

        Args:
            source: a recording, a folder (searched through), a manifest, or "-" for bytes on standard input.
            output: a folder (see `sonant.extraction.bulk`); or, for one recording, a file whose ending
                names a format.
            layer, pool, task, normalize: as in `encode`.
            format: "npy", "npz", "safetensors", "parquet" or "jsonl"; None: by the ending of `output`, else npy.
            dtype: of the numbers on disk.
            **options: see `BulkOptions`.

        Raises:
            AudioError: nothing to encode; or, with on_error="raise" or a single file, a recording that cannot be used.
            ConfigurationError: the output holds the results of other settings, or the disk is too small.
        """
        options = completed(options, BULK)
        place = VECTORS.place(output, format, source)
        request = self.request(layer, pool, task, normalize=normalize, **of_request(options))
        weights = fingerprint(self.model)
        identity = Identity(
            model=self.name,
            revision=self._revision or weights,
            weights=weights,
            dim=self.dim,
            frame_rate=self.frame_rate,
            precision=options["precision"] or self.precision,
        )
        writer = VectorWriter(identity, request, kind=place.kind, dtype=dtype, channel=options["channel"])
        if not place.is_folder:
            options["on_error"] = "raise"
        return self._write(source, place, writer, self._engine(options, weights=weights), options)

    def write_units(
        self,
        source: str | PathLike[str],
        output: str | PathLike[str] | None,
        *,
        kmeans: Clusters | None = None,
        layer: Layer | None = None,
        deduplicate: bool = False,
        format: UnitFormat | None = None,  # noqa: A002 - the name that the command line has too
        **options: Unpack[BulkOptions],
    ) -> Summary:
        """Write the units of a recording, a folder, a manifest or standard input, as lines or arrays.

        A run that was interrupted is resumed when it is started again, unless it writes to standard output.

        Args:
            source: as in `embed`.
            output: a file of lines (.txt or .jsonl) or a folder of arrays, see `sonant.extraction.units`; None writes
                lines to standard output.
            kmeans, layer, deduplicate: as in `units`.
            format: "text", "jsonl" or "npy"; None: by the ending of `output`.
            **options: see `BulkOptions`.
        """
        options = completed(options, BULK)
        place = UNITS.place(output, format, source)
        wanted = unit_request(self.model, self.name, kmeans, layer, **of_request(options))
        weights = fingerprint(self.model)
        settings = {
            "model": self.name,
            "weights": weights,
            **wanted.settings(),
            "channel": None if options["channel"] == "mix" else options["channel"],
            "precision": options["precision"] or self.precision,
        }
        writer = unit_writer(
            place.kind,
            wanted.request,
            wanted.label,
            settings=settings,
            without_repetitions=deduplicate,
            frame_rate=self.frame_rate,
        )
        engine = self._engine(options, coded=wanted.coded, weights=weights)
        return self._write(source, place, writer, engine, options)

    def _write(
        self,
        source: str | PathLike[str],
        place: Destination[Any],
        writer: Writer,
        engine: Engine,
        options: BulkOptions,
    ) -> Summary:
        """Run the bulk job that writes the answers of an engine."""
        stdin = options["stdin"] or sys.stdin.buffer
        return run_job(
            engine,
            of_channel(gather(source, stdin=stdin, leave_out=place.path), options["channel"]),
            place,
            writer,
            source=origin(source),
            on_error=options["on_error"],
            show_progress=options["progress"],
            on_start=options["on_start"],
            on_failure=options["on_failure"],
        )

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
