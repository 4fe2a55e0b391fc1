"""Whatever goes through a format comes out of it bit for bit, and the tables have no gaps."""

import itertools

import pytest
import torch

from sonant.checkpoints import Checkpoint, differing, load_backbone, load_checkpoint, save_checkpoint
from sonant.checkpoints.checkpoint import shapes_of
from sonant.checkpoints.convert import convert_checkpoint
from sonant.checkpoints.fairseq import rows_for, rows_in
from sonant.checkpoints.name_maps.hf import HF
from sonant.checkpoints.parameter_names import read, write
from sonant.checkpoints.torchaudio import rows_for as torchaudio_rows
from sonant.errors import ConfigurationError, CorruptedCheckpoint, UnknownCheckpoint, UnknownName
from sonant.models import build, wav2vec2, wavlm

FAMILIES = ["wavlm", "hubert", "wav2vec2"]
FORMATS = ["hf", "sonant", "unilm", "fairseq", "torchaudio"]
KINDS = [
    "ctc",
    "sequence_classification",
    "speech_classification",
    "age_gender",
    "frame_classification",
    "xvector",
    "pretraining",
]
PAIRS = [pair for pair in itertools.product(FAMILIES, FORMATS) if pair[1] != "unilm" or pair[0] == "wavlm"]


def assert_same(left, right):
    assert left.config == right.config
    assert not differing(left.backbone_state, right.backbone_state)
    assert left.heads.keys() == right.heads.keys()
    for kind, head in left.heads.items():
        assert not differing(head.tensors, right.heads[kind].tensors)
        assert head.metadata.items() <= right.heads[kind].metadata.items()


CASES = [("layer", []), ("layer", KINDS), ("group", []), *(("group", [kind]) for kind in KINDS)]


@pytest.mark.parametrize(("norm", "heads"), CASES, ids=lambda case: "+".join(case) if isinstance(case, list) else case)
@pytest.mark.parametrize(("family", "to"), PAIRS)
def test_there_and_back(tmp_path, checkpoint_of, family, to, norm, heads):
    checkpoint = checkpoint_of(family, norm, heads)
    save_checkpoint(tmp_path / "x", checkpoint, to=to)
    got = load_checkpoint(tmp_path / "x")
    assert got.format == to
    assert_same(checkpoint, got)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("to", FORMATS)
def test_types_are_kept(tmp_path, checkpoint_of, to, dtype):
    checkpoint = checkpoint_of("wavlm", heads=KINDS, dtype=dtype)
    save_checkpoint(tmp_path / "x", checkpoint, to=to)
    assert_same(checkpoint, load_checkpoint(tmp_path / "x"))


@pytest.mark.parametrize("family", FAMILIES)
def test_from_every_format_to_every_other(tmp_path, checkpoint_of, family):
    first = checkpoint_of(family, heads=KINDS)
    formats = [to for to in FORMATS if (family, to) in PAIRS]
    for one, other in itertools.permutations(formats, 2):
        save_checkpoint(tmp_path / f"{one}-{other}.1", first, to=one)
        middle = load_checkpoint(tmp_path / f"{one}-{other}.1")
        save_checkpoint(tmp_path / f"{one}-{other}.2", middle, to=other)
        last = load_checkpoint(tmp_path / f"{one}-{other}.2")
        assert (middle.format, last.format) == (one, other)
        assert_same(first, last)


def test_safetensors_are_known_whatever_length_they_begin_with(tmp_path, checkpoint_of):
    from safetensors.torch import load_file, save_file

    save_checkpoint(tmp_path, checkpoint_of(), to="hf")
    state, starts = load_file(tmp_path / "model.safetensors"), set()
    for padding in range(0, 600, 8):  # the first byte of the length of the header passes 0x80, the start of a pickle
        save_file(state, tmp_path / "model.safetensors", metadata={"note": "x" * padding})
        starts.add((tmp_path / "model.safetensors").read_bytes()[0])
        if starts & {0x80}:
            break
    assert 0x80 in starts
    assert load_checkpoint(tmp_path).family == "wavlm"


@pytest.mark.parametrize("to", ["unilm", "fairseq", "torchaudio"])
def test_files_are_plain_to_torch(tmp_path, checkpoint_of, to):
    save_checkpoint(tmp_path / "x", checkpoint_of("wavlm", heads=KINDS), to=to)
    assert torch.load(tmp_path / "x", weights_only=True)


def test_a_file_may_be_rewritten_from_itself(tmp_path, checkpoint_of):
    first = checkpoint_of("wavlm")
    save_checkpoint(tmp_path / "x", first, to="unilm")
    mapped = load_checkpoint(tmp_path / "x")
    save_checkpoint(tmp_path / "x", mapped, to="torchaudio")
    assert_same(first, mapped)
    assert_same(first, load_checkpoint(tmp_path / "x"))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("to", FORMATS)
def test_training_a_loaded_model_leaves_its_file_alone(tmp_path, checkpoint_of, to):
    save_checkpoint(tmp_path / "x", checkpoint_of("wavlm"), to=to)
    files = list((tmp_path / "x").rglob("*")) if to in ("hf", "sonant") else [tmp_path / "x"]
    before = [path.read_bytes() for path in files]
    with torch.no_grad():
        for parameter in load_backbone(tmp_path / "x").parameters():
            parameter.add_(1)
    assert [path.read_bytes() for path in files] == before


def test_tensors_that_share_memory_are_written_apart(tmp_path, checkpoint_of):
    checkpoint = checkpoint_of("hubert")
    big = torch.randn(4, 16)
    state = checkpoint.backbone_state | {
        "mask_embedding": big[1],
        "projection.linear.bias": big[1],
        "encoder.norm.bias": big[:, 3].repeat(4),
    }
    shared = Checkpoint(checkpoint.config, state)
    for to in ("hf", "fairseq", "torchaudio"):
        save_checkpoint(tmp_path / to, shared, to=to)
        assert_same(shared, load_checkpoint(tmp_path / to))


@pytest.mark.parametrize(
    "config", [wavlm.LARGE, wav2vec2.LARGE_LV60, wav2vec2.LARGE_LS960], ids=lambda c: type(c).__name__
)
def test_every_tensor_of_a_model_has_one_name_everywhere(config):
    family = "wavlm" if "WavLM" in type(config).__name__ else "wav2vec2"
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes_of(config).items()}
    tables = [(HF, HF), (rows_for(config), rows_in(())), (torchaudio_rows(family, mask=True),) * 2]
    for writing, reading in tables:
        foreign, homeless = write(tensors, writing)
        assert not homeless
        back = read(foreign, reading, {})
        assert not back.unknown
        assert {name: tensor.shape for name, tensor in back.backbone.items()} == {
            name: tensor.shape for name, tensor in tensors.items()
        }


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("family", FAMILIES)
def test_hollow_models_have_the_shapes_of_real_ones(config_of, family, norm):
    config = config_of(family, norm)
    real = {name: tuple(tensor.shape) for name, tensor in build(config).state_dict().items()}
    assert shapes_of(config) == real


def test_backbones_run_and_train(tmp_path, checkpoint_of):
    from sonant.layers.packed import Packed

    save_checkpoint(tmp_path / "x", checkpoint_of("wavlm", dtype=torch.float16), to="unilm")
    backbone = load_backbone(tmp_path / "x")
    assert not backbone.training
    last = backbone(Packed.pack([torch.randn(2000), torch.randn(900)])).last
    last.sum().backward()
    assert all(
        parameter.grad is not None for name, parameter in backbone.named_parameters() if name != "mask_embedding"
    )


class TestConvert:
    @pytest.mark.parametrize("to", FORMATS)
    def test_a_conversion_proves_itself(self, tmp_path, checkpoint_of, to):
        save_checkpoint(tmp_path / "source", checkpoint_of("wavlm", "layer", heads=["ctc"]), to="hf")
        report = convert_checkpoint(tmp_path / "source", tmp_path / "there", to=to)
        assert report.faithful
        assert report.output_difference == 0
        assert report.num_tensors == len(shapes_of(load_checkpoint(tmp_path / "source").config)) + 2
        assert (report.source_format, report.format, report.heads) == ("hf", to, ("ctc",))

    def test_a_difference_is_found(self, tmp_path, checkpoint_of, monkeypatch):
        from sonant.checkpoints import convert

        save_checkpoint(tmp_path / "source", checkpoint_of("wavlm"), to="hf")
        original = convert.save_checkpoint

        def careless(path, checkpoint, *, to):
            state = dict(checkpoint.backbone_state)
            state["encoder.norm.bias"] = torch.nextafter(state["encoder.norm.bias"], torch.tensor(9.0))
            return original(path, Checkpoint(checkpoint.config, state), to=to)

        monkeypatch.setattr(convert, "save_checkpoint", careless)
        report = convert_checkpoint(tmp_path / "source", tmp_path / "there", to="unilm")
        assert not report.faithful
        assert report.changed_tensors == ("encoder.norm.bias",)
        assert report.output_difference > 0

    def test_what_is_there_is_kept(self, tmp_path, checkpoint_of):
        save_checkpoint(tmp_path / "source", checkpoint_of(), to="hf")
        (tmp_path / "there").write_text("precious")
        with pytest.raises(ConfigurationError, match="exists"):
            convert_checkpoint(tmp_path / "source", tmp_path / "there", to="unilm")
        assert (tmp_path / "there").read_text() == "precious"
        assert convert_checkpoint(tmp_path / "source", tmp_path / "there", to="unilm", overwrite=True).faithful


def test_differing_sees_every_bit():
    nan, zero = torch.tensor([float("nan")]), torch.zeros(1)
    assert not differing({"a": nan}, {"a": nan.clone()})
    assert differing({"a": zero}, {"a": -zero}) == ["a"]
    assert differing({"a": zero}, {"a": zero.half()}) == ["a"]
    assert differing({"a": zero}, {"a": zero[None]}) == ["a"]
    assert differing({"a": zero, "b": zero}, {"a": zero}) == ["b"]


class TestOtherFiles:
    @pytest.mark.parametrize(
        ("content", "error", "word"),
        [
            (b"", CorruptedCheckpoint, "empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", UnknownCheckpoint, "Git LFS"),
            (b"<!DOCTYPE html><html>404</html>", UnknownCheckpoint, "web page"),
            (b'{"model_type": "wavlm"}', UnknownCheckpoint, "JSON"),
            (b"\x1f\x8b\x08\x00", UnknownCheckpoint, "archive"),
            (b"hello world, this is no checkpoint", UnknownCheckpoint, "hello"),
            (b"\x80\x02}q\x00.", UnknownCheckpoint, "torch.save"),
            (b"\x80", UnknownCheckpoint, "torch.save"),
            (b"PK\x03\x04", CorruptedCheckpoint, "cut short"),
            (b"\xff\xff\xff\xff\xff\xff\xff\x7f{", UnknownCheckpoint, "begins"),
            (b'\xff\xff\xff\xff\xff\xff\xff\x7f{"a"', CorruptedCheckpoint, "header"),
        ],
    )
    def test_are_told_apart(self, tmp_path, content, error, word):
        (tmp_path / "model.pt").write_bytes(content)
        with pytest.raises(error, match=word) as caught:
            load_checkpoint(tmp_path / "model.pt")
        assert str(tmp_path / "model.pt") in str(caught.value)

    @pytest.mark.parametrize(
        ("value", "word"),
        [
            ([1, 2], "list"),
            ({}, "empty"),
            ({"state_dict": {}, "epoch": 3}, "'epoch'"),
            ({"a": torch.ones(1)}, r"config\.json"),
        ],
    )
    def test_other_things_that_torch_saved(self, tmp_path, value, word):
        torch.save(value, tmp_path / "x.pt")
        with pytest.raises((UnknownCheckpoint, CorruptedCheckpoint), match=word):
            load_checkpoint(tmp_path / "x.pt")

    def test_a_folder_of_something_else(self, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(UnknownCheckpoint, match=r"notes\.txt"):
            load_checkpoint(tmp_path)

    def test_a_revision_of_a_folder(self, tmp_path):
        with pytest.raises(ConfigurationError, match="revision"):
            load_checkpoint(tmp_path, revision="main")

    def test_an_unknown_format(self, tmp_path, checkpoint_of):
        with pytest.raises(UnknownName, match="torchaudio"):
            save_checkpoint(tmp_path / "x", checkpoint_of(), to="onnx")

    def test_a_file_where_a_folder_belongs_and_the_reverse(self, tmp_path, checkpoint_of):
        (tmp_path / "file").write_text("x")
        with pytest.raises(ConfigurationError, match="folder"):
            save_checkpoint(tmp_path / "file", checkpoint_of(), to="hf")
        with pytest.raises(ConfigurationError, match="one file"):
            save_checkpoint(tmp_path, checkpoint_of(), to="unilm")
