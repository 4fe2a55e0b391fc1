"""Other implementations with the same weights, with which sonant is compared in tests and benchmarks."""

import importlib
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sonant.checkpoints import Checkpoint, save_checkpoint
from sonant.checkpoints.families import LAYOUTS
from sonant.checkpoints.hf_config import write_config
from sonant.checkpoints.parameter_names import write
from sonant.checkpoints.torchaudio import rows_for
from sonant.errors import ConfigurationError
from sonant.export import to_onnx
from sonant.models import Backbone, WaveformTransformerConfig, WavLMConfig


def transformers_model(backbone: Backbone) -> Any:
    """Return the equivalent model of transformers, which shares the memory of the weights."""
    from transformers import AutoConfig, AutoModel

    checkpoint = Checkpoint(backbone.config, backbone.state_dict())
    with torch.device("meta"):
        peer = AutoModel.from_config(AutoConfig.for_model(**write_config(checkpoint, None)))
    state, homeless = write(checkpoint.backbone_state, LAYOUTS[checkpoint.family].rows)
    if homeless:
        raise ConfigurationError(f"transformers has no place for {homeless}; give a model without these parts.")
    state |= LAYOUTS[checkpoint.family].derived(backbone.config)
    if LAYOUTS[checkpoint.family].unused:
        del peer.encoder.pos_conv_embed
        if peer.encoder.embed_positions is not None:  # buffers that are not in the state dict
            peer.encoder.embed_positions = type(peer.encoder.embed_positions)(peer.config)
    peer.load_state_dict(state, assign=True)
    return peer.eval()


@torch.no_grad()
def peer_states(peer: Any, waveforms: Tensor, mask: Tensor | None = None) -> dict[int | str, Tensor]:
    """Return every state (batch, frames, dim) of (batch, samples), numbered as in sonant; `mask` is true inside clips.

    w2v-BERT 2.0 takes features (batch, frames, 160) instead, and a mask of frames.
    """
    output = peer(waveforms, attention_mask=mask, output_hidden_states=True)
    return {**dict(enumerate(output.hidden_states)), "last": output.last_hidden_state}


class _AllStates(nn.Module):
    """A wrapper of a model of transformers that returns a tuple of tensors for OpenVINO: states, then the last one."""

    def __init__(self, peer: nn.Module) -> None:
        super().__init__()
        self.peer = peer

    def forward(self, speech: Tensor) -> tuple[Tensor, ...]:
        output = self.peer(speech, output_hidden_states=True)
        return (*output.hidden_states, output.last_hidden_state)


class ThroughOpenVINO:
    """A model of transformers compiled by OpenVINO, with dynamic batch and time axes.

    Args:
        peer: a model from `transformers_model`.
        example: an input to trace it with.
        hint: "f32" or "bf16".
        threads: the number of threads of one pass.
    """

    def __init__(self, peer: nn.Module, example: Tensor, *, hint: str, threads: int) -> None:
        import openvino

        self.settings = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings of constants, which the comparison of states rules out
            self.model = openvino.convert_model(_AllStates(peer), example_input=example)
        self.every: bool | None = None
        self.compiled: Any = None

    def __call__(self, speech: Any, *, every: bool) -> list[Any]:
        """Return all states and the last one as arrays, or only the last; one of the two graphs is kept at a time."""
        if every is not self.every:
            import openvino

            self.compiled, self.every = None, every
            outputs = self.model.get_results() if every else self.model.get_results()[-1:]
            graph = openvino.Model(outputs, self.model.get_parameters())
            self.compiled = openvino.Core().compile_model(graph, "CPU", self.settings)
        result = self.compiled(speech)
        return [result[number] for number in range(len(self.compiled.outputs))]


class ThroughCTranslate2:
    """wav2vec 2.0 of transformers converted by CTranslate2, which returns the output only.

    Args:
        peer: a model from `transformers_model`, with pre-norm layers and layer norms in the extractor; CTranslate2
            supports no others.
        scratch: a folder for the files, which are read once.
        int8: whether linear layers are int8.
        threads: the number of threads of one pass.
    """

    def __init__(self, peer: Any, scratch: Path, *, int8: bool, threads: int) -> None:
        import ctranslate2
        from ctranslate2.converters.transformers import Wav2Vec2Loader

        peer.config.return_hidden = True
        with_head = SimpleNamespace(wav2vec2=peer, lm_head=SimpleNamespace(weight=torch.zeros(1, 1)))
        spec = Wav2Vec2Loader().get_model_spec(with_head)
        spec.register_vocabulary(["none"])
        spec.validate()
        spec.optimize(quantization="int8" if int8 else None)
        spec.save(str(scratch))
        kind = "int8" if int8 else "float32"
        self.model = ctranslate2.models.Wav2Vec2(str(scratch), compute_type=kind, intra_threads=threads)

    def __call__(self, waveform: Tensor) -> Tensor:
        """Return the output (1, frames, dim) of samples (samples,)."""
        import ctranslate2

        given = ctranslate2.StorageView.from_array(waveform[None, None].numpy())
        return torch.from_numpy(np.array(self.model.encode(given)))


class ThroughONNX:
    """The ONNX export of sonant, run by onnxruntime.

    Args:
        backbone: the model to export.
        scratch: a folder for the files, which are read once.
        int8: whether feed-forward layers are int8.
        threads: the number of threads of one pass.
    """

    def __init__(self, backbone: Backbone, scratch: Path, *, int8: bool, threads: int) -> None:
        import onnxruntime

        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.paths = {every: scratch / f"{'every' if every else 'last'}.onnx" for every in (True, False)}
        to_onnx(backbone, self.paths[True], layers=None, int8=int8)
        _keep_outputs(self.paths[True], self.paths[False], {"last", "frames"})
        self.every: bool | None = None
        self.session: Any = None

    def __call__(self, waveform: Tensor, *, every: bool) -> dict[int | str, Tensor]:
        """Return all states of one clip (samples,), or only the last; one of the two sessions is kept at a time."""
        import onnxruntime

        if every is not self.every:
            self.session, self.every = None, every
            path = str(self.paths[every])
            self.session = onnxruntime.InferenceSession(path, self.options, providers=["CPUExecutionProvider"])
        given = {"waveforms": waveform[None].numpy(), "lengths": torch.tensor([len(waveform)]).numpy()}
        names = [output.name for output in self.session.get_outputs()]
        outputs = dict(zip(names, map(torch.from_numpy, self.session.run(None, given)), strict=True))
        frames = int(outputs.pop("frames"))  # without padding
        states = {name.removeprefix("hidden_states."): state[:, :frames] for name, state in outputs.items()}
        return {int(name) if name.isdigit() else name: state for name, state in states.items()}


def _keep_outputs(path: Path, into: Path, names: set[str]) -> None:
    """Write the graph with only these outputs; unused nodes are removed when it is loaded."""
    import onnx

    model = onnx.load(path)
    for output in [output for output in model.graph.output if output.name not in names]:
        model.graph.output.remove(output)
    large = model.ByteSize() > 2**30
    onnx.save(model, into, save_as_external_data=large, location=f"{into.name}.data" if large else None)


def unilm_model(backbone: Backbone, folder: Path, scratch: Path) -> Any:
    """Load the original WavLM by WavLM.py and modules.py of unilm in a folder, from a file in its format."""
    path = scratch / "unilm.pt"
    save_checkpoint(path, Checkpoint(backbone.config, backbone.state_dict()), to="unilm")
    sys.path.insert(0, str(folder))
    original = importlib.import_module("WavLM")
    saved = torch.load(path, weights_only=True)
    model = original.WavLM(original.WavLMConfig(saved["cfg"]))
    model.load_state_dict(saved["model"])
    return model.eval()


def torchaudio_model(backbone: Backbone) -> Any:
    """Return the equivalent model of torchaudio."""
    # In no extra: its wheels depend on CUDA libraries and do not import with a CPU build of torch.
    torchaudio = importlib.import_module("torchaudio.models")

    checkpoint = Checkpoint(backbone.config, backbone.state_dict())
    c = checkpoint.config
    assert isinstance(c, WaveformTransformerConfig)
    settings = {
        "extractor_mode": "group_norm" if c.extractor_norm == "group" else "layer_norm",
        "extractor_conv_layer_config": list(zip(c.conv_channels, c.conv_kernels, c.conv_strides, strict=True)),
        "extractor_conv_bias": c.conv_bias,
        "encoder_embed_dim": c.dim,
        "encoder_projection_dropout": 0.0,
        "encoder_pos_conv_kernel": c.position_kernel,
        "encoder_pos_conv_groups": c.position_groups,
        "encoder_num_layers": c.num_layers,
        "encoder_num_heads": c.num_heads,
        "encoder_attention_dropout": 0.0,
        "encoder_ff_interm_features": c.feed_forward_dim,
        "encoder_ff_interm_dropout": 0.0,
        "encoder_dropout": 0.0,
        "encoder_layer_norm_first": c.pre_norm,
        "encoder_layer_drop": 0.0,
        "aux_num_out": None,
    }
    if isinstance(c, WavLMConfig):
        settings |= {"encoder_num_buckets": c.num_buckets, "encoder_max_distance": c.max_distance}
    make = torchaudio.wavlm_model if isinstance(c, WavLMConfig) else torchaudio.wav2vec2_model
    model = make(**settings)
    state, _ = write(checkpoint.backbone_state, rows_for(checkpoint.family, mask=False))
    model.load_state_dict(state)
    return model.eval()
