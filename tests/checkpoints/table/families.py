"""Families beside WavLM, HuBERT, wav2vec 2.0 and w2v-BERT 2.0."""

import json
import re

import torch

from sonant.errors import UnsupportedCheckpoint
from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of
from tests.checkpoints.table.folders import HEADS
from tests.checkpoints.table.toolkits import settings_of

CONFORMER_HEADS = HEADS


def conformer(kind="Model", **settings):
    """A tiny wav2vec 2.0 Conformer of transformers with random weights and running statistics."""
    import transformers

    transformers.logging.disable_progress_bar()
    known = {"hidden_act": "swish", "conv_bias": True, "feat_extract_norm": "layer", "conv_depthwise_kernel_size": 5}
    config = transformers.Wav2Vec2ConformerConfig(**tiny.HF_SIZES, **known, **settings)
    torch.manual_seed(0)
    model = getattr(transformers, f"Wav2Vec2Conformer{kind}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 1.5)
    return model


def _conformer(kind, positions="relative"):
    def make(folder):
        theirs = conformer(kind, position_embeddings_type=positions)
        theirs.save_pretrained(folder)
        return Made(source=folder, reference=states_of(theirs))

    name = f"Wav2Vec2Conformer{kind}"
    words = f"{positions} positions" if positions else "no positions"
    return Case(layout=f"`{name}`, {words}", make=make, heads=(*CONFORMER_HEADS[kind], "unused"), parity=name)


CLASSES = {
    "data2vec": tuple(kind for kind in HEADS if kind != "ForPreTraining"),
    "unispeech": ("Model", "ForCTC", "ForSequenceClassification", "ForPreTraining"),
    "unispeech_sat": tuple(HEADS),
}


SETTINGS = {"data2vec": {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5}}


def _norms(family, kind):
    """The norms of the extractor that a row tells apart; a data2vec has one."""
    return ("layer",) if family == "data2vec" else ("group", "layer") if kind == "Model" else ("group",)


def _class(family, kind, norm):
    def make(folder):
        theirs = tiny.theirs(family, kind, norm, **SETTINGS.get(family, {}))
        theirs.save_pretrained(folder)
        return Made(source=folder, reference=states_of(theirs))

    name = f"{tiny.FURTHER[family]}{kind}"
    return Case(layout=f"`{name}`, {norm} norm", make=make, heads=HEADS[kind], parity=name)


def fairseq_data2vec(folder):
    """A pretrained data2vec as fairseq saves it, the running mean of its weights with it."""
    theirs = tiny.theirs("data2vec", norm="layer", **SETTINGS["data2vec"])
    state = {
        re.sub(r"pos_conv_embed\.layers\.(\d)\.conv\.", r"pos_conv.\1.0.", name): tensor
        for name, tensor in tiny.fairseq_names(theirs.state_dict(), "layer").items()
    }
    state |= {"final_proj.weight": torch.randn(16, 16), "final_proj.bias": torch.randn(16)}
    model = {**settings_of("data2vec", "layer"), "_name": "data2vec_audio", "layer_norm_first": False}
    model |= {"conv_pos": 15, "pos_conv_depth": 3}
    teacher = {name: tensor + 1 for name, tensor in state.items() if name.startswith("encoder.")}
    cfg = {"model": model, "task": {"normalize": True}}
    torch.save({"cfg": cfg, "model": {**state, "_ema": teacher}}, folder / "model.pt")
    return Made(source=folder / "model.pt", reference=states_of(theirs))


SEW_HEADS = {kind: HEADS[kind] for kind in ("Model", "ForCTC", "ForSequenceClassification")}
SQUEEZE = 2


def sew(kind="Model", width=16, **settings):
    """A tiny SEW of transformers with random weights."""
    import transformers

    transformers.logging.disable_progress_bar()
    sizes = {**tiny.HF_SIZES, "conv_dim": (8,) * 12 + (width,), "num_conv_pos_embeddings": 7}
    config = transformers.SEWConfig(**sizes, squeeze_factor=SQUEEZE, **settings)
    torch.manual_seed(0)
    model = getattr(transformers, f"SEW{kind}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def _held(reference):
    """Hidden states of squeezed frames, each repeated for the frames that it was made of, and the last for the rest."""

    def states(waveform):
        *hidden, last = reference(waveform)
        place = (torch.arange(len(last)) // SQUEEZE).clamp(max=len(hidden[0]) - 1)
        return [*(state[place] for state in hidden), last]

    return states


def _sew(kind, width, words):
    def make(folder):
        theirs = sew(kind, width)
        theirs.save_pretrained(folder)
        return Made(source=folder, reference=_held(states_of(theirs)))

    return Case(layout=f"`SEW{kind}`{words}", make=make, heads=SEW_HEADS[kind], parity=f"SEW{kind}")


def _sew_d(folder):
    sew().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "sew-d"}))
    return Made(source=folder)


CASES: tuple[Case, ...] = (
    *(_conformer(kind) for kind in CONFORMER_HEADS),
    _conformer("Model", "rotary"),
    _conformer("ForCTC", "rotary"),
    _conformer("Model", None),
    *(_class(family, kind, norm) for family in CLASSES for kind in CLASSES[family] for norm in _norms(family, kind)),
    Case(layout="fairseq, data2vec audio", make=fairseq_data2vec, heads=("pretraining",), parity="Data2VecAudioModel"),
    *(_sew(kind, 8, "") for kind in SEW_HEADS),
    _sew("Model", 16, ", no projection of the features"),
    Case(layout="`SEWDModel`", make=_sew_d, refused=UnsupportedCheckpoint, says="SEW-D, whose attention"),
)
