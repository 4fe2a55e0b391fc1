"""Folders of transformers."""

import json

import torch
from safetensors.torch import load_file, save_file

from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of

HEADS = {
    "Model": (),
    "ForCTC": ("ctc",),
    "ForSequenceClassification": ("sequence_classification",),
    "ForAudioFrameClassification": ("frame_classification",),
    "ForXVector": ("xvector",),
    "ForPreTraining": ("pretraining",),
}


def _class(family, kind, norm):
    def make(folder):
        theirs = tiny.theirs(family, kind, norm)
        theirs.save_pretrained(folder)
        return Made(source=folder, reference=states_of(theirs))

    name = f"{tiny.TRANSFORMERS[family]}{kind}"
    return Case(layout=f"`{name}`, {norm} norm", make=make, heads=HEADS[kind], parity=name)


def _container(words, rewrite):
    def make(folder):
        theirs = tiny.theirs("hubert")
        theirs.save_pretrained(folder)
        state = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        return Made(source=rewrite(folder, state) or folder, reference=states_of(theirs))

    return Case(layout=words, make=make, parity="HubertModel")


def _bin(folder, state):
    torch.save(state, folder / "pytorch_model.bin")


def _old_bin(folder, state):
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def _shards(folder, state):
    shards = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    table = {name: shards[i % 2] for i, name in enumerate(state)}
    for shard in shards:
        save_file({name: state[name] for name in state if table[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))


def _by_another_name(folder, state):
    save_file(state, folder / "mine.safetensors")
    return folder / "mine.safetensors"


def _old_spelling(folder, state):
    for old, new in (("original0", "weight_g"), ("original1", "weight_v")):
        state = {name.replace(f"parametrizations.weight.{old}", new): tensor for name, tensor in state.items()}
    save_file(state, folder / "model.safetensors")


CASES = (
    *(
        _class(family, kind, norm)
        for family, kinds in (
            ("wavlm", ("Model", "ForCTC", "ForSequenceClassification", "ForAudioFrameClassification", "ForXVector")),
            ("hubert", ("Model", "ForCTC", "ForSequenceClassification")),
            ("wav2vec2", HEADS),
        )
        for kind in kinds
        for norm in (("group", "layer") if kind == "Model" else ("group",))
    ),
    _container("`pytorch_model.bin`", _bin),
    _container("`pytorch_model.bin` from before torch 1.6", _old_bin),
    _container("shards with their index", _shards),
    _container("a file of any name beside `config.json`", _by_another_name),
    _container("weight norm as `weight_g`, `weight_v`", _old_spelling),
)
