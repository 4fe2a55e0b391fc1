"""wav2vec 2.0 in the layout of fairseq2: recognition, sizes, the tokens of its CTC head, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sonant.api import SpeechEncoder
from sonant.checkpoints import differing, load_backbone, load_checkpoint, make_backbone, save_checkpoint
from sonant.checkpoints.checkpoint import shapes_of
from sonant.checkpoints.fairseq2_tokenizer import tokenizer_metadata
from sonant.decoding import ctc
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.errors import (
    CheckpointError,
    CheckpointMismatch,
    ConfigurationError,
    ModelWarning,
    UnsafeCheckpoint,
    UnsupportedCheckpoint,
)
from sonant.models import Wav2Vec2Config
from tests.checkpoints.test_loading_cost import mappings
from tests.checkpoints.test_sentencepiece_model import TEXTS, sentencepiece, trained
from tests.parity.recorded import recording

CASES = recording("fairseq2")
HEADS = {"num_heads": 4}


@pytest.fixture
def weights():
    """The tensors of a recorded model under fairseq2's names: `weights("recognition", tokens=50)`."""

    def make(name="recognition", tokens=None):
        state = CASES[name].weights
        if tokens is not None:
            generator = torch.Generator().manual_seed(tokens)
            state["final_proj.weight"] = torch.randn(tokens, 16, generator=generator)
            state["final_proj.bias"] = torch.randn(tokens, generator=generator)
        return state

    return make


def _folded(state):
    """Weight norm folded into the weight."""
    direction, gain = (state.pop(f"encoder_frontend.pos_encoder.conv.weight_{part}") for part in "vg")
    return state | {"encoder_frontend.pos_encoder.conv.weight": torch._weight_norm(direction, gain, 2)}


FORMS = {
    "published": lambda state: {"model": state, "fs2": True},
    "of its trainer": dict,
    "in parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "of Lightning": lambda state: {"state_dict": {f"net._orig_mod.{name}": tensor for name, tensor in state.items()}},
    "folded": _folded,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_containers_around_the_tensors(tmp_path, weights, form):
    state = weights()
    bias = state["final_proj.bias"]
    torch.save(FORMS[form](state), tmp_path / "x.pt")
    checkpoint = load_checkpoint(tmp_path / "x.pt", overrides=HEADS)
    assert (checkpoint.format, checkpoint.family, list(checkpoint.heads)) == ("fairseq2", "wav2vec2", ["ctc"])
    assert torch.equal(checkpoint.heads["ctc"].tensors["bias"], bias)


def test_safetensors(tmp_path, weights):
    save_file(weights(), tmp_path / "x.safetensors")
    assert load_checkpoint(tmp_path / "x.safetensors", overrides=HEADS).format == "fairseq2"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the kernel does not say what is mapped where")
def test_the_numbers_stay_in_the_mapped_file(tmp_path, weights):
    torch.save({"model": weights()}, tmp_path / "x.pt")
    state = load_backbone(tmp_path / "x.pt", overrides=HEADS).state_dict()
    mapped = list(mappings((tmp_path / "x.pt").resolve()))
    elsewhere = [n for n, tensor in state.items() if not any(tensor.data_ptr() in addresses for addresses in mapped)]
    assert elsewhere == ["mask_embedding"]  # which a model for recognition has not


@pytest.mark.parametrize("name", ["layer norm", "group norm", "recognition"])
@pytest.mark.parametrize("to", ["hf", "fairseq", "sonant", "torchaudio"])
def test_into_other_layouts(tmp_path, weights, name, to):
    torch.save({"model": weights(name)}, tmp_path / "x.pt")
    checkpoint = load_checkpoint(tmp_path / "x.pt", overrides=HEADS)
    save_checkpoint(tmp_path / "y", checkpoint, to=to)
    again = load_checkpoint(tmp_path / "y", overrides=HEADS | {"family": "wav2vec2"} if to == "torchaudio" else None)
    assert not differing(again.backbone_state, checkpoint.backbone_state)
    assert again.normalize is checkpoint.normalize
    for kind, head in checkpoint.heads.items():
        assert not differing(again.heads[kind].tensors, head.tensors)


# Of omniASR: the shape, the width of the quantizer, and the parameters that its authors' README gives for the model
# with the head of pretraining, and with that of CTC.
SIZES = {
    "300M": ({"dim": 1024, "num_layers": 24, "feed_forward_dim": 4096}, 768, 317_390_592, 325_494_996),
    "1B": ({"dim": 1280, "num_layers": 48, "feed_forward_dim": 5120}, 1024, 965_514_752, 975_065_300),
    "3B": ({"dim": 2048, "num_layers": 60, "feed_forward_dim": 8192}, 1024, 3_064_124_672, 3_080_423_636),
    "7B": ({"dim": 2048, "num_layers": 128, "feed_forward_dim": 8192}, 1024, 6_488_487_168, 6_504_786_132),
}


@pytest.mark.parametrize(
    "size", [pytest.param(size, marks=pytest.mark.slow if size in ("3B", "7B") else ()) for size in SIZES]
)
def test_the_published_sizes(size):
    """Deduced from the shapes alone, with every tensor in its place and as many parameters as published."""
    from sonant.checkpoints.fairseq2_wav2vec2 import read_wav2vec2
    from sonant.checkpoints.name_maps.fairseq2 import FAIRSEQ2_CONTRAST, FAIRSEQ2_CTC, FAIRSEQ2_WAV2VEC2
    from sonant.checkpoints.parameter_names import write

    shape, quantized, pretraining, recognition = SIZES[size]
    expected = Wav2Vec2Config(
        conv_bias=True, extractor_norm="layer", pre_norm=True, normalize=True, num_heads=16, **shape
    )
    dim = expected.dim
    backbone = {name: torch.empty(s, device="meta") for name, s in shapes_of(expected).items()}
    heads = {
        "pretraining": (
            FAIRSEQ2_CONTRAST,
            {
                "quantizer.codebook": (1, 640, quantized // 2),
                "quantizer.projections.0.weight": (640, 512),
                "quantizer.projections.0.bias": (640,),
                "target_projection.weight": (quantized, quantized),
                "target_projection.bias": (quantized,),
                "projection.weight": (quantized, dim),
                "projection.bias": (quantized,),
            },
            pretraining,
        ),
        "ctc": (FAIRSEQ2_CTC, {"weight": (9812, dim), "bias": (9812,)}, recognition),
    }
    for kind, (table, shapes, total) in heads.items():
        head = {name: torch.empty(s, device="meta") for name, s in shapes.items()}
        body = backbone if kind == "pretraining" else {k: v for k, v in backbone.items() if k != "mask_embedding"}
        file = write(body, FAIRSEQ2_WAV2VEC2)[0] | write(head, table.rows)[0]
        assert sum(tensor.numel() for tensor in file.values()) == total
        checkpoint = read_wav2vec2(file, "x.pt")
        assert checkpoint.config == expected
        assert list(checkpoint.heads) == [kind]
    assert read_wav2vec2(write(backbone, FAIRSEQ2_WAV2VEC2)[0], "x.pt").heads == {}


# The tokens of a CTC head


def beside(folder, weights, data, name="omniASR_tokenizer.model"):
    """A file of weights with a CTC head for the pieces of a sentencepiece model, which lies beside it."""
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    torch.save({"model": weights(tokens=theirs.get_piece_size())}, folder / "x.pt")
    (folder / name).write_bytes(data)
    return theirs


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_text_is_that_of_sentencepiece(tmp_path, weights, kind):
    """Tokens, parted by the blank, give the text that sentencepiece makes of them; "|" is a letter."""
    theirs = beside(tmp_path, weights, trained(kind, size=60))
    head = load_checkpoint(tmp_path / "x.pt", overrides=HEADS).heads["ctc"]
    vocabulary = CTCVocabulary.of(
        head.metadata["vocabulary"], blank=head.metadata["blank"], tokenizer=head.metadata["tokenizer"]
    )
    assert "|" in TEXTS[2]
    for text in dict.fromkeys(TEXTS):
        numbers = np.array([n for number in [1, *theirs.encode(text), 2] for n in (number, number, 0)])
        path = ctc.BestPath(numbers, np.ones(len(numbers), np.float32))
        got = ctc.path_transcript(path, vocabulary, frame_rate=50, duration_seconds=1)
        assert got.text == theirs.decode(theirs.encode(text)) == text


def encoder_of(path):
    checkpoint = load_checkpoint(path, overrides=HEADS)
    return SpeechEncoder(make_backbone(checkpoint), name="x", heads=checkpoint.heads)


def test_transcription_end_to_end(tmp_path, weights):
    """Recordings to text, alone and in a batch, as omnilingual-asr makes it: likeliest pieces, runs joined."""
    theirs = beside(tmp_path, weights, trained())
    encoder = encoder_of(tmp_path / "x.pt")
    assert "transcription" in encoder.abilities
    clips = [torch.randn(size, generator=torch.Generator().manual_seed(size)).numpy() for size in (20_000, 9_000)]
    together = encoder.transcribe(clips)
    assert [one.text for one in together] == [encoder.transcribe(clip).text for clip in clips]
    head = load_checkpoint(tmp_path / "x.pt", overrides=HEADS).heads["ctc"].tensors
    for clip, transcript in zip(clips, together, strict=True):
        logits = torch.from_numpy(encoder.encode(clip)) @ head["weight"].T + head["bias"]
        said = torch.unique_consecutive(logits.argmax(-1)).tolist()
        expected = theirs.decode([number for number in said if number != theirs.unk_id()])
        assert transcript.text.split() == expected.split()
        assert len(transcript.text) > 5


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:2]], ids=["a letter |", "no letter |"])
def test_the_tokens_go_with_a_saved_model(tmp_path, weights, texts):
    theirs = beside(tmp_path, weights, trained(texts=texts))
    checkpoint = load_checkpoint(tmp_path / "x.pt", overrides=HEADS)
    save_checkpoint(tmp_path / "hf", checkpoint, to="hf")
    before, after = (one.heads["ctc"].metadata for one in (checkpoint, load_checkpoint(tmp_path / "hf")))
    assert (after["vocabulary"], after["blank"]) == (before["vocabulary"], before["blank"])
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    if texts is TEXTS:  # transformers 5 does not read this setting
        tokenizer._word_delimiter_token = "▁"
    for text in dict.fromkeys(texts):
        assert tokenizer.decode([number for piece in theirs.encode(text) for number in (piece, piece, 0)]) == text


def test_without_a_tokenizer_the_head_loads_and_says_which_is_missing(tmp_path, weights):
    torch.save({"model": weights(tokens=50)}, tmp_path / "x.pt")
    (tmp_path / "other.model").write_bytes(trained("char", size=60))
    encoder = encoder_of(tmp_path / "x.pt")
    assert "transcription" not in encoder.abilities
    assert encoder.encode(np.zeros(8000, np.float32)).shape[1] == 16
    with pytest.raises(
        CheckpointError, match=r"of 50 pieces, into the folder of the file.*other\.model has \d+ pieces"
    ):
        encoder.transcribe(np.zeros(8000, np.float32))


@pytest.mark.parametrize(
    ("tokens", "name"),
    [
        (9812, "omniASR_tokenizer.model"),
        (9818, "omniASR_tokenizer_v7.model"),
        (10288, "omniASR_tokenizer_written_v2.model"),
    ],
)
def test_the_published_tokenizers_are_named(tokens, name):
    assert f"https://dl.fbaipublicfiles.com/mms/{name}," in tokenizer_metadata("x.pt", tokens)["unusable"]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"kind": "bpe", "size": 320, "byte_fallback": True}, "single bytes"),
        ({"treat_whitespace_as_suffix": True}, "ends of words"),
        ({"bos_id": -1, "pad_id": -1, "eos_id": -1, "unk_id": 3}, "the blank of CTC"),
    ],
)
def test_tokenizers_that_cannot_be_used_say_why(tmp_path, weights, settings, word):
    beside(tmp_path, weights, trained(**settings))
    head = load_checkpoint(tmp_path / "x.pt", overrides=HEADS).heads["ctc"]
    assert "vocabulary" not in head.metadata
    assert word in head.metadata["unusable"]


def test_two_tokenizers_of_one_size_are_not_guessed_from(tmp_path, weights):
    data = trained()
    beside(tmp_path, weights, data)
    (tmp_path / "again.model").write_bytes(data)
    metadata = load_checkpoint(tmp_path / "x.pt", overrides=HEADS).heads["ctc"].metadata
    assert "vocabulary" in metadata  # the same pieces twice
    (tmp_path / "again.model").write_bytes(data.replace(b"\x01q", b"\x01Q"))
    metadata = load_checkpoint(tmp_path / "x.pt", overrides=HEADS).heads["ctc"].metadata
    assert "again.model, omniASR_tokenizer.model" in metadata["unusable"]
    (tmp_path / "again.model").write_bytes(b"damaged")
    metadata = load_checkpoint(tmp_path / "x.pt", overrides=HEADS).heads["ctc"].metadata
    assert "vocabulary" in metadata


# Parts that are not loaded, files that are refused


def test_a_decoder_is_left_aside_with_a_warning(tmp_path, weights):
    torch.save({"model": weights("language model")}, tmp_path / "x.pt")
    with pytest.warns(ModelWarning, match=r"without .*llama_decoder\.layers.*omniASR_CTC"):
        checkpoint = load_checkpoint(tmp_path / "x.pt", overrides=HEADS)
    assert checkpoint.heads == {}


@pytest.mark.parametrize("name", ["layer norm", "recognition"])
def test_damaged_files(tmp_path, weights, name):
    state = weights(name)

    def refused(changed, words):
        torch.save({"model": changed}, tmp_path / "x.pt")
        with pytest.raises(CheckpointMismatch, match=words):
            load_checkpoint(tmp_path / "x.pt", overrides=HEADS)

    gone = "encoder.layers.1.ffn.output_proj.weight"
    refused(
        {k: v for k, v in state.items() if k != gone}, r"Missing \(1\): encoder\.layers\.\*\.ffn\.output_proj\.weight"
    )
    refused(state | {"encoder.strange": torch.ones(1)}, r"Left over \(1\): encoder\.strange")
    refused(state | {"final_proj.weight": torch.ones(10, 15)}, r"final_proj\.weight")
    both = {"encoder_frontend.layer_norm.weight": torch.ones(16), "encoder_frontend.layer_norm.bias": torch.ones(16)}
    refused(state | both, r"layer_norm")
    refused({k: v for k, v in state.items() if "feature_extractor.layers.0.conv" not in k}, "do not tell")


def test_a_head_of_ones_own_is_left_aside(tmp_path, weights):
    torch.save({"model": weights() | {"emotion.weight": torch.ones(3, 16)}}, tmp_path / "x.pt")
    with pytest.warns(ModelWarning, match=r"without model\.emotion\.weight"):
        checkpoint = load_checkpoint(tmp_path / "x.pt", overrides=HEADS)
    assert list(checkpoint.heads) == ["ctc"]


def test_a_shard_of_a_training_on_several_devices(tmp_path, weights):
    """fairseq2 parts every tensor along its first axis, into sdp_00.pt, sdp_01.pt and so on."""
    torch.save({name: tensor.chunk(2)[0].clone() for name, tensor in weights().items()}, tmp_path / "sdp_00.pt")
    with pytest.raises(UnsupportedCheckpoint, match="8 of 16 rows"):
        load_checkpoint(tmp_path / "sdp_00.pt")


def test_a_quantizer_that_does_not_fit(tmp_path, weights):
    torch.save({"model": weights("layer norm") | {"quantizer.entries": torch.ones(10)}}, tmp_path / "x.pt")
    with pytest.raises(CheckpointMismatch, match=r"quantizer\.entries is \(10,\)"):
        load_checkpoint(tmp_path / "x.pt", overrides=HEADS)


def test_heads_of_no_published_width_must_be_given(tmp_path, weights):
    torch.save({"model": weights()}, tmp_path / "x.pt")
    with pytest.raises(ConfigurationError, match="num_heads"):
        load_checkpoint(tmp_path / "x.pt")


class Harm:
    def __reduce__(self):
        return print, ("harm",)


def test_a_pickle_that_calls_is_refused(tmp_path, weights, capsys):
    torch.save({"model": weights(), "extra": Harm()}, tmp_path / "x.pt")
    with pytest.raises(UnsafeCheckpoint, match="print"):
        load_checkpoint(tmp_path / "x.pt")
    assert capsys.readouterr().out == ""
