"""A LoRA is merged as its arithmetic says, by hand; what would be another sum is refused by name."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from sonant.checkpoints import load_checkpoint
from sonant.checkpoints.lora import Scaling, merged, merged_inside, scaling_in
from sonant.errors import (
    CheckpointMismatch,
    CheckpointUnavailable,
    ConfigurationError,
    CorruptedCheckpoint,
    ModelWarning,
    UnknownCheckpoint,
    UnknownName,
    UnsupportedCheckpoint,
)
from tests.checkpoints import tiny
from tests.checkpoints.table.lora import CONFIG, LAYERS, adapt, random, write

W, A, B = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, -1.0]]), torch.tensor([[2.0], [0.5]])


def test_a_product_worked_out_by_hand():
    state, absent = merged({"x.weight": W}, {"x.lora_A.weight": A, "x.lora_B.weight": B}, Scaling(alpha=3.0), "")
    assert torch.equal(state["x.weight"], torch.tensor([[7.0, -4.0], [4.5, 2.5]]))
    assert not absent
    assert torch.equal(W, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_the_scale():
    scaling = Scaling(alpha=8.0, alphas={"layers.1.q_proj": 2.0, "k_proj": 1.0})
    assert [scaling.of(m, 4) for m in ("a.q_proj", "a.layers.1.q_proj", "b.k_proj", "b.xk_proj")] == [2, 0.5, 0.25, 2]
    assert Scaling(alpha=8.0, root=True).of("x", 4) == 4.0


def test_dora_keeps_the_lengths_that_it_learned():
    parts = {"x.lora_A.weight": A, "x.lora_B.weight": B, "x.lora_magnitude_vector": torch.tensor([5.0, 2.0])}
    state, _ = merged({"x.weight": W}, parts, Scaling(alpha=1.0), "")
    direction = W + B @ A
    torch.testing.assert_close(state["x.weight"].norm(dim=1), torch.tensor([5.0, 2.0]))
    torch.testing.assert_close(torch.cosine_similarity(state["x.weight"], direction), torch.ones(2))


def test_a_convolution_and_a_bias():
    weight, a, b = random(3, 2, 5), random(4, 2, 5), random(3, 4, 1)
    parts = {"x.lora_A.weight": a, "x.lora_B.weight": b, "x.lora_B.bias": torch.ones(3)}
    state, _ = merged({"x.weight": weight, "x.bias": torch.zeros(3)}, parts, Scaling(alpha=4.0), "")
    torch.testing.assert_close(state["x.weight"], weight + torch.einsum("or,rik->oik", b[:, :, 0], a))
    assert torch.equal(state["x.bias"], torch.ones(3))


def test_types_are_kept_and_sums_are_float32():
    state, _ = merged({"x.weight": W.half()}, {"x.lora_A.weight": A, "x.lora_B.weight": B}, Scaling(), "")
    assert state["x.weight"].dtype == torch.float16


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ({"x.lora_A.weight": A}, CheckpointMismatch),
        ({"x.lora_A.weight": A, "x.lora_B.weight": B.T}, CheckpointMismatch),
        ({"x.lora_A.weight": A, "x.lora_B.weight": torch.ones(3, 1)}, CheckpointMismatch),
        ({"x.lora_embedding_A": A}, UnsupportedCheckpoint),
        ({f"x.lora_A.{n}.weight": A for n in "ab"} | {f"x.lora_B.{n}.weight": B for n in "ab"}, CheckpointMismatch),
    ],
)
def test_parts_that_do_not_fit(parts, error):
    with pytest.raises(error):
        merged({"x.weight": W}, parts, Scaling(), "")


def test_modules_trained_whole_replace_the_original():
    saved = {"c.original_module.weight": W, "c.modules_to_save.default.weight": W + 1, "x.base_layer.weight": W}
    parts = {"x.lora_A.default.weight": A, "x.lora_B.default.weight": B}
    state = merged_inside(saved | parts, Scaling(), "")
    assert state.keys() == {"c.weight", "x.weight"}
    assert torch.equal(state["c.weight"], W + 1)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"peft_type": "ADALORA"}, UnsupportedCheckpoint),
        ({"init_lora_weights": "olora"}, UnsupportedCheckpoint),
        ({"alora_invocation_tokens": [1]}, UnsupportedCheckpoint),
        ({"alpha_pattern": {"layers.*": 2}}, UnsupportedCheckpoint),
        ({"lora_alpha": None}, CorruptedCheckpoint),
        ({"alpha_pattern": {"x": "2"}}, CorruptedCheckpoint),
    ],
)
def test_settings_that_mean_another_sum_are_refused(settings, error):
    with pytest.raises(error):
        scaling_in(CONFIG | settings, "")


def test_a_scale_that_is_none_and_one_that_nothing_needs(tmp_path):
    tiny.theirs("hubert").save_pretrained(tmp_path)
    with pytest.raises(UnknownName, match="lora_scale"):
        load_checkpoint(tmp_path, overrides={"lora_scale": 2.0})
    state = load_file(tmp_path / "model.safetensors")
    save_file(state | {f"{LAYERS[0]}.lora_A.weight": random(4, 16)}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigurationError, match="expected a number"):
        load_checkpoint(tmp_path, overrides={"lora_scale": "two"})


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("transformers")
    theirs = tiny.theirs("hubert")
    theirs.save_pretrained(tmp_path / "base")
    write(tmp_path / "lora", adapt(theirs, 1.5, prefix="base_model.model.hubert."))
    return tmp_path


def test_a_base_that_is_nowhere(folder):
    with pytest.raises(CheckpointUnavailable, match=r"does not say which model it adapts.*\{'base': "):
        load_checkpoint(folder / "lora")
    write(folder / "lora", {}, base_model_name_or_path="/home/other/base")
    with pytest.raises(CheckpointUnavailable, match=r"adapts /home/other/base, which is no folder here"):
        load_checkpoint(folder / "lora")


def test_the_base_is_named_otherwise_than_the_adapter(folder):
    checkpoint = load_checkpoint(folder / "lora", overrides={"base": folder / "base"})
    assert checkpoint.family == "hubert"
    wider = tiny.theirs("hubert", num_hidden_layers=1)
    wider.save_pretrained(folder / "small")
    with pytest.raises(CheckpointMismatch, match="was trained on another model"):
        load_checkpoint(folder / "lora", overrides={"base": folder / "small"})


def test_heads_of_the_base_that_the_adapted_class_does_not_have_are_named(folder):
    theirs = tiny.theirs("hubert", "ForCTC")
    theirs.save_pretrained(folder / "base")
    adapter = adapt(theirs, 1.5, prefix="base_model.model.hubert.")
    write(folder / "lora", adapter, auto_mapping={"base_model_class": "HubertForSequenceClassification"})
    with pytest.warns(ModelWarning, match=r"without lm_head\.(weight|bias), lm_head"):
        assert not load_checkpoint(folder / "lora", overrides={"base": folder / "base"}).heads


def test_a_preprocessor_and_tokens_beside_the_adapter_count(folder):
    theirs = tiny.theirs("hubert", "ForCTC")
    theirs.save_pretrained(folder / "base")
    write(folder / "lora", adapt(theirs, 1.5, prefix="base_model.model.hubert."))
    (folder / "lora" / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    (folder / "lora" / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate("_|abcdefghi")}))
    checkpoint = load_checkpoint(folder / "lora", overrides={"base": folder / "base"})
    assert checkpoint.normalize
    assert checkpoint.heads["ctc"].metadata["vocabulary"] == [*"_|abcdefghi"]


def test_a_part_of_the_backbone_that_the_base_lacks_is_an_error(folder):
    tensors = adapt(tiny.theirs("hubert"), 1.5, prefix="base_model.model.hubert.")
    tensors["base_model.model.hubert.encoder.extra"] = torch.ones(2)
    save_file(tensors, folder / "lora" / "adapter_model.safetensors")
    with pytest.raises(CheckpointMismatch, match=r"encoder\.extra"):
        load_checkpoint(folder / "lora", overrides={"base": folder / "base"})


@pytest.mark.parametrize("base", ["lora", "second"])
def test_a_base_that_is_a_lora_is_refused(folder, base):
    write(folder / "second", adapt(tiny.theirs("hubert"), 1.5, prefix="base_model.model.hubert."))
    with pytest.raises(UnsupportedCheckpoint, match=r"which is a LoRA itself.*merge_and_unload"):
        load_checkpoint(folder / "lora", overrides={"base": folder / base})


def test_a_part_of_an_adapter_alone(folder):
    with pytest.raises(CheckpointMismatch, match=r"without the model that it adapts\. Give its folder"):
        load_checkpoint(folder / "lora" / "adapter_model.safetensors")
    (folder / "lora" / "adapter_model.safetensors").unlink()
    with pytest.raises(UnknownCheckpoint, match=r"an adapter but no weights: expected adapter_model\.safetensors"):
        load_checkpoint(folder / "lora")
