"""Table of the systems to compare, each with a function that encodes clips."""

import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from sonant.benchmark import peers
from sonant.checkpoints.families import LAYOUTS
from sonant.errors import UnknownName
from sonant.inference import Precision, optimize
from sonant.layers.packed import Packed
from sonant.models import Backbone, BackboneConfig, W2vBERT2, WaveformTransformerConfig
from sonant.models.families import family_of

Clips = Sequence[Tensor]
States = dict[int | str, list[Tensor]]  # by layer number or "last"; (frames, dim) of each clip


class EncodeClips(Protocol):
    """A function from waveforms to all states, or only to "last"."""

    def __call__(self, clips: Clips, /, *, every: bool) -> States: ...


@dataclass(frozen=True)
class Circumstances:
    """Settings that a system may need besides the model."""

    threads: int
    unilm: Path | None = None  # folder with WavLM.py and modules.py


@dataclass(frozen=True)
class System:
    """One implementation in one precision.

    Attributes:
        code: implementation; the name has the precision too where it is not float32.
        title: name in tables.
        make: returns the function that encodes clips, from the backbone whose weights are used.
        package: required package.
        families: supported ones; None: all.
        pre_norm: whether only models with pre-norm layers and layer norms in the extractor are supported.
    """

    code: str
    precision: Precision
    title: str
    make: Callable[[Backbone, Circumstances], EncodeClips]
    package: str | None = None
    families: frozenset[str] | None = None
    pre_norm: bool = False

    @property
    def name(self) -> str:
        return self.code if self.precision == "float32" else f"{self.code}-{self.precision}"

    def missing(self, circumstances: Circumstances) -> str | None:
        """Return why the system is unavailable; None if it is available."""
        if self.package is not None and find_spec(self.package) is None:
            return f"the package {self.package} is not installed"
        if self.code == "unilm" and circumstances.unilm is None:
            return "no folder with unilm's WavLM.py was given (--unilm)"
        return None

    def knows(self, config: BackboneConfig) -> bool:
        if self.pre_norm and (
            not isinstance(config, WaveformTransformerConfig)
            or (config.pre_norm, config.extractor_norm) != (True, "layer")
        ):
            return False
        return self.families is None or family_of(config).key in self.families


def optimized(backbone: Backbone, _: Circumstances, *, precision: Precision) -> EncodeClips:
    return partial(packed, optimize(backbone, precision))


def plain(backbone: Backbone, _: Circumstances) -> EncodeClips:
    return partial(packed, backbone)


def packed(backbone: Backbone, clips: Clips, *, every: bool) -> States:
    """Encode all clips in one packed batch."""
    encoded = backbone(Packed.pack(clips), layers=None if every else ["last"])
    states: dict[int | str, Tensor | None] = {**encoded.hidden_states, "last": encoded.last}
    return {
        name: Packed(state, encoded.lengths).unpack() for name, state in states.items() if isinstance(state, Tensor)
    }


def transformers(backbone: Backbone, _: Circumstances, *, dtype: torch.dtype) -> EncodeClips:
    """Make the model of transformers, run on one clip at a time, which is faster than padding on a CPU."""
    peer, features = peers.transformers_model(backbone).to(dtype), features_of(backbone)

    def one(clip: Tensor, *, every: bool) -> dict[int | str, Tensor]:
        output = peer(features(clip)[None].to(dtype), output_hidden_states=every)
        hidden = enumerate(output.hidden_states) if every else ()
        return {**dict(hidden), "last": output.last_hidden_state}

    return partial(one_by_one, one)


def transformers_padded(backbone: Backbone, _: Circumstances, *, dtype: torch.dtype) -> EncodeClips:
    """Make the model of transformers, run on one padded batch.

    Models with a group norm are run without a mask, as documented by transformers.
    """
    peer, features = peers.transformers_model(backbone).to(dtype), features_of(backbone)
    config = backbone.config
    needs_mask = getattr(config, "extractor_norm", "layer") == "layer"

    def run(clips: Clips, *, every: bool) -> States:
        values, lengths = Packed.pack([features(clip) for clip in clips]).to_padded()
        mask = (torch.arange(values.shape[1]) < lengths[:, None]).long() if needs_mask else None
        output = peer(values.to(dtype), attention_mask=mask, output_hidden_states=every)
        hidden = enumerate(output.hidden_states) if every else ()
        frames = lengths.tolist() if values.ndim == 3 else [backbone.num_frames(len(clip)) for clip in clips]
        states: dict[int | str, Tensor] = {**dict(hidden), "last": output.last_hidden_state}
        return {
            name: [row[:length] for row, length in zip(state, frames, strict=True)] for name, state in states.items()
        }

    return run


def openvino(backbone: Backbone, circumstances: Circumstances, *, hint: str) -> EncodeClips:
    """Make the model of transformers compiled by OpenVINO, with dynamic length; run on one clip at a time."""
    features = features_of(backbone)
    example = features(torch.randn(backbone.sampling_rate))[None]
    model = peers.ThroughOpenVINO(peers.transformers_model(backbone), example, hint=hint, threads=circumstances.threads)

    def one(clip: Tensor, *, every: bool) -> dict[int | str, Tensor]:
        *hidden, last = (torch.from_numpy(state) for state in model(features(clip)[None].numpy(), every=every))
        return {**dict(enumerate(hidden)), "last": last}

    return partial(one_by_one, one)


def ctranslate2(backbone: Backbone, circumstances: Circumstances, *, int8: bool) -> EncodeClips:
    """Make the model of transformers converted by CTranslate2 (output only), run on one clip at a time."""
    with tempfile.TemporaryDirectory(prefix="sonant-ctranslate2-") as scratch:
        model = peers.ThroughCTranslate2(
            peers.transformers_model(backbone), Path(scratch), int8=int8, threads=circumstances.threads
        )

    features = features_of(backbone)

    def one(clip: Tensor, *, every: bool) -> dict[int | str, Tensor]:  # noqa: ARG001
        return {"last": model(features(clip))}

    return partial(one_by_one, one)


def onnxruntime(backbone: Backbone, circumstances: Circumstances, *, int8: bool) -> EncodeClips:
    """Make the ONNX export of sonant, run on one clip at a time."""
    scratch = tempfile.TemporaryDirectory(prefix="sonant-onnx-")
    model = peers.ThroughONNX(backbone, Path(scratch.name), int8=int8, threads=circumstances.threads)
    weakref.finalize(model, scratch.cleanup)
    return partial(one_by_one, model)


def unilm(backbone: Backbone, circumstances: Circumstances) -> EncodeClips:
    """Make the original WavLM, run on one clip at a time."""
    assert circumstances.unilm is not None
    with tempfile.TemporaryDirectory() as scratch:
        model = peers.unilm_model(backbone, circumstances.unilm, Path(scratch))
    features = features_of(backbone)

    def one(clip: Tensor, *, every: bool) -> dict[int | str, Tensor]:
        given = features(clip)[None]
        last = model.extract_features(given)[0]
        if not every:
            return {"last": last}
        # Without a layer number it returns no states; with one it omits the final norm.
        (_, results), _ = model.extract_features(given, output_layer=backbone.num_layers, ret_layer_results=True)
        return {**{i: state.transpose(0, 1) for i, (state, _) in enumerate(results)}, "last": last}

    return partial(one_by_one, one)


def torchaudio(backbone: Backbone, _: Circumstances) -> EncodeClips:
    """Make the model of torchaudio, whose first state is the output of the first block; one clip at a time."""
    model, features = peers.torchaudio_model(backbone), features_of(backbone)

    def one(clip: Tensor, *, every: bool) -> dict[int | str, Tensor]:
        given = features(clip)[None]
        last = model(given)[0]
        hidden = model.extract_features(given)[0] if every else ()
        return {**dict(enumerate(hidden, start=1)), "last": last}

    return partial(one_by_one, one)


class One(Protocol):
    """A function from one waveform to states (1, frames, dim)."""

    def __call__(self, clip: Tensor, /, *, every: bool) -> dict[int | str, Tensor]: ...


def one_by_one(one: One, clips: Clips, *, every: bool) -> States:
    """Encode one clip at a time."""
    states = [one(clip, every=every) for clip in clips]
    return {name: [state[name][0] for state in states] for name in states[0]}


def features_of(backbone: Backbone) -> Callable[[Tensor], Tensor]:
    """Return a function from a waveform to the input of peers: normalized, or features (frames, 160)."""
    made = backbone.features if isinstance(backbone, W2vBERT2) else backbone.normalized
    return lambda clip: made(Packed.pack([clip])).values


IN_TRANSFORMERS = frozenset(LAYOUTS)
WAVEFORM_TRANSFORMERS = frozenset({"wavlm", "hubert", "wav2vec2"})

# The first one that supports a model is its reference for deviations and speed ratios.
REFERENCES = ("transformers", "plain")
SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        System("sonant", "float32", "sonant", partial(optimized, precision="float32")),
        System("sonant", "bfloat16", "sonant, bfloat16", partial(optimized, precision="bfloat16")),
        System("sonant", "int8", "sonant, int8", partial(optimized, precision="int8")),
        System("plain", "float32", "sonant, not optimized", plain),
        System(
            "transformers",
            "float32",
            "transformers",
            partial(transformers, dtype=torch.float32),
            package="transformers",
            families=IN_TRANSFORMERS,
        ),
        System(
            "transformers",
            "bfloat16",
            "transformers, bfloat16",
            partial(transformers, dtype=torch.bfloat16),
            package="transformers",
            families=IN_TRANSFORMERS,
        ),
        System(
            "padded",
            "float32",
            "transformers, padded",
            partial(transformers_padded, dtype=torch.float32),
            package="transformers",
            families=IN_TRANSFORMERS,
        ),
        System(
            "padded",
            "bfloat16",
            "transformers, padded, bfloat16",
            partial(transformers_padded, dtype=torch.bfloat16),
            package="transformers",
            families=IN_TRANSFORMERS,
        ),
        System("openvino", "float32", "OpenVINO", partial(openvino, hint="f32"), "openvino", families=IN_TRANSFORMERS),
        System(
            "openvino",
            "bfloat16",
            "OpenVINO, bfloat16",
            partial(openvino, hint="bf16"),
            package="openvino",
            families=IN_TRANSFORMERS,
        ),
        System(
            "ctranslate2",
            "float32",
            "CTranslate2",
            partial(ctranslate2, int8=False),
            package="ctranslate2",
            families=frozenset({"wav2vec2"}),
            pre_norm=True,
        ),
        System(
            "ctranslate2",
            "int8",
            "CTranslate2, int8",
            partial(ctranslate2, int8=True),
            package="ctranslate2",
            families=frozenset({"wav2vec2"}),
            pre_norm=True,
        ),
        System(
            "onnxruntime",
            "float32",
            "sonant's ONNX, onnxruntime",
            partial(onnxruntime, int8=False),
            package="onnxruntime",
        ),
        System(
            "onnxruntime",
            "int8",
            "sonant's ONNX, onnxruntime, int8",
            partial(onnxruntime, int8=True),
            package="onnxruntime",
        ),
        System("unilm", "float32", "unilm's WavLM", unilm, families=frozenset({"wavlm"})),
        System("torchaudio", "float32", "torchaudio", torchaudio, package="torchaudio", families=WAVEFORM_TRANSFORMERS),
    )
}
CODES = list(dict.fromkeys(system.code for system in SYSTEMS.values()))


def chosen(codes: Iterable[str], precisions: Iterable[str]) -> list[System]:
    """Return the systems with these implementations and precisions, in the order of the table."""
    codes, precisions = list(codes), list(precisions)
    for code in codes:
        if code not in CODES:
            raise UnknownName("system", code, CODES)
    return [system for system in SYSTEMS.values() if system.code in codes and system.precision in precisions]


def reference_of(systems: Iterable[System]) -> System | None:
    """Return the reference among systems; None if there is none."""
    by_name = {system.name: system for system in systems}
    return next((by_name[name] for name in REFERENCES if name in by_name), None)
