"""The loaded model `SpeechEncoder`."""

from __future__ import annotations

from typing import Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.api.audio_inputs import Answers, AudioInput, AudioInputs, Container, ManyAnswers, OneAnswer
from sonant.api.option_values import INFERENCE, check_one_channel, completed, of_request
from sonant.api.options import (
    AnyUnit,
    AnyVector,
    Clusters,
    ComparisonOptions,
    InferenceOptions,
    Layers,
    PlainUnit,
    PlainVector,
    SkippingUnit,
    SkippingVector,
)
from sonant.api.running import answers_of, tell
from sonant.api.similarity import cosines, num_vectors, vectors_of
from sonant.api.spoken_search import SpokenSearch
from sonant.api.unit_request import unit_request
from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.pooling import Pool
from sonant.extraction.request import Layer
from sonant.extraction.units import Units, UnitSink
from sonant.extraction.units import deduplicate as without_repetitions
from sonant.models.families import Task

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


class SpeechEncoder(SpokenSearch):
    """A loaded model, which computes vectors, units, transcripts, alignments and speaker turns of recordings."""

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
            pool: "mean", "max" or "mean+std": one vector per recording; None: frames, or the pooling of `task`.
            task: "speaker", "content", "emotion" or "semantic": preset of layer and pooling, unless given here.
            normalize: scale each vector (or frame) to length one.
            to: "numpy" or "torch" (float32 on the CPU).
            **options: see `InferenceOptions`.

        Returns:
            float32 (frames, dim); with several layers (layers, frames, dim); pooled (dim,) or (layers, dim), twice as
            wide for "mean+std".
        """
        if to not in ("numpy", "torch"):
            raise UnknownName("array type to return", to, ["numpy", "torch"])
        options = completed(options, INFERENCE, self.encode)
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

        The units of a vq-wav2vec, and of a Discrete BERT, are its codes, one for each codebook. The units of any other
        model are k-means clusters of a hidden state.

        Args:
            audio: as in `encode`.
            kmeans: cluster centers, or a file of them as saved by pretraining (`targets/kmeans.safetensors`); not for
                models with codes.
            layer: the hidden state that the centers belong to: a number, or "last". Needed with `kmeans`.
            deduplicate: merge repetitions, and return the duration of each unit.
            **options: see `InferenceOptions`.

        Returns:
            int64 (frames,), or (frames, num_codebooks) for codes; with `deduplicate` `Units(values, durations)`.
        """
        options = completed(options, INFERENCE, self.units)
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
        """Return the cosine similarity of recordings, or of vectors from `encode`.

        Args:
            a, b: one recording or several (paths, bytes, file objects, `{"array", ...}`), or vectors (dim,) or
                (vectors, dim) as arrays or tensors.
            task: preset for encoding recordings.
            layer, pool: replace those of the preset, as in `encode`; a single layer.
            **options: see `InferenceOptions`, without channel="all". With on_error="skip", cosines of unusable
                recordings are NaN; recordings in `b` are numbered after those in `a`.

        Returns:
            A float for two single inputs; else an array with a row for each of `a` and a column for each of `b`,
            without the axis of a single input.
        """
        options = completed(options, INFERENCE, self.similarity)
        check_one_channel(options["channel"])
        request = self.request(layer, pool, task, **of_request(options))
        if request.stacked or request.pool is None:
            raise ConfigurationError(
                f"layer={layer!r} and pool={request.pool!r} were given, and one vector per recording is compared: "
                'give one layer, and pool="mean", "max" or "mean+std".'
            )
        failures: list[tuple[int, Exception]] = []

        def encode(items: list[AudioInput], first: int) -> list[Tensor | None]:
            own: InferenceOptions = {
                **options,
                "on_failure": lambda number, error: failures.append((first + number, error)),
            }
            return answers_of(self._engine(own), items, request, own, finish=lambda value: value[0])

        left = vectors_of(a, self.dim, request.pool, lambda items: encode(items, 0))
        right = vectors_of(b, self.dim, request.pool, lambda items: encode(items, num_vectors(left)))
        tell(failures, num_vectors(left) + num_vectors(right), options["on_failure"], instead="NaN")
        return cosines(left, right)
