"""Files of unilm, fairseq, s3prl and torchaudio."""

import argparse

import torch

from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of

SETTINGS = {
    "conv_feature_layers": "[(8, 10, 5)] + [(8, 3, 2)] * 4 + [(8,2,2)] * 2",
    "encoder_embed_dim": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_embed_dim": 24,
    "conv_pos": 8,
    "conv_pos_groups": 2,
    "activation_fn": "gelu",
}


def settings_of(family, norm):
    layer = norm == "layer"
    wavlm = {"relative_position_embedding": True, "gru_rel_pos": True, "max_distance": 800}
    return {
        **SETTINGS,
        "extractor_mode": "layer_norm" if layer else "default",
        "layer_norm_first": layer,
        **(wavlm if family == "wavlm" else {}),
    }


def _unilm(settings, state, family):
    return {"cfg": settings, "model": state}


def _args(settings, state, family):
    return {"args": argparse.Namespace(arch=family, **settings), "model": state}


def _cfg(settings, state, family):
    return {"cfg": {"model": {"_name": family, **settings}, "task": {"normalize": False}}, "model": state}


def _s3prl(settings, state, family):
    return {"model_cfg": {"_name": family, **settings}, "task_cfg": {"normalize": False}, "model_weight": state}


def _named_as_fairseq(words, wrap, family, norm):
    def make(folder):
        theirs = tiny.theirs(family, norm=norm)
        state = tiny.fairseq_names(theirs.state_dict(), norm)
        torch.save(wrap(settings_of(family, norm), state, family), folder / "model.pt")
        return Made(source=folder / "model.pt", reference=states_of(theirs))

    name = f"{tiny.TRANSFORMERS[family]}Model"
    return Case(layout=f"{words}, {family}, {norm} norm", make=make, parity=name)


def _torchaudio(family, norm):
    def make(folder):
        theirs = tiny.theirs(family, norm=norm)
        torch.save(tiny.torchaudio_names(theirs.state_dict(), family), folder / "model.pth")
        overrides = {"family": family} | ({} if family == "wavlm" else {"num_heads": 2})
        return Made(source=folder / "model.pth", reference=states_of(theirs), overrides=overrides)

    name = f"{tiny.TRANSFORMERS[family]}Model"
    return Case(layout=f"torchaudio, {family}, {norm} norm", make=make, parity=name)


CASES = (
    _named_as_fairseq("unilm", _unilm, "wavlm", "group"),
    _named_as_fairseq("unilm", _unilm, "wavlm", "layer"),
    _named_as_fairseq("fairseq, `args`", _args, "hubert", "group"),
    _named_as_fairseq("fairseq, `args`", _args, "wav2vec2", "layer"),
    _named_as_fairseq("fairseq, `cfg`", _cfg, "hubert", "layer"),
    _named_as_fairseq("fairseq, `cfg`", _cfg, "wav2vec2", "group"),
    _named_as_fairseq("s3prl", _s3prl, "hubert", "group"),
    _named_as_fairseq("s3prl", _s3prl, "wav2vec2", "layer"),
    *(_torchaudio(family, norm) for family in tiny.TRANSFORMERS for norm in ("group", "layer")),
)
