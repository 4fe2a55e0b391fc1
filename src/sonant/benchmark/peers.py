"""Other implementations with our weights: what sonant is compared with, in tests and in benchmarks."""

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sonant.checkpoints import Checkpoint, save_checkpoint
from sonant.checkpoints.hf_config import write_config
from sonant.checkpoints.hf_layouts import LAYOUTS
from sonant.checkpoints.keys import write
from sonant.checkpoints.torchaudio import rows_for
from sonant.errors import ConfigurationError
from sonant.models import Backbone, WaveformTransformerConfig, WavLMConfig


def twin(backbone: Backbone) -> Any:
    """transformers' model of the same shape; it shares the weights in memory, so that neither costs the other."""
    from transformers import AutoConfig, AutoModel

    checkpoint = Checkpoint(backbone.config, backbone.state_dict())
    with torch.device("meta"):
        peer = AutoModel.from_config(AutoConfig.for_model(**write_config(checkpoint, None)))
    state, homeless = write(checkpoint.backbone_state, LAYOUTS[checkpoint.family].rows)
    if homeless:
        raise ConfigurationError(f"transformers has no place for {homeless}; give a model without these parts.")
    peer.load_state_dict(state, assign=True)
    return peer.eval()


@torch.no_grad()
def peer_states(peer: Any, waveforms: Tensor, mask: Tensor | None = None) -> dict[int | str, Tensor]:
    """Every state of (batch, samples), numbered as ours: (batch, frames, dim); `mask` is true at samples of speech.

    w2v-BERT 2.0 takes features (batch, frames, 160) instead, and a mask of frames.
    """
    output = peer(waveforms, attention_mask=mask, output_hidden_states=True)
    return {**dict(enumerate(output.hidden_states)), "last": output.last_hidden_state}


class _AllStates(nn.Module):
    """transformers' model with plain tensors for output, as OpenVINO wants it: the states, then the last."""

    def __init__(self, peer: nn.Module) -> None:
        super().__init__()
        self.peer = peer

    def forward(self, speech: Tensor) -> tuple[Tensor, ...]:
        output = self.peer(speech, output_hidden_states=True)
        return (*output.hidden_states, output.last_hidden_state)


class ThroughOpenVINO:
    """A model of transformers compiled by OpenVINO, with time and batch left open.

    Args:
        peer: as `twin` gives it.
        example: to trace it with.
        hint: "f32" or "bf16".
        threads: for one pass.
    """

    def __init__(self, peer: nn.Module, example: Tensor, *, hint: str, threads: int) -> None:
        import openvino

        self.settings = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of what might be fixed; the comparison shows that it is not
            self.model = openvino.convert_model(_AllStates(peer), example_input=example)
        self.every: bool | None = None
        self.compiled: Any = None

    def __call__(self, speech: Any, *, every: bool) -> list[Any]:
        """All states and the last one as arrays, or the last one alone: two graphs, of which one is kept."""
        if every is not self.every:
            import openvino

            self.compiled, self.every = None, every
            outputs = self.model.get_results() if every else self.model.get_results()[-1:]
            graph = openvino.Model(outputs, self.model.get_parameters())
            self.compiled = openvino.Core().compile_model(graph, "CPU", self.settings)
        result = self.compiled(speech)
        return [result[number] for number in range(len(self.compiled.outputs))]


def unilm_model(backbone: Backbone, folder: Path, scratch: Path) -> Any:
    """The original WavLM of a folder with unilm's WavLM.py and modules.py, read from a file in its own format."""
    path = scratch / "unilm.pt"
    save_checkpoint(path, Checkpoint(backbone.config, backbone.state_dict()), to="unilm")
    sys.path.insert(0, str(folder))
    original = importlib.import_module("WavLM")
    saved = torch.load(path, weights_only=True)
    model = original.WavLM(original.WavLMConfig(saved["cfg"]))
    model.load_state_dict(saved["model"])
    return model.eval()


def torchaudio_model(backbone: Backbone) -> Any:
    """torchaudio's model of the same shape."""
    from torchaudio.models import wav2vec2_model, wavlm_model

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
    model = (wavlm_model if isinstance(c, WavLMConfig) else wav2vec2_model)(**settings)
    state, _ = write(checkpoint.backbone_state, rows_for(checkpoint.family, mask=False))
    model.load_state_dict(state)
    return model.eval()
