"""A model inside other containers, behind other names."""

import pytest
import torch
from safetensors.torch import load_file, save_file

import sonant
from sonant.checkpoints import differing, load_checkpoint
from sonant.checkpoints.name_maps.hf import HF
from sonant.checkpoints.wrappers import prefix_of, tensors_in
from sonant.errors import CheckpointMismatch, ConfigurationError, ModelWarning, UnknownName
from tests.checkpoints import tiny
from tests.checkpoints.table.families import conformer, sew


@pytest.fixture(scope="module")
def state():
    pytest.importorskip("transformers")
    return tiny.theirs("hubert").state_dict()


def test_tensors_are_named_by_where_they_lie():
    one, other = torch.ones(1), torch.zeros(2)
    nested = {
        "a": {"b": one, 3: {"c": one}},
        "list": [{"d": other}, 5, other],
        "number": 3,
        "optimizer": {0: {"e": one}},
    }
    assert {name: id(tensor) for name, tensor in tensors_in(nested).items()} == {"a.b": id(one), "list.0.d": id(other)}


def test_a_container_in_itself_ends():
    inside = {"weight": torch.ones(1)}
    inside["again"] = [inside] * 1000
    assert list(tensors_in(inside)) == ["weight"]
    for _ in range(2000):
        inside = {"deeper": inside}
    assert not tensors_in(inside)


def test_several_models_of_one_family(state):
    both = {f"a.{name}": tensor for name, tensor in state.items()}
    both |= {f"b.{name}": tensor.clone() for name, tensor in state.items()}
    assert prefix_of(both, HF, source="x", family="hubert") == "a."  # the same under two names
    both["b.encoder.layers.1.final_layer_norm.bias"] += 1
    with pytest.raises(CheckpointMismatch, match=r"2 models .*'a\.' \(\d+ tensors\), 'b\.' "):
        prefix_of(both, HF, source="x", family="hubert")
    for given in ("b", "b."):
        assert prefix_of(both, HF, source="x", family="hubert", wanted=given) == "b."
    with pytest.raises(UnknownName, match=r"'c'.*'a\.', 'b\.'"):
        prefix_of(both, HF, source="x", family="hubert", wanted="c")


def test_a_smaller_student_is_a_model_of_its_own(state):
    student = {f"student.{name}": tensor for name, tensor in state.items() if ".layers.1." not in name}
    with pytest.raises(CheckpointMismatch, match="2 models of this family"):
        prefix_of(state | student, HF, source="x", family="hubert")


def test_what_the_models_own_class_would_refuse_is_refused_when_wrapped(tmp_path, state):
    tiny.theirs("hubert").save_pretrained(tmp_path)
    inside = {f"module.hubert.{name}": tensor for name, tensor in state.items()}
    save_file(inside | {"module.hubert.encoder.extra": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointMismatch, match=r"Left over \(1\): encoder\.extra"):
        load_checkpoint(tmp_path)
    save_file(inside | {"module.extra": torch.ones(2), "extra": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.warns(ModelWarning, match=r"without module\.extra, extra\."):
        load_checkpoint(tmp_path)


def test_the_door_takes_the_prefix(tmp_path, state):
    tiny.theirs("hubert").save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    teacher = {f"teacher.{name}": tensor + 1 for name, tensor in state.items()}
    save_file({f"student.{name}": tensor for name, tensor in state.items()} | teacher, tmp_path / "model.safetensors")
    with pytest.warns(ModelWarning, match="teacher"):
        encoder = sonant.load(tmp_path, overrides={"prefix": "student"}, device="cpu")
    with pytest.warns(ModelWarning, match="student"):
        checkpoint = load_checkpoint(tmp_path, overrides={"prefix": "teacher"})
    differences = differing(encoder.model.state_dict(), checkpoint.backbone_state)
    assert len(differences) == len(checkpoint.backbone_state)


def test_a_state_dict_with_settings_in_a_tuple(tmp_path, state):
    tiny.theirs("hubert").config.save_pretrained(tmp_path)
    torch.save((state, {"lr": 0.1}), tmp_path / "model.pt")
    assert load_checkpoint(tmp_path / "model.pt").family == "hubert"


@pytest.mark.parametrize("family", ["unispeech", "unispeech_sat"])
def test_a_family_of_the_same_shape_is_the_one_that_was_given(tmp_path, family):
    theirs = tiny.theirs(family)
    theirs.save_pretrained(tmp_path)
    torch.save(theirs.state_dict(), tmp_path / "alone.pt")
    expected = load_checkpoint(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ConfigurationError, match="UniSpeech-SAT but nothing that says how it is used"):
        load_checkpoint(tmp_path / "alone.pt")
    given = {"family": family, "normalize": False, "num_heads": 2}
    found = load_checkpoint(tmp_path / "alone.pt", overrides=given)
    assert found.family == family
    assert not differing(found.backbone_state, expected.backbone_state)


@pytest.mark.parametrize("name", ["data2vec", "SEW", "wav2vec 2.0 Conformer"])
def test_a_family_whose_sizes_the_shapes_do_not_tell_is_named(tmp_path, name):
    make = {"data2vec": lambda: tiny.theirs("data2vec", norm="layer"), "SEW": sew, "wav2vec 2.0 Conformer": conformer}
    torch.save({f"module.{key}": tensor for key, tensor in make[name]().state_dict().items()}, tmp_path / "x.pt")
    with pytest.raises(ConfigurationError, match=rf"weights of a {name}, whose sizes.*config\.json"):
        load_checkpoint(tmp_path / "x.pt", overrides={"family": "hubert", "normalize": False})
