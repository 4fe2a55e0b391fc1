"""Heads that are no class of transformers: known by their published class, or not loaded."""

import json
import re

import torch
from safetensors.torch import load_file, save_file

from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of
from tests.checkpoints.table.toolkits import settings_of

DIM = tiny.HF_SIZES["hidden_size"]


def linear(name, outputs=DIM, inputs=DIM):
    """A linear layer with random weights, by its name in a file."""
    draw = torch.Generator().manual_seed(outputs + inputs)
    weight = torch.randn(outputs, inputs, generator=draw)
    return {f"{name}.weight": weight, f"{name}.bias": torch.randn(outputs, generator=draw)}


def hidden(name, outputs, last="out_proj"):
    """Two linear layers."""
    return linear(f"{name}.dense", DIM) | linear(f"{name}.{last}", outputs)


def beside(folder, family, tensors, *, prefix=True, **said):
    """A bare model in a folder with further tensors beside it, and what else config.json says; returns the model."""
    theirs = tiny.theirs(family)
    theirs.save_pretrained(folder)
    before = f"{family}." if prefix else ""
    state = {f"{before}{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(state | tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | said))
    return theirs


def _case(layout, tensors, *, family="wav2vec2", prefix=True, heads=(), aside=(), **said):
    def make(folder):
        return Made(source=folder, reference=states_of(beside(folder, family, tensors, prefix=prefix, **said)))

    return Case(layout=layout, make=make, heads=heads, aside=aside, parity=f"{tiny.TRANSFORMERS[family]}Model")


def _file(layout, change, *, family, aside, heads=()):
    """A file with 'cfg' and 'model'; `change` gives the settings and tensors that it has besides."""

    def make(folder):
        theirs = tiny.theirs(family)
        settings, tensors = change()
        cfg, state = settings_of(family, "group") | settings, tiny.fairseq_names(theirs.state_dict(), "group")
        cfg = cfg if family == "wavlm" else {"model": cfg, "task": {"normalize": False}}
        torch.save({"cfg": cfg, "model": state | tensors}, folder / "model.pt")
        return Made(source=folder / "model.pt", reference=states_of(theirs))

    name = f"{tiny.TRANSFORMERS[family]}Model"
    return Case(layout=layout, make=make, heads=heads, aside=aside, parity=name)


def _torchaudio(folder):
    theirs = tiny.theirs("wavlm")
    state = tiny.torchaudio_names(theirs.state_dict(), "wavlm") | linear("classifier", 4)
    torch.save(state, folder / "model.pth")
    return Made(source=folder / "model.pth", reference=states_of(theirs), overrides={"family": "wavlm"})


def _inside(folder):
    theirs = beside(folder, "wavlm", linear("pool.attention", 1) | linear("head", 8), model_type="ser")
    state = load_file(folder / "model.safetensors")
    renamed = {re.sub(r"^wavlm\.", "ssl_model.", name): tensor for name, tensor in state.items()}
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    return Made(source=folder / "model.safetensors", reference=states_of(theirs), overrides={"normalize": False})


def _content_vec():
    state = tiny.fairseq_names(tiny.theirs("hubert").state_dict(), "group")
    layer = {name: tensor for name, tensor in state.items() if name.startswith("encoder.layers.1.self_attn.")}
    behind = {name.replace("layers.1.", "layers.2."): tensor for name, tensor in layer.items()}
    behind |= linear("encoder.layers.2.final_layer_norm.weight_ln") | linear("encoder.cond_layer_norm.bias_ln")
    settings = {"_name": "contentvec", "encoder_layers_1": 1, "extractor_mode": "group_norm_masked"}
    head = linear("final_proj", 6) | {"label_embs_concat": torch.ones(9, 6)}
    return settings, behind | head | linear("layer_proj", 6)


SPEECH = {"architectures": ["Wav2Vec2ForSpeechClassification"], "pooling_mode": "mean"}
CASES: tuple[Case, ...] = (
    _case(
        "audEERING's emotion (`EmotionModel`)",
        hidden("classifier", 3),
        heads=("speech_classification",),
        finetuning_task="wav2vec2_reg",
        problem_type="regression",
        **SPEECH,
    ),
    _case(
        "audEERING's age and gender (`AgeGenderModel`)",
        hidden("age", 1) | hidden("gender", 3),
        heads=("age_gender",),
        architectures=["AgeGenderModel"],
    ),
    _case(
        "`Wav2Vec2ForSpeechClassification` (soxan)", hidden("classifier", 5), heads=("speech_classification",), **SPEECH
    ),
    _case(
        "`HubertForSpeechClassification` (soxan)",
        hidden("classifier", 5),
        family="hubert",
        heads=("speech_classification",),
        architectures=["HubertForSpeechClassification"],
    ),
    _case(
        "content-vec (`HubertModelWithFinalProj`)",
        linear("final_proj", 6),
        family="hubert",
        prefix=False,
        heads=("pretraining",),
        architectures=["HubertModelWithFinalProj"],
    ),
    _case(
        "`dense` and `output` (ehcalabres)",
        hidden("classifier", 8, last="output"),
        aside=("`classifier.dense.weight`", "`classifier.output.weight`"),
        **SPEECH | {"architectures": ["Wav2Vec2ForSequenceClassification"]},
    ),
    _case(
        "`dense` and `out_proj`, class unknown",
        hidden("classifier", 4),
        aside=("`classifier.dense.weight`", "`classifier.out_proj.weight`"),
        architectures=["MyModel"],
    ),
    _case(
        "pooled by attention (`pooling_mode`)",
        hidden("classifier", 4),
        aside=("`classifier.dense.weight`",),
        **SPEECH | {"pooling_mode": "attention"},
    ),
    _case(
        "a plain `classifier`, class unknown",
        linear("classifier", 4),
        aside=("`classifier.weight`",),
        architectures=["EmotionClassifier"],
    ),
    _case(
        "a plain `classifier`, no class named",
        linear("classifier", 4),
        aside=("`classifier.weight`",),
        architectures=None,
    ),
    _case(
        "`projector` and `classifier`, class unknown",
        linear("projector", 7) | linear("classifier", 4, 7),
        aside=("`projector.weight`", "`classifier.weight`"),
        architectures=["AttentivePooling"],
    ),
    _case(
        "age in classes",
        hidden("age", 8) | hidden("gender", 2),
        aside=("`age.dense.weight`", "`gender.out_proj.weight`"),
        architectures=["AgeGenderModel"],
    ),
    _case(
        "layers of one's own beside the model",
        linear("head", 4) | {"pooling.attention": torch.ones(DIM)},
        family="wavlm",
        aside=("`head.weight`", "`pooling.attention`"),
        architectures=["WavLMWithHead"],
    ),
    _file(
        "ContentVec's own file (fairseq)",
        _content_vec,
        family="hubert",
        heads=("pretraining",),
        aside=(
            "`encoder.layers.*.self_attn.k_proj.weight`",
            "`encoder.cond_layer_norm.bias_ln.weight`",
            "`layer_proj.weight`",
        ),
    ),
    _file(
        "HuBERT with a layer of one's own (fairseq)",
        lambda: ({"_name": "hubert"}, linear("spk_proj", 5)),
        family="hubert",
        aside=("`spk_proj.weight`",),
    ),
    Case(
        layout="a classifier of one's own (torchaudio)",
        make=_torchaudio,
        aside=("`classifier.weight`",),
        parity="WavLMModel",
    ),
    Case(
        layout="inside of another model, whose `config.json` is unknown",
        wrapper="`ssl_model.`",
        make=_inside,
        aside=("`pool.attention.weight`", "`head.weight`"),
        parity="WavLMModel",
    ),
    _file("WavLM with a projection (unilm)", lambda: ({}, linear("proj", 5)), family="wavlm", aside=("`proj.weight`",)),
    _case(
        "a projection of one's own, no prefix",
        linear("proj", 4),
        family="wavlm",
        prefix=False,
        aside=("`proj.weight`",),
        architectures=["WavLMModel"],
    ),
)
