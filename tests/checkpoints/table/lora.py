"""LoRA, in a folder of its own or inside a checkpoint. The reference is merged by hand."""

import json

import torch
from safetensors.torch import save_file

from sonant.errors import CheckpointMismatch, UnsupportedCheckpoint
from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of

ROOT = "base_model.model."
LAYERS = [f"encoder.layers.{i}.attention.{name}" for i in (0, 1) for name in ("q_proj", "v_proj")]
CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"], "bias": "none"}


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def adapt(theirs, scale, *, prefix="", suffix="", rank=4, dora=False):
    """Merge a random LoRA into a model of transformers by hand, and return its tensors by the names of peft."""
    body, adapter = getattr(theirs, theirs.base_model_prefix, theirs), {}
    for number, module in enumerate(LAYERS):
        a, b = random(rank, 16 + number)[:, :16].contiguous(), random(16 + number, rank)[:16].contiguous()
        weight = body.get_submodule(module).weight.data
        weight += scale * (b @ a)
        adapter[f"{prefix}{module}.lora_A{suffix}.weight"] = a
        adapter[f"{prefix}{module}.lora_B{suffix}.weight"] = b
        if dora:
            lengths = random(17)[:16].abs() + 0.5
            weight *= (lengths / weight.norm(dim=1))[:, None]
            adapter[f"{prefix}{module}.lora_magnitude_vector{suffix}"] = lengths
    return adapter


def write(folder, adapter, **settings):
    folder.mkdir(exist_ok=True)
    save_file(adapter, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | settings))


def folder_case(words, *, scale=1.5, kind="Model", beside=(), head=(), overrides=None, dora=False, **settings):
    def make(folder):
        theirs = tiny.theirs("wavlm", kind)
        theirs.save_pretrained(folder / "base")
        prefix = ROOT + ("wavlm." if kind != "Model" else "")
        adapter = adapt(theirs, scale, prefix=prefix, dora=dora)
        for name in head:
            part = dict(theirs.named_parameters())[name]
            part.data += 1
            adapter[f"{ROOT}{name}"] = part.data.clone()
        base = {} if overrides else {"base_model_name_or_path": str(folder / "base")}
        write(folder / "lora", adapter, **base, **settings)
        given = overrides and {name: str(folder / value) for name, value in overrides.items()}
        return Made(source=folder / "lora", reference=states_of(theirs), overrides=given)

    heads = {"ForCTC": ("ctc",), "ForSequenceClassification": ("sequence_classification",)}.get(kind, ())
    layout = f"peft: `adapter_model.safetensors`, base `WavLM{kind}`"
    return Case(layout=layout, wrapper=words, make=make, heads=heads, parity="W + BA by hand", aside=beside)


def inside_case(words, *, overrides=None, config=True):
    """A whole checkpoint that was saved with its LoRA beside the weights."""

    def make(folder):
        theirs = tiny.theirs("wavlm")
        theirs.config.save_pretrained(folder)
        state = {f"{ROOT}{name}": tensor.clone() for name, tensor in theirs.state_dict().items()}
        for module in LAYERS:
            for part in ("weight", "bias"):
                state[f"{ROOT}{module}.base_layer.{part}"] = state.pop(f"{ROOT}{module}.{part}")
        state |= adapt(theirs, 1.5, prefix=ROOT, suffix=".default")
        save_file(state, folder / "model.safetensors")
        if config:
            (folder / "adapter_config.json").write_text(json.dumps(CONFIG))
        return Made(source=folder, reference=states_of(theirs), overrides=overrides)

    return Case(
        layout="`lora_A` and `base_layer` in `model.safetensors`", wrapper=words, make=make, parity="W + BA by hand"
    )


def refused(case, error, says):
    return Case(layout=case.layout, wrapper=case.wrapper, make=case.make, refused=error, says=says)


CASES = (
    folder_case("LoRA"),
    folder_case("LoRA", kind="ForCTC", head=("lm_head.weight", "lm_head.bias")),
    folder_case("LoRA, `modules_to_save`", kind="ForSequenceClassification", head=("classifier.weight",)),
    folder_case("LoRA, base by `overrides`", overrides={"base": "base"}),
    folder_case("rsLoRA", scale=3.0, use_rslora=True),
    folder_case("LoRA, `alpha_pattern`", scale=0.5, alpha_pattern={"attention.q_proj": 2, "v_proj": 2}),
    folder_case("DoRA", dora=True, use_dora=True),
    inside_case("LoRA beside the weights, `adapter_config.json`"),
    inside_case("LoRA beside the weights, scale by `overrides`", config=False, overrides={"lora_scale": 1.5}),
    refused(
        inside_case("LoRA beside the weights, nothing says its scale", config=False),
        CheckpointMismatch,
        r"a LoRA that is not merged .*overrides=\{'lora_scale': 2\.0\}",
    ),
    refused(folder_case("PiSSA", init_lora_weights="pissa"), UnsupportedCheckpoint, "init_lora_weights='pissa'"),
    refused(folder_case("another adapter", peft_type="LOHA"), UnsupportedCheckpoint, "of the kind 'LOHA'"),
)
