"""Variants of the known families."""

import torch
from safetensors.torch import load_file, save_file

from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of
from tests.checkpoints.table.toolkits import settings_of

CONVOLUTIONS_25HZ = {
    "conv_dim": (8,) * 8,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2, 2),
}


def _hubert(words, kind="Model", heads=(), **settings):
    def make(folder):
        theirs = tiny.theirs("hubert", kind, **settings)
        theirs.save_pretrained(folder)
        return Made(source=folder, reference=states_of(theirs))

    return Case(layout=words, make=make, heads=heads, parity=f"Hubert{kind}")


def _fairseq_batch_norm(folder):
    """As fairseq names it: the norm is the first part of the positional convolution, the convolution the second."""
    theirs = tiny.theirs("hubert", conv_pos_batch_norm=True)
    state = tiny.fairseq_names(theirs.state_dict(), "group")
    for name in list(state):
        if "pos_conv" in name:
            part = "pos_conv.0." if "batch_norm" in name else "pos_conv.1."
            state[f"encoder.{part}{name.rpartition('.')[2]}"] = state.pop(name)
    model = {"_name": "hubert", **settings_of("hubert", "group"), "conv_pos_batch_norm": True}
    torch.save({"cfg": {"model": model, "task": {"normalize": False}}, "model": state}, folder / "model.pt")
    return Made(source=folder / "model.pt", reference=states_of(theirs))


def folded(state):
    """A state dict as it is once weight norm was removed: the product of direction and gain alone."""
    state = dict(state)
    prefix = next(name for name in state if name.endswith("pos_conv_embed.conv.bias")).removesuffix("bias")
    gain, direction = (state.pop(f"{prefix}parametrizations.weight.original{i}") for i in (0, 1))
    return {**state, f"{prefix}weight": direction * (gain / direction.norm(dim=(0, 1), keepdim=True))}


def _folded(words, rewrite):
    def make(folder):
        theirs = tiny.theirs("wav2vec2")
        theirs.save_pretrained(folder)
        state = load_file(folder / "model.safetensors")
        return Made(
            reference=states_of(theirs),
            **(rewrite(folder, folded(state)) or {"source": folder}),
        )

    return Case(layout=f"positional convolution without weight norm, {words}", make=make, parity="Wav2Vec2Model")


def _in_safetensors(folder, state):
    save_file(state, folder / "model.safetensors")


def _in_torchaudio(folder, state):
    torch.save(tiny.torchaudio_names(state, "wav2vec2"), folder / "model.pth")
    return {"source": folder / "model.pth", "overrides": {"family": "wav2vec2", "num_heads": 2}}


def _in_fairseq(folder, state):
    state = {
        name.replace("pos_conv_embed.conv.", "pos_conv.0."): tensor
        for name, tensor in tiny.fairseq_names(state, "group").items()
    }
    model = {"_name": "wav2vec2", **settings_of("wav2vec2", "group")}
    torch.save({"cfg": {"model": model, "task": {"normalize": False}}, "model": state}, folder / "model.pt")
    return {"source": folder / "model.pt"}


CASES: tuple[Case, ...] = (
    _hubert("`HubertModel` without a norm before the projection (DistilHuBERT)", feat_proj_layer_norm=False),
    _hubert(
        "`HubertForSequenceClassification` of DistilHuBERT",
        "ForSequenceClassification",
        ("sequence_classification",),
        feat_proj_layer_norm=False,
    ),
    _hubert(
        "`HubertModel` with `conv_pos_batch_norm`, 25 frames a second (mHuBERT of TWIST)",
        conv_pos_batch_norm=True,
        **CONVOLUTIONS_25HZ,
    ),
    Case(layout="fairseq, hubert with `conv_pos_batch_norm`", make=_fairseq_batch_norm, parity="HubertModel"),
    _folded("`safetensors`", _in_safetensors),
    _folded("torchaudio", _in_torchaudio),
    _folded("fairseq", _in_fairseq),
)
