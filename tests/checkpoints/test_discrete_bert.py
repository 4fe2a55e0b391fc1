"""Files of the BERT on discretized speech and of text from codes: names, dictionaries, tokenizers."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import sonant
from sonant.checkpoints import (
    differing,
    load_backbone,
    load_codes_to_text,
    save_codes_to_text,
    save_pretrained,
)
from sonant.checkpoints.codes_to_text import FAIRSEQ
from sonant.checkpoints.discrete_bert import ROBERTA
from sonant.checkpoints.parameter_names import write
from sonant.errors import (
    CheckpointMismatch,
    ConfigurationError,
    UnknownCheckpoint,
    UnsupportedCheckpoint,
)
from sonant.models.codes_to_text import CodesToText, CodesToTextConfig
from sonant.models.discrete_bert import DiscreteBERT
from tests.codes import WORDS, discrete_bert, vq_wav2vec

SYMBOLS = ["-".join(map(str, row)) for row in WORDS.tolist()]
DICTIONARY = "".join(f"{symbol} {100 - i}\n" for i, symbol in enumerate(SYMBOLS))


@pytest.fixture(scope="module")
def model() -> DiscreteBERT:
    return discrete_bert()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_pretrained(vq_wav2vec(), folder)
    return folder


def settings(model: DiscreteBERT) -> dict[str, Any]:
    c = model.config
    return {
        "encoder_layers": c.num_layers,
        "encoder_embed_dim": c.dim,
        "encoder_ffn_embed_dim": c.feed_forward_dim,
        "encoder_attention_heads": c.num_heads,
        "activation_fn": "gelu",
        "dropout": c.dropout,
    }


def roberta(model: DiscreteBERT) -> dict[str, Tensor]:
    """The tensors by fairseq's names, with the copy of the embeddings that belongs to its head."""
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("tokenizer.")}
    state, homeless = write(own, ROBERTA)
    assert homeless == ["vocabulary.codes"]
    return state | {"encoder.lm_head.weight": state["encoder.sentence_encoder.embed_tokens.weight"].clone()}


def former(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As fairseq wrote them in 2019: the encoder a decoder, the attention's matrices in one."""
    made: dict[str, Tensor] = {}
    for name, tensor in state.items():
        new = name.replace("encoder.", "decoder.", 1).replace(".layernorm_embedding.", ".emb_layer_norm.")
        for letter in "kv":
            if f"{letter}_proj." in new:
                break
        else:
            if "q_proj." in new:
                parts = [state[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"]
                made[new.replace("q_proj.", "in_proj_")] = torch.cat(parts)
            else:
                made[new] = tensor
    return made


def save(path: Path, model: DiscreteBERT, state: Mapping[str, Tensor], *, dictionary: bool = True) -> Path:
    torch.save({"args": Namespace(arch="roberta_base", **settings(model)), "model": dict(state)}, path)
    if dictionary:
        (path.parent / "dict.txt").write_text(DICTIONARY)
    return path


@pytest.mark.parametrize("names", ["present", "former"])
def test_a_file_of_fairseq(tmp_path: Path, model: DiscreteBERT, tokenizer: Path, names: str) -> None:
    state = roberta(model) if names == "present" else former(roberta(model))
    assert any("in_proj_weight" in name for name in state) == (names == "former")
    state["encoder.sentence_encoder.version"] = torch.tensor([3.0])
    loaded = load_backbone(save(tmp_path / "bert.pt", model, state), overrides={"tokenizer": str(tokenizer)})
    assert isinstance(loaded, DiscreteBERT)
    assert differing(loaded.state_dict(), model.state_dict()) == []
    assert loaded.config.max_positions == model.config.max_positions


def test_the_file_of_s3prl(tmp_path: Path, model: DiscreteBERT, tokenizer: Path) -> None:
    torch.save(
        {
            "task_cfg": {"mask_prob": 0.5},
            "model_cfg": Namespace(**settings(model)),
            "model_weight": roberta(model),
            "text_dictionary": DICTIONARY,
        },
        tmp_path / "bert.pt",
    )
    encoder = sonant.load(tmp_path / "bert.pt", tokenizer=tokenizer)
    assert differing(encoder.model.state_dict(), model.state_dict()) == []


def test_our_folder_holds_everything(tmp_path: Path, model: DiscreteBERT) -> None:
    save_pretrained(model, tmp_path / "folder")
    loaded = load_backbone(tmp_path / "folder")
    assert loaded.config == model.config
    assert differing(loaded.state_dict(), model.state_dict()) == []


def test_what_a_file_does_not_say(tmp_path: Path, model: DiscreteBERT, tokenizer: Path) -> None:
    path = save(tmp_path / "bert.pt", model, roberta(model), dictionary=False)
    with pytest.raises(ConfigurationError, match=r"a file of its own.*tokenizer=PATH"):
        load_backbone(path)
    with pytest.raises(ConfigurationError, match=r"Put the dict\.txt"):
        load_backbone(path, overrides={"tokenizer": tokenizer})
    (tmp_path / "dict.txt").write_text(DICTIONARY + "4-4 1\n")
    with pytest.raises(CheckpointMismatch, match=r"has 27 tokens, and its dictionary makes 28"):
        load_backbone(path, overrides={"tokenizer": tokenizer})
    (tmp_path / "dict.txt").write_text(DICTIONARY)
    save_pretrained(model, tmp_path / "bert")
    with pytest.raises(ConfigurationError, match="must be a vq-wav2vec; a discrete_bert was given"):
        load_backbone(path, overrides={"tokenizer": tmp_path / "bert"})


def test_tensors_that_do_not_fit(tmp_path: Path, model: DiscreteBERT, tokenizer: Path) -> None:
    state = roberta(model)
    untied = state | {"encoder.lm_head.weight": torch.zeros_like(state["encoder.lm_head.weight"])}
    with pytest.raises(CheckpointMismatch, match=r"encoder\.lm_head\.weight"):
        load_backbone(save(tmp_path / "a.pt", model, untied), overrides={"tokenizer": tokenizer})
    less = {name: tensor for name, tensor in state.items() if not name.endswith("layers.1.fc2.bias")}
    with pytest.raises(CheckpointMismatch, match=r"Missing \(1\): .*fc2\.bias"):
        load_backbone(save(tmp_path / "b.pt", model, less), overrides={"tokenizer": tokenizer})
    pre_norm = state | {"encoder.sentence_encoder.layer_norm.weight": torch.ones(16)}
    with pytest.raises(UnsupportedCheckpoint, match="norms stand before"):
        load_backbone(save(tmp_path / "c.pt", model, pre_norm), overrides={"tokenizer": tokenizer})


def writer(**changes: Any) -> CodesToText:
    sizes: dict[str, Any] = {
        "code_vocabulary_size": 26,
        "codebook_size": 5,
        "text_vocabulary_size": 11,
        "dim": 16,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
        "num_heads": 2,
        "feed_forward_dim": 24,
    }
    torch.manual_seed(0)
    model = CodesToText(CodesToTextConfig(**sizes | changes)).eval()
    model.vocabulary.codes[4:] = WORDS
    return model


def save_fairseq(path: Path, model: CodesToText, **changes: Any) -> Path:
    c = model.config
    state, homeless = write(model.state_dict(), FAIRSEQ)
    assert homeless == ["vocabulary.codes"]
    state |= {"encoder.version": torch.tensor([3.0]), "decoder.embed_positions._float_tensor": torch.zeros(1)}
    options = {
        "encoder_layers": c.num_encoder_layers,
        "decoder_layers": c.num_decoder_layers,
        "encoder_embed_dim": c.dim,
        "encoder_ffn_embed_dim": c.feed_forward_dim,
        "encoder_attention_heads": c.num_heads,
        "encoder_normalize_before": c.pre_norm,
        "share_decoder_input_output_embed": c.share_output,
        "dropout": c.dropout,
    }
    torch.save({"args": Namespace(arch="transformer", **options | changes), "model": state}, path)
    (path.parent / "dict.src.txt").write_text(DICTIONARY)
    return path


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("share_output", [False, True])
def test_text_from_codes_goes_and_comes(tmp_path: Path, *, pre_norm: bool, share_output: bool) -> None:
    model = writer(pre_norm=pre_norm, share_output=share_output)
    save_codes_to_text(model, tmp_path / "ours")
    save_fairseq(tmp_path / "theirs.pt", model)
    for source, how in ((tmp_path / "ours", {}), (tmp_path / "theirs.pt", {"codebook_size": 5})):
        loaded = load_codes_to_text(source, **how)
        assert loaded.config == model.config
        assert differing(loaded.state_dict(), model.state_dict()) == []
        assert (loaded.output.weight is loaded.text_embedding.weight) == share_output


def test_former_names_of_norms(tmp_path: Path) -> None:
    model = writer()
    path = save_fairseq(tmp_path / "theirs.pt", model)
    file = torch.load(path, weights_only=False)
    numbers = {"self_attn": 0, "encoder_attn": 1, "final": 2}
    renamed = {}
    for name, tensor in file["model"].items():
        for norm, number in numbers.items():
            if name.startswith("encoder.") and norm == "final":
                number = 1  # noqa: PLW2901 - an encoder has two norms
            name = name.replace(f".{norm}_layer_norm.", f".layer_norms.{number}.")  # noqa: PLW2901
        renamed[name] = tensor
    assert "encoder.layers.0.layer_norms.1.weight" in renamed
    torch.save(file | {"model": renamed}, path)
    assert differing(load_codes_to_text(path, codebook_size=5).state_dict(), model.state_dict()) == []


def test_writers_that_are_not_ours(tmp_path: Path) -> None:
    with pytest.raises(UnknownCheckpoint, match="does not exist"):
        load_codes_to_text(tmp_path / "none")
    path = save_fairseq(tmp_path / "a.pt", writer(), encoder_learned_pos=True)
    with pytest.raises(UnsupportedCheckpoint, match="encoder_learned_pos"):
        load_codes_to_text(path)
    path = save_fairseq(tmp_path / "b.pt", writer(), decoder_embed_dim=8)
    with pytest.raises(UnsupportedCheckpoint, match="differ in embed_dim"):
        load_codes_to_text(path)
    path = save_fairseq(tmp_path / "c.pt", writer(), encoder_layers=3)
    with pytest.raises(CheckpointMismatch, match="tensors are not those"):
        load_codes_to_text(path)
    with pytest.raises(ConfigurationError, match="dictionary=PATH"):
        load_codes_to_text(path, dictionary=tmp_path / "none.txt")
